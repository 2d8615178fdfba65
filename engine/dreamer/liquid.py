"""Tearing: where the patches of each sheet lie in a picture, what is woven of their noises, and words by patches.

    masks = Masks((16, 28), native=16, device)
    shares = masks(waypoint.liquid, waypoint.loop)  # (N, h, w), summing to 1 at every cell
    z = woven(noises, shares)                       # sum_i m_i z_i, m_i = sqrt(share_i): N(0, 1) as each z_i is

Dreamer process; torch. Each sheet has a smooth random field of its own, and a place belongs to the sheet whose field is
highest there. A field is a sum of octaves: lattices of a Gaussian walk (walk/spectrum.py) with a spacing from half the
model's native picture down to half a cell, joined by cubic B-splines. Liquidise goes from the coarse ones to the fine
ones, so that large patches are torn into smaller ones where they lie; the finer octaves that are always there make
edges ragged. Lattices belong to places, counted from the middle of the picture (counter.py): another size shows the
same patches. Edges are drawn SUB times finer than cells and averaged, so that a patch that drifts moves smoothly.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.dreamer.counter import plane_normals
from engine.dreamer.schedule import Between
from engine.walk.spectrum import K
from engine.walk.waypoint import SHEETS, Liquid, Waypoint, Wording, spread

NATIVE = 64  # cells of a model's native picture, where it does not say
SUB = 4  # points a cell, either way, at which patches are told apart
SHARP = 10.0  # how much likelier a place belongs to a sheet whose field is higher by 1
FINEST = 0.5  # cells: the smallest spacing of an octave
RAGGED = 0.65  # how much weaker each octave is than the next coarser one, below the patches' own size
WIDTH = 0.75  # octaves: how soon the coarse ones fade as the patches get finer
OWN = 7.0  # how far ahead the waypoint's own sheet is where liquidise is 0: nowhere is another one seen
OPEN = 0.45  # of the fader's travel, in which that lead is lost and the first holes open
DRAWN = 7.0  # how far ahead the sheet is that has been drawn up
FRONT = 0.4  # of the height: how broad the ragged edge of a sheet is that is being drawn up
# Where cells are carried to, in native pictures down and right; and between which places of the fader's travel they
# begin to be, and all are: in the middle of a dream, and again at its end.
DIRECTIONS = ((0.19, -0.25), (-0.13, 0.31), (-0.19, -0.19))
CARRY = ((0.25, 0.8), (0.8, 1.25))
MIDDLE = 0.7  # of a dream's calls come before the first
LEAST = 1e-4  # an octave that is weaker is left out
# How far the tearing is at a liquidise of 0, 1/10 .. 1, so that equal steps are about equal changes to the eye: by Lab
# distances of the built-in model's pictures, four walks (scripts/house_model/liquid.py).
CURVE = (0.0, 0.293, 0.333, 0.367, 0.401, 0.446, 0.564, 0.656, 0.734, 0.835, 1.0)
_OCTAVE = 0x9E5  # a seed plus multiples of this is that of the octaves
_KEPT = 4  # seeds


def native_cells(config: Any) -> int:
    """Cells of the shorter side of the pictures that a network was trained on, as far as its configuration says."""
    size = getattr(config, "sample_size", None)
    size = min(size) if isinstance(size, list | tuple) and size else size
    return size if isinstance(size, int) and size > 0 else NATIVE


class Masks:
    """Which part of every cell each sheet has, at any waypoint that is torn."""

    def __init__(self, cells: tuple[int, int], native: int, device: torch.device | str = "cpu") -> None:
        """cells: (h, w) of a latent. native: cells of the shorter side of the pictures that the model was trained on:
        the largest patches are half as large."""
        self.cells, self.device, self._native = cells, torch.device(device), native
        octaves = max(1, round(math.log2(max(1.0, native / 2 / FINEST)))) + 1
        self._spacings = [FINEST * 2**k for k in range(octaves)][::-1]
        self._lattices: OrderedDict[tuple[int, int], Tensor] = OrderedDict()
        self._splines = [self._spline_pair(spacing) for spacing in self._spacings]
        self._lock = threading.Lock()  # a film dreams in several threads

    def __call__(self, liquid: Liquid, loop: float = 0.0) -> Tensor:
        """The share of each sheet in every cell, (N, h, w) in float32."""
        torn = self._torn(liquid)
        lead = OWN * max(0.0, 1.0 - torn / OPEN)
        return self._shares(liquid, loop, self._amplitudes(torn), 1 + len(liquid.sheets), lead)

    def carried(self, liquid: Liquid, loop: float = 0.0) -> Tensor:
        """How much each cell takes of itself, and of those in each of DIRECTIONS, twice: (2, N, h, w) in float32.

        The first are for the middle of a dream, the second for its end, where what is torn is as small as cells.
        """
        torn, finest = self._torn(liquid), len(self._spacings) - 2
        single = [float(k == max(0, finest)) for k in range(len(self._spacings))]
        leads = (OWN * min(1.0, max(0.0, 1.0 - (torn - begins) / (ends - begins))) for begins, ends in CARRY)
        count = 1 + len(DIRECTIONS)
        return torch.stack([self._shares(liquid, loop, single, count, lead) for lead in leads])

    @property
    def ways(self) -> list[tuple[int, int]]:
        """DIRECTIONS in cells."""
        return [(round(y * self._native), round(x * self._native)) for y, x in DIRECTIONS]

    @staticmethod
    def _torn(liquid: Liquid) -> float:
        return float(np.interp(liquid.amount, np.linspace(0.0, 1.0, len(CURVE)), CURVE))

    def _shares(self, liquid: Liquid, loop: float, amplitudes: Sequence[float], count: int, lead: float) -> Tensor:
        """Of the first of `count` fields, which is ahead by `lead`, and of the others: (N, h, w)."""
        total = self._fields(liquid, loop, amplitudes)[:count]  # (N, SUB*h, SUB*w)
        own = total[:1] + lead
        if liquid.drawn > 0.0:
            own = own + self._drawn(liquid.drawn)
        fine = torch.softmax(torch.cat([own, total[1:]]) * SHARP, 0)
        return F.avg_pool2d(fine[None], SUB)[0]

    def _fields(self, liquid: Liquid, loop: float, amplitudes: Sequence[float]) -> Tensor:
        """Of unit variance, (1 + SHEETS, SUB*h, SUB*w)."""
        by_seed = spread(liquid.points, loop)
        total: Tensor | None = None
        for k, (amplitude, (rows, columns)) in enumerate(zip(amplitudes, self._splines, strict=True)):
            if amplitude < LEAST:
                continue
            for seed, share in by_seed.items():
                gains = torch.from_numpy((amplitude * share).astype(np.float32)).to(self.device)  # (2K,)
                nodes = (gains @ self._lattice(seed, k)).view(1 + SHEETS, rows.shape[1], columns.shape[1])
                field = rows @ nodes @ columns.T
                total = field if total is None else total + field
        assert total is not None
        return total

    def _amplitudes(self, torn: float) -> list[float]:
        """Of the octaves, with squares that sum to 1."""
        finest = len(self._spacings) - 2  # the last one only makes edges ragged
        at = max(0.0, (torn - 0.1) / 0.9) * max(0, finest)
        raw = [
            math.exp(-0.5 * ((k - at) / WIDTH) ** 2) if k < at else RAGGED ** (k - at)
            for k in range(len(self._spacings))
        ]
        total = math.sqrt(sum(a * a for a in raw))
        return [a / total for a in raw]

    def _drawn(self, drawn: float) -> Tensor:
        """How far ahead the sheet is that is being drawn up, (1, SUB*h, 1): all the way at the top first."""
        rows = SUB * self.cells[0]
        y = (torch.arange(rows, dtype=torch.float32, device=self.device) + 0.5) / rows  # 0 top .. 1 bottom
        up = ((drawn * (1.0 + FRONT) - y) / FRONT).clamp(0.0, 1.0)
        return (DRAWN * up * up * (3 - 2 * up)).view(1, -1, 1)

    def _lattice(self, seed: int, k: int) -> Tensor:
        """The walk's 2K normal numbers at the nodes of octave k, (2K, (1 + SHEETS) * rows * columns)."""
        with self._lock:
            key = seed, k
            if key not in self._lattices:
                rows, columns = (spline.shape[1] for spline in self._splines[k])
                shape = 1 + SHEETS, rows, columns
                self._lattices[key] = plane_normals(seed + _OCTAVE * (k + 1), K, shape, self.device)
            self._lattices.move_to_end(key)
            lattice = self._lattices[key]
            while len(self._lattices) > _KEPT * len(self._spacings):
                self._lattices.popitem(last=False)
            return lattice

    def _spline_pair(self, spacing: float) -> tuple[Tensor, Tensor]:
        rows, columns = (_spline(cells, spacing).to(self.device) for cells in self.cells)
        return rows, columns


def _spline(cells: int, spacing: float) -> Tensor:
    """What a lattice's nodes count at every point of a row of cells: (SUB * cells, nodes), of unit variance.

    Uniform cubic B-splines (de Boor 1978), scaled so that independent nodes of unit variance give points of it.
    """
    at = ((np.arange(SUB * cells) + 0.5) / SUB - cells // 2) / spacing  # points, in spacings from the middle
    half = int(np.ceil(np.abs(at).max())) + 2
    nodes = np.arange(-half, half + 1)  # the middle one is number half of 2 half + 1, as in plane_normals
    d = np.abs(at[:, None] - nodes)
    weights = np.where(d < 1, 2 / 3 - d**2 + d**3 / 2, np.where(d < 2, (2 - d) ** 3 / 6, 0.0))
    return torch.from_numpy((weights / np.sqrt((weights**2).sum(1, keepdims=True))).astype(np.float32))


def woven(noises: Sequence[Tensor], shares: Tensor) -> Tensor:
    """sum_i m_i z_i with m_i = sqrt(share_i), so that sum m_i^2 = 1 at every cell. noises: N of (C, h, w)."""
    gains = shares.sqrt()  # (N, h, w)
    total = gains[0] * noises[0]
    for gain, noise in zip(gains[1:], noises[1:], strict=True):
        total = total + gain * noise
    return total


def carry(history: list[Tensor], carried: Tensor, ways: Sequence[tuple[int, int]]) -> list[Tensor]:
    """A dream's noise and answers (C*h*w,), their cells moved about. carried: (N, h, w), see Masks.carried.

    The noise is woven, and stays N(0, 1); answers are averaged.
    """
    _, h, w = carried.shape

    def moved(values: Tensor, gains: Tensor) -> Tensor:
        picture = values.reshape(-1, h, w)  # (C, h, w)
        total = gains[0] * picture
        for i, way in enumerate(ways, 1):
            total = total + gains[i] * torch.roll(picture, way, (-2, -1))
        return total.reshape(-1)

    return [moved(history[0], carried.sqrt()), *(moved(answer, carried) for answer in history[1:])]


def carrying(carried: Tensor, ways: Sequence[tuple[int, int]], calls: int) -> Between:
    """What moves cells about between the calls of a dream of so many: in its middle, and before the last. carried:
    (2, N, h, w), for these two."""
    turns = {calls - 1: 1, int(calls * MIDDLE): 0}

    def between(i: int, history: list[Tensor]) -> list[Tensor]:
        return carry(history, carried[turns[i]], ways) if i in turns else history

    return between


class Regional:
    """In place of a cross-attention's processor: every patch hears its own words.

    Called with words (B*N, L, D) for a picture (B, S, D) and `shares` (N, h, w), it has each place attend to all N, and
    takes from each as much as it has of the place. Without `shares` it is the processor it stands for.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        shares: Tensor | None = None,
    ) -> Tensor:
        if shares is None or encoder_hidden_states is None:
            return self._inner(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        b, s, _ = hidden_states.shape
        n = shares.shape[0]
        many = hidden_states.repeat_interleave(n, 0)  # (B*N, S, D)
        heard = self._inner(attn, many, encoder_hidden_states, attention_mask, temb)
        size = size_of(s, (shares.shape[1], shares.shape[2]))
        here = F.adaptive_avg_pool2d(shares[None], size).reshape(1, n, s, 1).to(heard.dtype)
        return (heard.reshape(b, n, s, -1) * here).sum(1)  # (B, S, D)


def size_of(places: int, cells: tuple[int, int]) -> tuple[int, int]:
    """(h, w) of a picture of so many places that was made of (h, w) cells by halving, rounded up."""
    h, w = cells
    while h * w > places:
        h, w = -(-h // 2), -(-w // 2)
    if h * w != places:
        raise ValueError(f"{places} places are no {cells[0]} by {cells[1]} cells, halved a number of times")
    return h, w


def make_regional(unet: Any) -> bool:
    """Lets every cross-attention of a network hear words by patches; False where it has none that can."""
    processors = dict(unet.attn_processors)
    crossing = [name for name in processors if ".attn2." in name]
    if not crossing:
        return False
    unet.set_attn_processor({n: Regional(p) if n in crossing else p for n, p in processors.items()})
    return True


def by_area(waypoint: Waypoint, shares: Tensor) -> tuple[Wording, ...]:
    """Everything that is said on any sheet, by how much of the picture the sheet has: for networks that hear the same
    words everywhere. shares: (N, h, w)."""
    areas = shares.double().mean((1, 2)).tolist()
    return tuple(
        replace(word, share=word.share * area)
        for sheet, area in zip(waypoint.sheets, areas, strict=True)
        for word in sheet.words
    )
