"""Where a dream begins that a given picture steers: part of the way down the schedule, at any strength between.

    starts = Starts(scheduler, plan, shape, device)
    latent = starts.run(starts.at(0.37), picture, noise, predict)  # picture: a latent, (1, C, h, w)

Dreamer process; torch.

A strength of k/n leaves out the first k of n steps and begins with the picture under as much noise as the schedule
expects there, as StableDiffusionImg2ImgPipeline does (Meng et al. 2021, SDEdit). Between two of these it begins at a
time between them: the first call is made there, and its answer, split into the picture x and the noise e that it sees,
leads to the next time of the schedule as a DDIM step does (Song et al. 2020), a x + s e. What a scheduler keeps of
older answers, and the noise that it adds, fade with the way that the first step has left. So nothing jumps, and one
step is enough: it is then made at a time from the first down to none.

As in schedule.py every step is linear, and all is found by letting the scheduler step over a basis.
"""

import copy
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.dreamer.recipes import Plan
from engine.dreamer.schedule import NOISE_SEED, Between, Predict, set_timesteps, step_options

COMING = 0.25  # of the first step, in which the picture comes in: nothing of it is in the noise that a dream begins as
_KEPT = 6  # cuts whose added noise is kept
_CLEAN = 1e-6

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """One way to begin. rows (calls + 1, 2 + calls) over picture, noise and answers: the input of each call, and the
    finished latent; offsets: what is added, (calls + 1, C*h*w), or None; first: number of the first call."""

    rows: Tensor
    offsets: Tensor | None
    times: list[Tensor]
    first: int


@dataclass(frozen=True)
class _Cut:
    """The schedule from its k-th step on. rows (calls + 1, 1 + calls) over the sample there and the answers, offsets
    the same way; the sample there is a * picture + s * noise; the network is given it times `scale`."""

    rows: Rows
    offsets: Tensor | None
    a: float
    s: float

    @property
    def scale(self) -> float:
        return float(self.rows[0, 0])


class Starts:
    """Every way to begin that a schedule has. Raises ValueError where the scheduler cannot add noise to a picture."""

    def __init__(self, scheduler: Any, plan: Plan, shape: tuple[int, ...], device: torch.device | str = "cpu") -> None:
        self._scheduler, self._plan, self._shape = copy.deepcopy(scheduler), plan, shape
        self._device = torch.device(device)
        if not hasattr(scheduler, "add_noise"):
            raise ValueError(f"{type(scheduler).__name__} cannot add noise to a picture")
        set_timesteps(self._scheduler, plan)
        self._times = [float(t) for t in self._scheduler.timesteps]
        self.order = int(self._scheduler.order)
        self.steps = -(-len(self._times) // self.order)
        self._kind = str(self._scheduler.config.get("prediction_type", "epsilon"))
        self._lock = threading.Lock()  # a film dreams in several threads
        self._cuts: OrderedDict[int, _Cut] = OrderedDict()
        noiseless = self._probed(0, torch.zeros(1, *shape), False)
        self._stirs = bool(noiseless.any())  # adds noise of its own
        self._init = float(self._scheduler.init_noise_sigma)
        self._table = _sigma_table(self._scheduler)
        self.at(0.0)  # what cannot be stepped over a basis says so here

    def at(self, strength: float) -> Start:
        """The start for a strength from 0, the pure walk, to just below 1; at 1 nothing is left to dream."""
        u = min(max(strength, 0.0), 1.0) * self.steps
        k = min(int(u), self.steps - 1)
        f = min(u - k, 1.0)
        cut, after = self._cut(k), self._cut(k + 1)
        first = k * self.order
        alpha, beta, time = self._between(k, f, cut, after)
        rows = self._rows(k, f, cut, after)  # over x, e and the answers from the second on
        split = self._split(alpha, beta)  # x, e from input and first answer: (2, 2)
        begin = self._begin(u, alpha, beta)  # input from picture and noise: (2,)
        calls = len(self._times) - first
        whole = np.zeros((calls + 1, 2 + calls))
        whole[0, :2] = begin
        pair = rows[1:, :2] @ split  # (calls, 2) over input and first answer
        whole[1:, :2] = pair[:, :1] * begin
        whole[1:, 2] = pair[:, 1]
        whole[1:, 3:] = rows[1:, 2:]
        offsets = self._offsets(f, cut, after)
        own = [torch.tensor(t, dtype=torch.float32, device=self._device) for t in (time, *self._times[first + 1 :])]
        laid = torch.from_numpy(whole.astype(np.float32)).to(self._device)
        return Start(laid, None if offsets is None else offsets.to(self._device), own, first)

    @staticmethod
    def run(
        start: Start,
        picture: Tensor,
        noise: Tensor,
        predict: Predict,
        own: Tensor | None = None,
        between: Between | None = None,
    ) -> Tensor:
        """The finished latent (1, C, h, w) in float32. predict: is told how many calls came before it, `start.times`.
        own, between: as for schedule.Program; between gets picture, noise and answers."""
        history = [picture.reshape(-1), noise.reshape(-1)]

        def point(i: int) -> Tensor:
            found = start.rows[i, : 2 + i] @ torch.stack(history)  # (2 + i,) @ (2 + i, C*h*w)
            if start.offsets is not None:
                found = found + (start.offsets[i] if own is None else start.offsets[i] * own)
            return found.reshape(noise.shape)

        for i in range(len(start.times)):
            if between is not None:
                history = between(start.first + i, history)
            history.append(predict(point(i), i).reshape(-1).float())
        return point(len(start.times))

    def _cut(self, k: int) -> _Cut:
        with self._lock:
            if k not in self._cuts:
                self._cuts[k] = self._made(k)
            self._cuts.move_to_end(k)
            while len(self._cuts) > _KEPT:
                self._cuts.popitem(last=False)
            return self._cuts[k]

    def _made(self, k: int) -> _Cut:
        calls = len(self._times) - k * self.order
        if k >= self.steps:  # nothing is left: the picture itself
            return _Cut(np.ones((1, 1)), torch.zeros(1, int(np.prod(self._shape))) if self._stirs else None, 1.0, 0.0)
        empty = self._probed(k, torch.zeros(1, 1, 1, calls + 1), False)
        basis = self._probed(k, torch.eye(calls + 1)[0].reshape(1, 1, 1, -1), True)
        rows = (basis - empty).double().numpy()  # (calls + 1, 1 + calls)
        offsets = self._probed(k, torch.zeros(1, *self._shape), False) if self._stirs else None
        a, s = self._noised(k)
        return _Cut(rows, offsets, a, s)

    def _fresh(self, k: int) -> Any:
        scheduler = copy.deepcopy(self._scheduler)
        set_timesteps(scheduler, self._plan)
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(k * self.order)
        return scheduler

    def _noised(self, k: int) -> tuple[float, float]:
        """What a sample at the k-th step has of the picture and of the noise."""
        scheduler = self._fresh(k)
        picture, noise = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 1.0]]]])
        times = scheduler.timesteps[k * self.order : k * self.order + 1]
        a, s = scheduler.add_noise(picture, noise, times).flatten().tolist()
        return float(a), float(s)

    def _probed(self, k: int, sample: Tensor, basis: bool) -> Tensor:
        """Inputs of every call from the k-th step on, and the result, one flat row each."""
        scheduler = self._fresh(k)
        generator = torch.Generator("cpu").manual_seed(NOISE_SEED)
        for _ in range(k):  # the noise that a step adds is its own, wherever a dream begins
            torch.randn(sample.shape, generator=generator)
        options = step_options(scheduler, generator, self._plan.eta)
        answers, seen, size = torch.zeros_like(sample), [], sample.numel()
        for i, t in enumerate(scheduler.timesteps[k * self.order :]):
            seen.append(scheduler.scale_model_input(sample, t).reshape(-1).clone())
            answer = answers.clone()
            if basis and i + 1 < size:
                answer.view(-1)[i + 1] = 1.0
            sample = scheduler.step(answer, t, sample, **options, return_dict=False)[0]
        return torch.stack([*seen, sample.reshape(-1)]).float()

    def _at_network(self, cut: _Cut) -> tuple[float, float]:
        """What the network's input has of picture and noise."""
        return cut.scale * cut.a, cut.scale * cut.s

    def _between(self, k: int, f: float, cut: _Cut, after: _Cut) -> tuple[float, float, float]:
        """What the network's input has of picture and noise between two steps, and the time there."""
        last = k + 1 >= self.steps
        times = self._times[k * self.order], 0.0 if last else self._times[(k + 1) * self.order]
        time = times[0] + f * (times[1] - times[0])
        (a0, b0), (a1, b1) = self._at_network(cut), (1.0, 0.0) if last else self._at_network(after)
        is_vp = abs(a0 * a0 + b0 * b0 - 1) < 1e-3 and abs(a1 * a1 + b1 * b1 - 1) < 1e-3
        if not is_vp or self._table is None:  # a straight line, as flows go
            return a0 + f * (a1 - a0), b0 + f * (b1 - b0), time
        grid = np.arange(len(self._table))
        sigma0 = b0 / a0
        there = [float(np.interp(t, grid, self._table)) for t in (times[0], times[1], time)]
        if last:  # to none at all, where the table ends with some
            sigma = (there[2] - f * there[1]) * sigma0 / max(there[0] - 0.0, _CLEAN) if f else sigma0
        else:
            sigma1 = b1 / a1
            logs = np.log([sigma0 / there[0], sigma1 / there[1]])
            sigma = there[2] * float(np.exp(logs[0] + f * (logs[1] - logs[0])))
        sigma = max(float(sigma), 0.0)
        alpha = 1.0 / float(np.sqrt(1.0 + sigma * sigma))
        return alpha, sigma * alpha, time

    def _begin(self, u: float, alpha: float, beta: float) -> Rows:
        """The first input, of picture and noise. At a strength of 0 it is the noise alone, as loud as it is without
        guides; the picture comes in soon after."""
        x = min(u / COMING, 1.0)
        comes = x * x * (3 - 2 * x)
        first = self._cut(0)
        louder = (first.scale * self._init) ** 2 - (first.scale * first.s) ** 2
        loud = beta * beta + (1.0 - comes * comes) * louder
        return np.array([comes * alpha, np.sqrt(max(loud, 0.0))])

    def _split(self, alpha: float, beta: float) -> Rows:
        """The picture and the noise that the network sees, from its input and its answer."""
        a, b = max(alpha, _CLEAN), max(beta, _CLEAN)
        kinds = {
            "epsilon": [[1 / a, -beta / a], [0.0, 1.0]],
            "v_prediction": [[alpha, -beta], [beta, alpha]],
            "sample": [[0.0, 1.0], [1 / b, -alpha / b]],
            "flow_prediction": [[1.0, -beta], [1.0, 1.0 - beta]],
        }
        return np.array(kinds[self._kind])

    def _answer(self, alpha: float, beta: float) -> Rows:
        """The network's answer, from the picture and the noise that it sees."""
        kinds = {
            "epsilon": [0.0, 1.0],
            "v_prediction": [-beta, alpha],
            "sample": [1.0, 0.0],
            "flow_prediction": [-1.0, 1.0],
        }
        return np.array(kinds[self._kind])

    def _seen(self, cut: _Cut) -> Rows:
        """A cut's rows over x, e and the answers from the second on."""
        answer = self._answer(*self._at_network(cut))
        pair = cut.rows[:, :1] * np.array([cut.a, cut.s]) + cut.rows[:, 1:2] * answer
        return np.concatenate([pair, cut.rows[:, 2:]], 1)

    def _rows(self, k: int, f: float, cut: _Cut, after: _Cut) -> Rows:
        """The same between two cuts: the share of the earlier one fades with the way that is left of its step."""
        rows = self._seen(cut)
        if f == 0.0:
            return rows
        order = rows.shape[0] - after.rows.shape[0]  # calls that the later one does without
        here = np.array([after.a, after.s])
        if self._stirs and order == 1:
            # Noise adds up by its squares: what the scheduler would add, and does not yet, stays in the sample's own.
            own = rows[order, :2] / after.scale
            here = np.array([own[0] + f * (here[0] - own[0]), np.sqrt(own[1] ** 2 + f * (here[1] ** 2 - own[1] ** 2))])
        later = np.zeros_like(rows)
        later[order:, :2] = after.rows[:, :1] * here
        if after.rows.shape[1] > 1:
            later[order:, 1 + order :] = after.rows[:, 1:]
        share = 0.0 if self._stirs and order == 1 else 1.0 - f
        mixed = share * rows + (1.0 - share) * later
        mixed[:order] = rows[:order]
        return mixed

    def _offsets(self, f: float, cut: _Cut, after: _Cut) -> Tensor | None:
        if cut.offsets is None:
            return None
        order = cut.offsets.shape[0] - (1 if after.offsets is None else after.offsets.shape[0])
        if f == 0.0:
            return cut.offsets
        later = torch.zeros_like(cut.offsets)
        if after.offsets is not None:
            later[order:] = after.offsets
        share = float(np.sqrt(1.0 - f)) if order == 1 else 1.0 - f
        # what only the first step adds goes through all that come after it
        return later + share * (cut.offsets - later)


def _sigma_table(scheduler: Any) -> Rows | None:
    """Noise against picture at every time that a network was trained at, (T,); None for flows."""
    products = getattr(scheduler, "alphas_cumprod", None)
    if products is None or scheduler.config.get("prediction_type") == "flow_prediction":
        return None
    kept = products.double().clamp(1e-9, 1 - 1e-9).numpy()
    table: Rows = np.sqrt((1 - kept) / kept)
    return table
