"""Where a dream begins that a picture steers, for flow-matching models through the library's own pipelines.

    flow = learn(pipe, call)                       # the schedule that the pipeline sets; None: it is of another kind
    start = flow.at(0.37)
    with start.held(pipe):
        pipe(latents=start.mixed(picture, noise))

Dreamer process; torch. A flow goes straight from noise to picture, x = (1 - s) picture + s noise with s from 1 to 0
(Lipman et al. 2022), and its scheduler steps by the difference of two s. So a dream can begin at any s: a strength of
k/n leaves out the first k of n steps, as the library's image-to-image pipelines do, and one between begins at an s
between. Nothing jumps, and one step is enough. The shift of a schedule hangs on the size of the picture and is the
pipeline's to find: it is watched once as it sets its timesteps, which no network is asked for.
"""

import copy
import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.dreamer.starts import COMING


class _Learnt(Exception):
    """What a pipeline is stopped with, once its timesteps are set."""


@dataclass(frozen=True)
class FlowStart:
    """scheduler: one that sets the rest of the schedule, whatever it is asked for; picture, noise: what there is of
    each at its beginning."""

    scheduler: Any
    picture: float
    noise: float

    def mixed(self, picture: Tensor, noise: Tensor) -> Tensor:
        """What the dream begins with, of two latents of one shape."""
        return self.picture * picture.to(noise) + self.noise * noise

    @contextmanager
    def held(self, pipe: Any) -> Iterator[None]:
        """Meanwhile the pipeline dreams by this schedule."""
        own, pipe.scheduler = pipe.scheduler, self.scheduler
        try:
            yield
        finally:
            pipe.scheduler = own


@dataclass(frozen=True)
class Flow:
    """A whole schedule: sigmas (n + 1), the last one 0, and timesteps (n)."""

    scheduler: Any
    sigmas: Tensor
    timesteps: Tensor

    def at(self, strength: float) -> FlowStart:
        """The start for a strength from 0, the pure walk, to 1, the picture itself."""
        steps = len(self.timesteps)
        u = min(max(strength, 0.0), 1.0) * steps
        k = min(int(u), steps - 1)
        f = min(u - k, 1.0)
        sigmas, times = self.sigmas[k:].clone(), self.timesteps[k:].clone()
        after = times[1] if len(times) > 1 else torch.zeros_like(times[0])
        sigmas[0], times[0] = sigmas[0] + f * (sigmas[1] - sigmas[0]), times[0] + f * (after - times[0])
        sigma = float(sigmas[0])
        x = min(u / COMING, 1.0)
        comes = x * x * (3 - 2 * x)  # nothing of the picture is in the noise that a dream begins as
        noise = math.sqrt(sigma * sigma + (1.0 - comes * comes) * max(1.0 - sigma * sigma, 0.0))
        return FlowStart(self._set_to(sigmas, times), comes * (1.0 - sigma), noise)

    def _set_to(self, sigmas: Tensor, times: Tensor) -> Any:
        made = copy.deepcopy(self.scheduler)
        whole = made.set_timesteps

        @functools.wraps(whole)  # pipelines look at what it takes
        def set_timesteps(*args: Any, **kwargs: Any) -> None:
            whole(*args, **kwargs)
            made.sigmas, made.timesteps = sigmas.to(made.sigmas), times.to(made.timesteps)
            made.num_inference_steps = len(times)

        made.set_timesteps = set_timesteps
        return made


def learn(pipe: Any, call: Callable[[], object]) -> Flow | None:
    """The schedule of a pipeline, as it sets it within `call`, which calls it; None for schedulers of other kinds."""
    own = pipe.scheduler
    if type(own).__name__ != "FlowMatchEulerDiscreteScheduler":
        return None
    if own.config.get("stochastic_sampling") or own.config.get("invert_sigmas"):
        return None
    probe = copy.deepcopy(own)
    whole = probe.set_timesteps

    @functools.wraps(whole)
    def set_timesteps(*args: Any, **kwargs: Any) -> None:
        whole(*args, **kwargs)
        raise _Learnt

    probe.set_timesteps = set_timesteps
    pipe.scheduler = probe
    try:
        call()
    except _Learnt:
        return Flow(own, probe.sigmas, probe.timesteps)
    finally:
        pipe.scheduler = own
    return None


def encoded(pipe: Any, picture: Tensor) -> tuple[Tensor, Tensor]:
    """A picture (1, 3, H, W) in 0..1 as the pipeline's network has it, (1, C, h, w), and as its decoder takes it: the
    mean of what the encoder says. Raises ValueError for a decoder without an encoder."""
    vae = pipe.vae
    if getattr(vae, "encoder", None) is None:
        raise ValueError(f"{type(vae).__name__} has no encoder")
    weight = next(vae.parameters())
    taken = (picture * 2 - 1).to(weight.device, weight.dtype)
    has_time = hasattr(vae.config, "z_dim")  # decoders of videos, which some families have for pictures
    said = vae.encode(taken[:, :, None] if has_time else taken)
    raw = (said.latents if hasattr(said, "latents") else said.latent_dist.mode()).float()
    flat = raw.flatten(1, -3)  # (1, C, h, w)
    if hasattr(vae, "bn"):  # Flux 2: 2x2 patches as channels, each normalised
        patches = pipe._patchify_latents(flat)
        mean, variance = (t.view(1, -1, 1, 1).float() for t in (vae.bn.running_mean, vae.bn.running_var))
        return (patches - mean) / (variance + vae.config.batch_norm_eps).sqrt(), raw
    mean, std = (getattr(vae.config, f"latents_{n}", None) for n in ("mean", "std"))
    if has_time and mean is not None and std is not None:
        m, s = (torch.tensor(v, device=flat.device).view(1, -1, 1, 1) for v in (mean, std))
        return (flat - m) / s, raw
    scale, shift = (getattr(vae.config, f"{n}_factor", None) for n in ("scaling", "shift"))
    return (flat - (shift or 0.0)) * (scale or 1.0), raw
