"""The other path: any text-to-image pipeline of diffusers, through its own __call__.

Usage: `sampler = PipelineSampler(pipe, palettes, settings)`, `sampler.picture(waypoint)`.
Dreamer process; torch. Slower than sampler.py, for SD3, Flux, PixArt, Sana and their kin: the pipeline is given our
latents and our mixed embeddings and does the rest its own way. Which pipelines can be walked stands in families.py;
what they take is read from their signatures. A picture can steer those that match flows (flow.py); whether it does is
tried out when the first one comes.
"""

import inspect
import math
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from engine.dreamer.families import FAMILIES, INSTEAD
from engine.dreamer.faults import line, may_pass
from engine.dreamer.flow import Flow, FlowStart, encoded, learn
from engine.dreamer.guide import Asked, Pictures, asked, say_once
from engine.dreamer.liquid import by_area, native_cells
from engine.dreamer.lora import Strengths
from engine.dreamer.models import ModelError
from engine.dreamer.noise import Noise
from engine.dreamer.palettes import Palettes
from engine.dreamer.sampler import Made, Settings, Strength
from engine.walk.waypoint import Point, Waypoint, Wording

_CLOSE = 0.1  # of a latent that is the same, in half precision too, by its spread
NOISE_SEED = 0  # of the noise that a pipeline may add for itself: still while the walk moves
_SIZE = re.compile(r"divisible|multiple|\b(height|width|resolution|size)\b", re.I)  # in what is said of a size


class PipelineSampler:
    """Waypoint to picture through a pipeline's own __call__."""

    def __init__(self, pipe: Any, palettes: Palettes, settings: Settings, loras: Strengths | None = None) -> None:
        self._pipe, self._palettes, self._settings, self._loras = pipe, palettes, settings, loras
        self._takes = inspect.signature(type(pipe).__call__).parameters
        self._family = FAMILIES[type(pipe).__name__]
        network = getattr(pipe, self._family.network)
        self._device, self._dtype = pipe._execution_device, next(network.parameters()).dtype
        # Distilled with guidance it takes the number itself; another one takes it as classifier-free guidance.
        self._distilled = bool(getattr(network.config, "guidance_embeds", False))
        # Z-Image takes its embeddings in lists, and the types of __call__ say so
        self._listed = [n for n, p in self._takes.items() if "list[torch" in str(p.annotation).lower()]
        self._guidance = 0.0 if settings.guidance <= 1.0 and _counts_from_zero(pipe) else settings.guidance
        self._tried = False
        given = settings.plan.given if settings.plan else {}
        if lacking := [name for name in given if name not in self._takes]:
            raise ModelError(f"{type(pipe).__name__} takes no {lacking[0]} of its own; leave out {lacking[0]} "
                             "in model.scheduler_options, and a model.recipe that has them")  # fmt: skip
        self.strength: Strength = lambda focus: focus
        self._given: Tensor | None = None  # what the decoder was last given
        self._raw: Tensor | None = None  # the same, as it was
        self._overhear(pipe)
        self._told: set[str] = set()
        self._pictures = Pictures({"latent": lambda picture: encoded(pipe, picture)[0]}, self._device)
        self._flow: Flow | None = None  # the schedule, where pictures can steer
        self._begins: str | None = None  # why they cannot, or "" where they can; None: not tried yet
        shape = _latent_shape(pipe, network, settings, self._family.cell_px)
        self.noise = Noise(shape, self._device, native=native_cells(network.config))

    @property
    def hears_negative(self) -> bool:
        """Whether a negative prompt changes anything."""
        if "negative_prompt_embeds" not in self._takes:
            return False
        if "true_cfg_scale" in self._takes:
            return not self._distilled
        self._pipe._guidance_scale = self._guidance
        return bool(getattr(self._pipe, "do_classifier_free_guidance", True))

    def see(self, hash: str, read: Callable[[], NDArray[np.uint8]]) -> None:
        """Takes a picture that may steer; it is read only if it is new."""
        self._pictures.see(hash, read)

    def picture(self, waypoint: Waypoint, before_decode: Callable[[], None] | None = None) -> Tensor:
        """The picture of a waypoint, (H, W, 3) uint8."""
        return self.make(waypoint, before_decode).picture

    @torch.inference_mode()
    def make(self, waypoint: Waypoint, before_decode: Callable[[], None] | None = None) -> Made:
        """The picture of a waypoint, and what it came of. The decoder is inside, so `before_decode` comes first."""
        if before_decode is not None:
            before_decode()
        noise = self.start(waypoint)
        try:
            start = self._steered(waypoint, noise)
            self._given = None
            images = self._call(waypoint, noise if start is None else start[1], start and start[0])
        except Exception as error:
            # what a pipeline refuses of our settings it says here, at its first picture
            if self._tried or may_pass(error):
                raise
            name = type(self._pipe).__name__
            plan = self._settings.plan
            cure = "leave out model.scheduler and model.recipe" if plan and plan.scheduler else INSTEAD
            cure = cure if _SIZE.search(str(error)) is None else "set another model.width and model.height"
            raise ModelError(f"{name} cannot dream with these settings ({line(error)}); {cure}") from error
        # Each family has them from 0 to 1 as numpy arrays; as tensors some have them from -1 to 1.
        image = torch.as_tensor(images[0])  # (H, W, 3)
        if not (self._tried or torch.isfinite(image).all()):
            name, precision = type(self._pipe).__name__, str(self._dtype).removeprefix("torch.")
            raise ModelError(f"{name} dreams no numbers in {precision}; set model.dtype to auto or float32")
        self._tried = True
        picture = image.float().mul(255).clamp_(0, 255).round_().to(torch.uint8).contiguous()
        return Made(picture, noise, self._given)

    def start(self, waypoint: Waypoint, factor: float | None = None) -> Tensor:
        """The noise that a dream starts from, (1, C, h, w), turned up as far as the waypoint's focus asks for, or by
        `factor`. What a pipeline draws for itself cannot be turned down."""
        noise = self.noise(waypoint)
        factor = self.strength(waypoint.focus) if factor is None else factor
        return noise if factor == 1.0 else noise * factor

    trials = 2

    @torch.inference_mode()
    def trial(self, factor: float, number: int) -> Tensor:
        """The finished latent of one of two trials, (1, C, h, w), for measuring (see focus.py)."""
        count = self._palettes.count
        weights = tuple(float(n == 0) for n in range(count)) if number else (1.0 / count,) * count
        waypoint = Waypoint(0.0, 0, (Point(number, 0.0, 0.0, 1.0),), weights)
        noise = self.start(waypoint, factor)
        return self._unpacked(self._call(waypoint, noise, output_type="latent"), noise)

    def _call(self, waypoint: Waypoint, noise: Tensor, start: FlowStart | None = None, **other: Any) -> Any:
        """The pipeline's own call: what it says are the images, arrays of (H, W, 3), or latents if it is asked.
        start: part of the way down, where it begins there."""
        options = self._options(waypoint, noise) | other
        with ExitStack() as held:
            if self._loras is not None:
                held.enter_context(self._loras.held(self._loras.of(waypoint)))
            if start is not None:
                held.enter_context(start.held(self._pipe))
            return self._pipe(**{n: v for n, v in options.items() if n in self._takes}).images

    def _steered(self, waypoint: Waypoint, noise: Tensor) -> tuple[FlowStart, Tensor] | None:
        """Where a dream begins that pictures steer, and with what; None where none does."""
        how = asked(waypoint.guide)
        if how is None or waypoint.guide is None:
            return None
        plain = replace(waypoint, guide=None)
        if how.strength and self._begins is None:
            self._begins = self._try_beginning(plain, noise)
        self._say_unheard(how)
        if not how.strength or self._begins or self._flow is None:
            return None
        picture = self._pictures.mixed(waypoint.guide.seen, "latent")
        if picture is None:
            return None
        start = self._flow.at(how.strength)
        return start, start.mixed(picture, noise)

    def _try_beginning(self, waypoint: Waypoint, noise: Tensor) -> str:
        """Learns the schedule, and whether a picture that a dream begins as in full comes to the decoder as it is: so
        it is seen whether latents are what they are taken for here. Why not, or ""."""
        name = type(self._pipe).__name__
        self._flow = learn(self._pipe, lambda: self._call(waypoint, noise))
        if self._flow is None or getattr(self._pipe, "vae", None) is None:
            kind = type(self._pipe.scheduler).__name__
            return f"{name} with {kind} cannot begin with a picture; models that match flows can (SD 3, Flux, Qwen)"
        try:
            patches = noise[:, :3].sigmoid()
            picture = functional.interpolate(patches, (self._settings.height, self._settings.width))
            latent, raw = encoded(self._pipe, picture)
            start, self._raw = self._flow.at(1.0), None
            self._call(waypoint, start.mixed(latent.reshape(noise.shape), noise), start)
        except (ValueError, RuntimeError, TypeError, AttributeError) as error:
            if may_pass(error):
                raise
            return f"{name} cannot begin with a picture ({line(error)})"
        if self._raw is None or self._raw.numel() != raw.numel():
            return f"{name} cannot begin with a picture: its decoder takes another form of latents"
        gap = (self._raw.float().flatten() - raw.flatten().to(self._raw.device)).abs().max() / raw.std()
        return "" if gap < _CLOSE else f"{name} cannot begin with a picture: its latents come in another form"

    def _say_unheard(self, how: Asked) -> None:
        """Says once what a picture asks for that is not done."""
        if how.strength and self._begins:
            say_once(self._told, f"guide.strength does nothing here: {self._begins}")
        if how.outline or how.likeness:
            say_once(self._told, "guide.outline and guide.likeness are for Stable Diffusion 1, 2 and XL, not for this "
                     "model")  # fmt: skip

    def _overhear(self, pipe: Any) -> None:
        """Has the decoder tell what it is given: the one place where all families have the latent in the same shape."""
        vae = getattr(pipe, "vae", None)
        if vae is None:
            return
        decode = vae.decode
        scale, shift = (getattr(vae.config, f"{n}_factor", None) for n in ("scaling", "shift"))

        def overheard(given: Tensor, *args: Any, **kwargs: Any) -> Any:
            shown = given.flatten(1, -3)  # (1, C, h, w), where it has a place for time too
            self._raw = given
            self._given = (shown - (shift or 0.0)) * (scale or 1.0)  # back to about the size of the noise
            return decode(given, *args, **kwargs)

        vae.decode = overheard

    def _options(self, waypoint: Waypoint, noise: Tensor) -> dict[str, Any]:
        s = self._settings
        mixed = self._palettes.say(self._said(waypoint))
        options: dict[str, Any] = {
            n: t.to(self._device, self._dtype if t.is_floating_point() and "mask" not in n else t.dtype)
            for n, t in mixed.items()
        }
        options |= {n: list(options[n]) for n in self._listed if n in options}  # [(L, D)]
        given = s.plan.given if s.plan else {}
        options |= given
        if s.steps != 2 or given:  # Sana Sprint has one of its own, which it refuses at any other number of steps
            options["intermediate_timesteps"] = None
        return options | {
            "prompt": None,
            "negative_prompt": None,
            "latents": self._packed(noise),
            "width": s.width,
            "height": s.height,
            "num_inference_steps": s.steps,
            "guidance_scale": self._guidance,
            "eta": s.plan.eta if s.plan else 0.0,
            "true_cfg_scale": 1.0 if self._distilled else s.guidance,
            "generator": torch.Generator("cpu").manual_seed(NOISE_SEED),
            "output_type": "np",
            "use_resolution_binning": False,
            "clean_caption": False,
        }

    def _said(self, waypoint: Waypoint) -> tuple[Wording, ...]:
        """What is said; of a torn waypoint, by how much of the picture each sheet has. Words by patches would need to
        know how each family attends."""
        if waypoint.liquid is None:
            return waypoint.wordings
        return by_area(waypoint, self.noise.masks(waypoint.liquid, waypoint.loop))

    def _packed(self, noise: Tensor) -> Tensor:
        """Latents as the pipeline takes them: Flux and its kin want 2x2 patches in a row."""
        noise = noise.to(self._dtype)
        if not _takes_packed(self._pipe):
            return noise
        _, channels, h, w = noise.shape
        return self._pipe._pack_latents(noise, 1, channels, h, w)  # (1, h/2 * w/2, C*4)

    def _unpacked(self, latent: Tensor, noise: Tensor) -> Tensor:
        """A finished latent as (1, C, h, w), however the pipeline hands it out. Raises ValueError."""
        if latent.dim() == 3 and latent.numel() == noise.numel():
            _, c, h, w = noise.shape
            patches = latent.reshape(1, h // 2, w // 2, c, 2, 2)
            return patches.permute(0, 3, 1, 4, 2, 5).reshape(1, c, h, w)
        if latent.dim() == 5:
            latent = latent.flatten(1, 2)
        if latent.dim() != 4:
            raise ValueError(f"a latent must be (1, C, h, w), got {tuple(latent.shape)}")
        return latent


def _counts_from_zero(pipe: Any) -> bool:
    """Whether a guidance of 1 is already some, as for Z-Image, whose formula has none at 0."""
    pipe._guidance_scale = 1.0
    return bool(getattr(pipe, "do_classifier_free_guidance", False))


def _takes_packed(pipe: Any) -> bool:
    """Whether latents are handed over in a row. Flux 2 packs what it is given, and its own function says so."""
    pack = getattr(pipe, "_pack_latents", None)
    return pack is not None and len(inspect.signature(pack).parameters) > 1


def _latent_shape(pipe: Any, network: Any, settings: Settings, cell_px: int) -> tuple[int, int, int]:
    factor = int(getattr(pipe, "vae_scale_factor", 8))
    channels, patch = int(network.config.in_channels), getattr(network.config, "patch_size", None) or 1
    cell = factor * (max(patch) if isinstance(patch, tuple | list) else int(patch))
    processor = getattr(pipe, "image_processor", None)  # rounds a size that does not suit to multiples of its own
    if processor is not None:
        cell = max(cell, int(processor.config.vae_scale_factor))
    if _takes_packed(pipe):
        channels, factor = channels // 4, cell // 2  # vae_scale_factor has the patches in it for Bria, not for Flux
    elif hasattr(pipe, "_pack_latents"):
        factor *= 2  # Flux 2: its channels are those of 2x2 patches
    cell = math.lcm(cell, cell_px or 1)
    if settings.width % cell or settings.height % cell:
        raise ModelError(
            f"model.width and model.height must be multiples of {cell} for this model, "
            f"got {settings.width}x{settings.height}"
        )
    return channels, settings.height // factor, settings.width // factor
