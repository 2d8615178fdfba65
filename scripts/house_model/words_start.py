"""A good place to start: the student as a bag of words, fitted in a minute, set inside a transformer.

    bag_start(student, tokenizer, token_meaning, ids, target, weight, steps=3000)

Fitting tokens as "the mean of what the words mean" is a hundred times cheaper than a step of the transformer.
Its result is written into the first layer exactly (attention that averages the words and looks past the start
and end marks), so that training only has to learn what order, grammar and spelling add.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from scripts.house_model.words import Student

MARK = 0.5  # what start and end write into the last channel
AWAY = 0.6  # how strongly attention looks past that channel: about exp(-9)


def principal(meaning: Tensor, width: int) -> Tensor:
    """(V, T) meanings to (V, width), their principal directions scaled to a deviation of 0.3."""
    centred = meaning - meaning.mean(0)
    values, axes = torch.linalg.eigh(centred.T @ centred)
    kept = axes[:, values.argsort(descending=True)[:width]]
    out = torch.zeros(len(meaning), width)
    out[:, :kept.shape[1]] = centred @ kept
    return out / out.std() * 0.3


def _fit(table: nn.Parameter, head: nn.Linear, ids: Tensor, target: Tensor, weight: Tensor, steps: int,
         batch: int, seed: int) -> None:
    """Adam on the cosine between head(LN(mean of LN(token))) and the target."""
    optimiser = torch.optim.Adam([{"params": [table], "lr": 8e-3}, {"params": head.parameters(), "lr": 3e-3}])
    generator = torch.Generator().manual_seed(seed)
    width, began = table.shape[1], time.monotonic()
    for step in range(steps):
        for group, rate in zip(optimiser.param_groups, (8e-3, 3e-3), strict=True):
            group["lr"] = rate * (1 - step / steps)
        if step % 50 == 0:
            drawn = torch.multinomial(weight, 50 * batch, replacement=True, generator=generator)
            drawn = drawn.view(50, batch)
        rows = drawn[step % 50]
        some = ids[rows]  # (B, 24)
        words = some > 1
        starts = words.sum(1).cumsum(0) - words.sum(1)
        bag = F.embedding_bag(some[words], F.layer_norm(table, (width,)), starts, mode="mean")  # (B, D)
        bag = F.layer_norm(bag, (width,))
        total = 1 - F.cosine_similarity(head(bag), target[rows].float()).mean()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        if step % 200 == 0 or step == steps - 1:
            print(f"bag of words step {step}/{steps}  loss {total.item():.4f}  "
                  f"{(time.monotonic() - began) * (steps / (step + 1) - 1):.0f} s left", flush=True)


@torch.no_grad()
def _set(student: Student, table: Tensor, head: nn.Linear) -> None:
    """Write the bag into layer 0: uniform attention over words, none to the marks, values passed through."""
    encoder = student.encoder
    width, heads = encoder.config.hidden_size, encoder.config.num_attention_heads
    rows = encoder.embeddings.token_embedding.weight
    rows.copy_(table)
    rows[:2] = 0
    rows[:2, -1] = MARK
    attention = encoder.encoder.layers[0].self_attn
    for part in (attention.v_proj, attention.out_proj):
        part.weight.copy_(torch.eye(width) + 0.003 * part.weight)
        part.bias.zero_()
    attention.v_proj.weight[-1] = 0
    last = torch.arange(1, heads + 1) * (width // heads) - 1  # one channel of each head, (heads,)
    attention.k_proj.weight[last] = 0
    attention.k_proj.weight[last, -1] = -AWAY
    attention.q_proj.weight[last] = 0
    attention.q_proj.bias[last] = (width // heads) ** 0.5
    for mine in (student.of_place, student.of_mean):
        mine.load_state_dict(head.state_dict())


def bag_start(student: Student, meaning: Tensor | None, ids: Tensor, target: Tensor, weight: Tensor,
              steps: int = 3000, batch: int = 1024, seed: int = 1) -> None:
    """Fit and set the bag. `meaning` (V, T): what each token's spelling means to the teacher, or None."""
    width = student.encoder.config.hidden_size
    rows = student.encoder.embeddings.token_embedding.weight
    start = rows.detach().clone() * 10 if meaning is None else principal(meaning, width)
    start[:, -1] = 0
    table = nn.Parameter(start)
    head = nn.Linear(width, target.shape[1])
    head.load_state_dict(student.of_place.state_dict())
    _fit(table, head, ids, target, weight, steps, batch, seed)
    _set(student, table.detach(), head)
