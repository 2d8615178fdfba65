"""What a memory is known by: how its picture looks, and beside it what is said there, as one list of numbers.

    vector = embedding(pixels, {"a whale in the clouds": 0.9, "torn paper": 0.1})     # (SIZE,) float32
    vector[:LOOK]                                                                     # the look alone

Pictures are compared by their look; kinds are found by both, so that a shelf holds what looks alike and says the like.
Words are known by a signed random projection (Achlioptas 2003), whose signs are a hash of the word: no table of words
is needed, and prompts that share words lie near each other. Plain numpy; any thread.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.walk.memory.look import LOOK, look
from engine.walk.memory.recall import tokens

SAID = 32
SIZE = LOOK + SAID
# Two pictures of one prompt differ by some 0.3 in look, of two prompts by 0.5; two prompts without a word in common by
# 1.4 times this, so that neither outweighs the other.
WEIGHT = 0.4


def embedding(pixels: NDArray[np.uint8], said: Mapping[str, float]) -> NDArray[np.float32]:
    """(H, W, 3) uint8 and the share of each prompt to (SIZE,) float32."""
    return np.concatenate([look(pixels), WEIGHT * heard(said)])


def heard(said: Mapping[str, float]) -> NDArray[np.float32]:
    """The share of each prompt to (SAID,) float32; of length 1 where one prompt is all that is heard."""
    total = np.zeros(SAID, np.float32)
    for text, share in said.items():
        words = sum((_signs(word) for word in tokens(text)), np.zeros(SAID, np.float32))
        length = float(np.linalg.norm(words))
        if length > 0.0:
            total += np.float32(share / length) * words
    return total


def _signs(word: str) -> NDArray[np.float32]:
    """-1 or 1 in each of SAID directions."""
    bits = np.frombuffer(hashlib.sha256(word.encode()).digest()[: SAID // 8], np.uint8)
    return np.unpackbits(bits).astype(np.float32) * 2 - 1
