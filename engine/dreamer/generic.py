"""The other path: any text-to-image pipeline of diffusers, through its own __call__.

Usage: `check(kind)`, `sampler = PipelineSampler(pipe, encode(pipe, prompts, negative, guided), settings)`,
`sampler.picture(waypoint)`. Dreamer process; torch. Slower than sampler.py, for SD3, Flux, PixArt, Sana and
whatever comes next: the pipeline is given our latents and our mixed embeddings and does the rest its own way.
What it takes and what its parts are called is read from the pipeline itself, not from a list of families.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.dreamer.faults import line, may_pass
from engine.dreamer.models import ModelError
from engine.dreamer.noise import Conditioning, Noise
from engine.dreamer.palettes import Palettes
from engine.dreamer.sampler import Settings
from engine.walk.navigator import Waypoint

NOISE_SEED = 0  # of the noise that a pipeline may add for itself: still while the walk moves
_INSTEAD = "name a model of another family, such as Stable Diffusion, SDXL, SD3 or Flux"
_NEEDED = ("prompt_embeds", "latents", "width", "height")
_OPTIONAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check(kind: type) -> None:
    """Raises ModelError unless pipelines of this class can be walked: before their gigabytes are read."""
    takes = inspect.signature(kind.__call__).parameters
    missing = [name for name in _NEEDED if name not in takes]
    if missing or not hasattr(kind, "encode_prompt"):
        lacks = f"takes no {' and no '.join(missing)}" if missing else "has no encode_prompt"
        raise ModelError(f"{kind.__name__} cannot be walked: it {lacks}; {_INSTEAD}")


def encode(pipe: Any, prompts: Sequence[str], negative: str, guided: bool) -> Conditioning:
    """Every prompt through the pipeline's text encoders, once; short sequences are padded to the longest."""
    rows = [_encode_one(pipe, prompt, negative, guided) for prompt in prompts]
    materials = {n: _stack([row[n] for row in rows]) for n in rows[0] if not n.startswith("negative_")}
    # a token counts where any material has one; here, as Conditioning would average a "prompt_attention_mask_2"
    joined = {n: materials.pop(n).amax(dim=0, keepdim=True) for n in list(materials) if "mask" in n}
    # some pipelines make the negative prompt as long as the prompt, and need it so
    longest = max(rows, key=lambda row: row["prompt_embeds"].shape[1])
    fixed = {n: t for n, t in longest.items() if n.startswith("negative_")}
    return Conditioning(materials, joined | fixed)


def _stack(tensors: list[Tensor]) -> Tensor:
    longest = max(t.shape[1] for t in tensors)
    if any(t.shape[1] != longest for t in tensors):
        padded = []
        for t in tensors:
            pad = [0] * (2 * (t.dim() - 2)) + [0, longest - t.shape[1]]
            padded.append(torch.nn.functional.pad(t, pad))
        tensors = padded
    return torch.cat(tensors)  # (N, L, D), (N, L) or (N, P)


def _encode_one(pipe: Any, prompt: str, negative: str, guided: bool) -> dict[str, Tensor]:
    wanted = inspect.signature(pipe.encode_prompt).parameters
    takes = inspect.signature(type(pipe).__call__).parameters
    against = negative if guided else ""
    zeros = pipe.config.get("force_zeros_for_empty_prompt", False)  # SDXL: and not the empty text
    # __call__ encodes with its own defaults: lengths, instructions to a language model
    known = {n: p.default for n, p in takes.items() if p.default is not p.empty}
    known |= _words(prompt) | {
        "negative_prompt": None if zeros and not against else against,
        "device": pipe._execution_device,
        "num_images_per_prompt": 1,
        "do_classifier_free_guidance": guided,
        "clean_caption": False,
    }
    needed = [n for n, p in wanted.items() if p.default is p.empty and p.kind not in _OPTIONAL]
    missing = [n for n in needed if n not in known]
    if missing:
        raise _unknown(pipe, f"its encode_prompt also needs {', '.join(missing)}")
    parts = _parts(pipe, known)
    if guided and "negative_prompt" not in wanted and "negative_prompt_embeds" in takes:  # encoded alone
        parts |= {f"negative_{n}": t for n, t in _parts(pipe, known | _words(negative)).items()}
    if "text_encoder_index" in wanted:  # HunyuanDiT: one encoder a call
        parts |= {f"{n}_2": t for n, t in _parts(pipe, known | {"text_encoder_index": 1}).items()}
    return parts


def _words(text: str) -> dict[str, Any]:
    return dict.fromkeys(("prompt", "prompt_2", "prompt_3"), text)


def _parts(pipe: Any, known: dict[str, Any]) -> dict[str, Tensor]:
    """What encode_prompt answers, by the names that __call__ has for it."""
    wanted = inspect.signature(pipe.encode_prompt).parameters
    with torch.no_grad():
        answer = pipe.encode_prompt(**{n: v for n, v in known.items() if n in wanted})
    answer = answer if isinstance(answer, tuple) else (answer,)
    names = _names(pipe)
    if len(names) != len(answer) or "prompt_embeds" not in names:
        raise _unknown(pipe, f"its encode_prompt answers with {len(answer)} parts, of which {names} are known")
    parts: dict[str, Tensor] = {}
    for name, part in zip(names, answer, strict=True):
        if isinstance(part, list) and len(part) == 1:  # Z-Image: a list of pictures, each (L, D)
            part = part[0][None]  # (1, L, D)
        if name and isinstance(part, Tensor):
            parts[name] = part
    return parts


def _names(pipe: Any) -> list[str]:
    """Names of the parts that encode_prompt returns, "" where __call__ takes no such thing (positions).

    Read from its return statement: the order differs from family to family, and two of them can look the same.
    """
    takes = [n for n in inspect.signature(type(pipe).__call__).parameters if "embeds" in n or "mask" in n]
    source = ast.parse(textwrap.dedent(inspect.getsource(type(pipe).encode_prompt)))
    returns = [node.value for node in ast.walk(source) if isinstance(node, ast.Return) and node.value is not None]
    last = max(returns, key=lambda value: value.lineno)
    if not isinstance(last, ast.Tuple):
        return ["prompt_embeds"]
    known = [[n.id for n in ast.walk(part) if isinstance(n, ast.Name) and n.id in takes] for part in last.elts]
    return [names[0] if names else "" for names in known]


def _unknown(pipe: Any, why: str) -> ModelError:
    return ModelError(f"{type(pipe).__name__} cannot be walked: {why}; {_INSTEAD}")


class PipelineSampler:
    """Waypoint to picture through a pipeline's own __call__."""

    def __init__(self, pipe: Any, palettes: Palettes, settings: Settings) -> None:
        self._pipe, self._palettes, self._settings = pipe, palettes, settings
        self._takes = inspect.signature(type(pipe).__call__).parameters
        network = getattr(pipe, "transformer", None) or getattr(pipe, "unet", None)
        if network is None:
            raise _unknown(pipe, "it has neither a transformer nor a U-Net")
        self._device, self._dtype = pipe._execution_device, next(network.parameters()).dtype
        # Distilled with guidance it takes the number itself; another one takes it as classifier-free guidance.
        self._distilled = bool(getattr(network.config, "guidance_embeds", False))
        # Z-Image takes its embeddings in lists, and the types of __call__ say so
        self._listed = [n for n, p in self._takes.items() if "list[torch" in str(p.annotation).lower()]
        self._guidance = 0.0 if settings.guidance <= 1.0 and _counts_from_zero(pipe) else settings.guidance
        self._tried = False
        self.noise = Noise(_latent_shape(pipe, network, settings), self._device)

    @torch.inference_mode()
    def picture(self, waypoint: Waypoint, before_decode: Callable[[], None] | None = None) -> Tensor:
        """The picture of a waypoint, (H, W, 3) uint8. The decoder is inside, so `before_decode` comes first."""
        if before_decode is not None:
            before_decode()
        options = self._options(waypoint)
        try:
            images = self._pipe(**{n: v for n, v in options.items() if n in self._takes}).images
        except Exception as error:
            # what a pipeline refuses of our settings it says here, at its first picture
            if self._tried or may_pass(error):
                raise
            name = type(self._pipe).__name__
            raise ModelError(f"{name} cannot dream with these settings ({line(error)}); {_INSTEAD}") from error
        if not (self._tried or torch.isfinite(images).all()):
            name, precision = type(self._pipe).__name__, str(self._dtype).removeprefix("torch.")
            raise ModelError(f"{name} dreams no numbers in {precision}; set model.dtype to auto or float32")
        self._tried = True
        scaled = images[0].permute(1, 2, 0).float().mul(255)  # (H, W, 3)
        return scaled.clamp_(0, 255).round_().to(torch.uint8).contiguous()

    def _options(self, waypoint: Waypoint) -> dict[str, Any]:
        s = self._settings
        mixed = self._palettes.mix(waypoint.palette, waypoint.weights)
        options: dict[str, Any] = {
            n: t.to(self._device, self._dtype if t.is_floating_point() and "mask" not in n else t.dtype)
            for n, t in mixed.items()
        }
        options |= {n: list(options[n]) for n in self._listed if n in options}  # [(L, D)]
        if s.steps != 2:  # Sana Sprint has one of its own, which it refuses at any other number of steps
            options["intermediate_timesteps"] = None
        return options | {
            "prompt": None,
            "negative_prompt": None,
            "latents": self._packed(self.noise(waypoint)),
            "width": s.width,
            "height": s.height,
            "num_inference_steps": s.steps,
            "guidance_scale": self._guidance,
            "true_cfg_scale": 1.0 if self._distilled else s.guidance,
            "generator": torch.Generator("cpu").manual_seed(NOISE_SEED),
            "output_type": "pt",
            "use_resolution_binning": False,
            "clean_caption": False,
        }

    def _packed(self, noise: Tensor) -> Tensor:
        """Latents as the pipeline takes them: Flux and its kin want 2x2 patches in a row."""
        noise = noise.to(self._dtype)
        if not _takes_packed(self._pipe):
            return noise
        _, channels, h, w = noise.shape
        return self._pipe._pack_latents(noise, 1, channels, h, w)  # (1, h/2 * w/2, C*4)


def _counts_from_zero(pipe: Any) -> bool:
    """Whether a guidance of 1 is already some, as for Z-Image, whose formula has none at 0."""
    pipe._guidance_scale = 1.0
    return bool(getattr(pipe, "do_classifier_free_guidance", False))


def _takes_packed(pipe: Any) -> bool:
    """Whether latents are handed over in a row. Flux 2 packs what it is given, and its own function says so."""
    pack = getattr(pipe, "_pack_latents", None)
    return pack is not None and len(inspect.signature(pack).parameters) > 1


def _latent_shape(pipe: Any, network: Any, settings: Settings) -> tuple[int, int, int]:
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
    if settings.width % cell or settings.height % cell:
        raise ModelError(
            f"this model needs a width and height that are multiples of {cell}, "
            f"given {settings.width}x{settings.height}"
        )
    return channels, settings.height // factor, settings.width // factor
