"""Loads a model and makes a Dreamer of it: `dream(waypoint)` is a pure function.

Usage: `dreamer = Dreamer(spec)`; `pixels = dreamer.dream(waypoint)` -> (H, W, 3) uint8.
Dreamer process; torch, and diffusers from the first Dreamer on. Never touches the network.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.dreamer import addition_files, compiling, embeddings, encoders, focus, guide_files, lora, models, numbers
from engine.dreamer.device import device_name, pick_device, pick_threads
from engine.dreamer.families import FAMILIES, is_fast
from engine.dreamer.faults import line, may_pass, to_model_error
from engine.dreamer.generic import PipelineSampler
from engine.dreamer.landing import Landing, Landings, copies_of
from engine.dreamer.likeness import Adapter
from engine.dreamer.means import Means
from engine.dreamer.models import ModelError, ModelPlace
from engine.dreamer.noise import Conditioning
from engine.dreamer.outline import Make, hint_maker
from engine.dreamer.palettes import Palettes
from engine.dreamer.parts import Progress, check_classes, load_part, read_adapter, read_control, read_decoder, variant
from engine.dreamer.prompts import encode
from engine.dreamer.quantize import quantize
from engine.dreamer.recipes import plan_of
from engine.dreamer.ring import Ring, Shapes
from engine.dreamer.sampler import HalfOverflow, Parts, Settings, UNetSampler
from engine.dreamer.schedule import pick_scheduler
from engine.dreamer.spec import Arithmetic, DreamSpec
from engine.show.machine import usable_cpus
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint

log = logging.getLogger("pedesis")

WORKERS = 4  # the film has no more than process.SLOTS under way
STEPS_SHOWN = 6  # of the steps of a sketch, at most
SKETCH_PX = 256  # a sketch is at most so wide


class Dreamer:
    """A loaded model. The same waypoint on the same machine gives the same bytes."""

    def __init__(self, spec: DreamSpec, progress: Progress = lambda _: None) -> None:
        self.spec = spec
        place = models.find(spec.model.name, spec.model.decoder)
        self._plan = plan_of(spec.model)
        self.device = pick_device(spec.model.device)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)  # events and streams are the current card's
        fast = is_fast(place.pipeline)
        self._means = Means(spec, place, self.device)
        self.dtype = self._means.dtype
        self._decode, self._bits = "whole", ""  # how pictures are decoded, and a network's weights, if of 8 bits
        self._landings = Landings(copies_of(self.device))
        self._dreamt = False
        self._behind: compiling.Behind[Any] | None = None  # what torch.compile works on
        self._threads = pick_threads(place, spec.crowded, spec.film and fast)  # the others dream one at a time
        if self.device.type == "cpu":
            torch.set_num_threads(self._threads)
        load = self._load_fast if fast else self._load_generic
        with to_model_error(place.name), quiet():
            check_classes(place)
            self._check_additions(place)
            for said in place.notes:
                log.warning("%s: %s", place.name, said)
            sampler: UNetSampler | PipelineSampler | None = None
            with contextlib.suppress(HalfOverflow):
                sampler = load(place, progress)
            if sampler is None:
                log.warning("%s: its numbers leave float16's range; it is run in float32", place.name)
                self.dtype = self._means.dtype = torch.float32
                sampler = load(place, progress)
            self._sampler = sampler
            self._say_unheard(place)
            if self._means.compiles and spec.film:  # which is made one way from its first picture on
                progress("compiling the network")
                self._take_up(self._compiled())
        self.on_learnt: Callable[[Arithmetic], None] = lambda _: None  # told when a focus curve comes to be known
        sampler.strength = self._focus = self._find_focus(place)

    @property
    def arithmetic(self) -> Arithmetic:
        """What its pictures' bytes hang on."""
        threads = self._threads if self.device.type == "cpu" else 1
        dtype = str(self.dtype).removeprefix("torch.")
        curve = focus.to_text(self._focus.curve)
        dtype += f"+{self._bits}" if self._bits else ""
        runs = " ".join(how for how, on in (("compiled", self._is_compiled), ("graphs", self._is_captured)) if on)
        return Arithmetic(device_name(self.device), dtype, threads, self.spec.economy, curve, self._decode, runs)

    @property
    def described(self) -> str:
        """In a few words, for the status line."""
        said = [str(self.dtype).removeprefix("torch.")]
        said += [f"{self._bits} weights"] * bool(self._bits)
        said += [f"graphs {'on' if self._is_captured else 'off'}"] * (self.device.type == "cuda")
        said += ["compiled"] * self._is_compiled + ["in tiles"] * (self._decode == "tiles")
        return f"{self.spec.model.name} on {device_name(self.device)} in {', '.join(said)}"

    @property
    def _is_captured(self) -> bool:
        return isinstance(self._sampler, UNetSampler) and self._sampler.is_captured

    @property
    def _is_compiled(self) -> bool:
        return isinstance(self._sampler, UNetSampler) and self._sampler.is_compiled

    @property
    def workers(self) -> int:
        """How many threads can each dream a picture of its own at the same time: for a film with a small network on a
        CPU as many as there are cores, up to WORKERS; else one."""
        shared = isinstance(self._sampler, UNetSampler) and self._sampler.compiled  # a scheduler has one state
        alone = self.device.type != "cpu" or not self.spec.film or self.spec.economy > 0 or not shared
        return 1 if alone else max(1, min(usable_cpus() // self._threads, WORKERS))

    def prepare_thread(self) -> None:
        """What a thread does before its first picture."""
        if self.device.type == "cpu":
            torch.set_num_threads(self._threads)  # OpenMP keeps the number for every thread
        elif self.device.type == "cuda":
            torch.cuda.set_device(self.device)  # every thread has a current card of its own

    @property
    def lands_later(self) -> bool:
        """Whether a picture is still on its way when the next can be begun."""
        return self._landings.copies is not None

    def pin(self, ring: Ring) -> None:
        """Has the device write into the ring itself, where it can."""
        self._landings.pin(ring.memory)

    def dream(self, waypoint: Waypoint, before_decode: Callable[[], None] | None = None) -> NDArray[np.uint8]:
        """The picture of a waypoint, (H, W, 3) uint8."""
        out = np.empty((self.spec.height, self.spec.width, 3), dtype=np.uint8)
        self.dream_into(waypoint, out, before_decode)
        return out

    def dream_into(
        self,
        waypoint: Waypoint,
        out: NDArray[np.uint8],
        before_decode: Callable[[], None] | None = None,
        came_of: NDArray[np.uint8] | None = None,
    ) -> Shapes:
        """The same, written straight into `out` (a slot of the ring): one copy from the device.

        came_of: where noise and latent are written to as well, (2, N); their shapes come back.
        """
        landing, shapes = self.begin(waypoint, out, before_decode, came_of)
        landing.wait()
        return shapes

    def begin(
        self,
        waypoint: Waypoint,
        out: NDArray[np.uint8],
        before_decode: Callable[[], None] | None = None,
        came_of: NDArray[np.uint8] | None = None,
    ) -> tuple[Landing, Shapes]:
        """The same, which is there once it has landed. Where pictures land later, the next may be begun before that."""
        self._look_behind()
        made = self._sampler.make(waypoint, before_decode)
        sent = [(made.picture, out)]  # (H, W, 3)
        shapes: list[tuple[int, int, int] | None] = [None, None]
        if came_of is not None:
            for n, values in enumerate((made.noise, made.latent)):
                if values is not None:
                    flat, shapes[n] = numbers.squeezed(values, came_of[n].size)
                    sent.append((flat, came_of[n][: flat.numel()]))
        return self._landings.send(sent), (shapes[0], shapes[1])

    def see(self, hash: str, read: Callable[[], NDArray[np.uint8]]) -> None:
        """Takes a picture that waypoints name, (H, W, 3) uint8 of the model's size; it is read only if it is new."""
        self._sampler.see(hash, read)

    def sketch(self, waypoint: Waypoint, steps: bool = False) -> tuple[list[NDArray[np.uint8]], int]:
        """The picture of a waypoint, small, and how often the network was asked; steps: what it went through before it
        as well (see UNetSampler.steps). 0 times where that is not to be had, and the picture alone comes."""
        sampler = self._sampler
        if steps and isinstance(sampler, UNetSampler) and sampler.compiled:
            made = sampler.steps(waypoint, STEPS_SHOWN)
        else:
            made = [sampler.make(waypoint).picture]
        small = [_smaller(picture) for picture in made]
        return small, self.spec.model.steps if len(small) > 1 else 0

    def _find_focus(self, place: ModelPlace) -> focus.Focus:
        """The curve that pictures so far were made with, or the one in the model's folder, or what was measured on this
        machine; else it is measured when the first picture needs it."""
        m, sampler = self.spec.model, self._sampler
        more = [said for said in (m.recipe, m.scheduler_options) if said not in ("", "none")]
        how = (type(sampler).__name__, m.steps, m.guidance, m.scheduler, *more)
        kept = focus.kept_file(place, how)

        def learn() -> focus.Curve:
            curve = focus.learn(sampler.trial, sampler.trials, kept)
            self.on_learnt(replace(self.arithmetic, focus=focus.to_text(curve)))
            return curve

        known = focus.from_text(self.spec.focus) or focus.shipped(place) or (kept and focus.read_curve(kept))
        return focus.Focus(known or None, learn)

    def _say_unheard(self, place: ModelPlace) -> None:
        """Says that the negative prompt is not heard, where it is not."""
        m = self.spec.model
        if m.negative and m.guidance <= 1.0:
            log.warning("model.negative is not heard, as model.guidance is 1, which is none")
        elif m.negative and not self._sampler.hears_negative:
            log.warning("%s: this model hears no negative prompt, so model.negative does nothing", place.name)

    def _settings(self, factor: int) -> Settings:
        m, w, h, means = self.spec.model, self.spec.width, self.spec.height, self._means
        return Settings(w, h, m.steps, m.guidance, factor, self._plan, means.recorder(), means.compiles)

    def _compiled(self) -> Any:
        """Network and decoder as torch.compile has them, or None. Any thread; takes minutes."""
        self.prepare_thread()
        if not isinstance(self._sampler, UNetSampler):
            log.warning("model.compile is for Stable Diffusion and its kin alone, and does nothing here")
            return None
        with quiet():
            return self._sampler.compile(compiling.compiler())

    def _take_up(self, compiled: Any) -> None:
        if compiled is not None and isinstance(self._sampler, UNetSampler):
            self._sampler.take_up(compiled)

    def _look_behind(self) -> None:
        """Between two pictures: has the network compiled once the first is there, and takes up what comes of it."""
        if not self._means.compiles or self.spec.film:
            return
        if self._behind is None and self._dreamt:
            self._behind = compiling.Behind(self._compiled)
        elif self._behind is not None and (compiled := self._behind.take()) is not None:
            self._take_up(compiled)
            self.on_learnt(self.arithmetic)
        self._dreamt = True

    def _load_fast(self, place: ModelPlace, progress: Progress) -> UNetSampler:
        import diffusers

        late = self._means.late
        parts = {
            name: load_part(place, name, self.dtype, progress)
            for name in (
                "tokenizer",
                "tokenizer_2",
                "text_encoder",
                "text_encoder_2",
                "unet",
                "vae",
                "scheduler",
            )
            if name in place.components and name not in late and not (name == "vae" and self.spec.model.decoder)
        }
        if self.spec.model.decoder:
            progress(f"reading the decoder {self.spec.model.decoder}")
            parts["vae"] = read_decoder(self.spec.model.decoder, self.dtype)
        parts["scheduler"] = pick_scheduler(self._plan.scheduler, parts["scheduler"], self._plan.options)
        xl = place.pipeline == "StableDiffusionXLPipeline"
        options: dict[str, Any]
        if xl:
            index = {} if place.layout else models.read_json(place.name, place.path / "model_index.json")
            zeros = index.get("force_zeros_for_empty_prompt", True)
            options = {"add_watermarker": False, "force_zeros_for_empty_prompt": zeros}
        else:
            options = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipe = getattr(diffusers, place.pipeline)(**parts, **dict.fromkeys(late), **options)
        loras = self._add(pipe, "unet", progress)
        palettes = self._read_palette(pipe, progress, place, late)
        pipe.unet.to(memory_format=torch.channels_last)
        pipe.vae.to(memory_format=torch.channels_last)
        # SDXL's decoder overflows in float16. The others have the same word in their configuration, where nobody
        # put it: it is what diffusers writes for those that say nothing.
        if self.dtype == torch.float16 and xl and getattr(pipe.vae.config, "force_upcast", False):
            pipe.vae.to(torch.float32)
        self._decode = self._means.spread(pipe.vae)
        steers = self._read_steering(pipe.unet, progress)
        progress("trying the network out")  # three times, which takes a large one minutes on a CPU
        fast = Parts(pipe.unet, pipe.vae, pipe.scheduler, xl, loras, *steers)
        sampler = UNetSampler(fast, palettes, self._settings(pipe.vae_scale_factor))
        pipe.register_modules(unet=None, vae=None)  # what was packed is not kept twice; the encoders are still needed
        return sampler

    def _read_steering(self, unet: Any, progress: Progress) -> tuple[tuple[Any, Make] | None, Adapter | None]:
        """The show's ControlNet, with what makes its hints, and its IP-Adapter."""
        m, control, adapter = self.spec.model, None, None
        if m.control:
            progress(f"reading the ControlNet {m.control}")
            control = read_control(m.control, self.dtype, self.device), hint_maker(m.control_hint)
        if m.adapter:
            progress(f"reading the IP-Adapter {m.adapter}")
            adapter = read_adapter(m.adapter, m.adapter_encoder, unet, self.dtype, self.device)
        return control, adapter

    def _load_generic(self, place: ModelPlace, progress: Progress) -> PipelineSampler:
        import diffusers

        kind = getattr(diffusers, place.pipeline)
        progress(f"reading {place.name}")
        index = models.read_json(place.name, place.path / "model_index.json")
        # parts that the folder says it lacks must be named as None, or diffusers asks for them
        without = {n: None for n, entry in index.items() if entry == [None, None] or n in models.NEVER_LOADED}
        # diffusers takes the files of that name where a part has them, and the plain ones elsewhere
        half = next((v for part in place.components if (v := variant(place.path / part))), None)
        options: dict[str, Any] = {"torch_dtype": self.dtype, "variant": half}
        options |= {"use_safetensors": True, "local_files_only": True}
        late = self._means.late
        hollow = {name: encoders.hollow(place.path / name, *place.components[name], self.dtype) for name in late}
        pipe = kind.from_pretrained(place.path, **options, **without, **hollow)
        if self.spec.model.decoder:
            pipe.vae = read_decoder(self.spec.model.decoder, self.dtype)
        pipe.scheduler = pick_scheduler(self._plan.scheduler, pipe.scheduler, self._plan.options)
        pipe.set_progress_bar_config(disable=True)
        loras = self._add(pipe, FAMILIES[place.pipeline].network, progress)
        try:
            palettes = self._read_palette(pipe, progress, place, late)
        except Exception as error:  # whatever a pipeline raises whose parts are not what it takes them for
            if isinstance(error, ModelError) or may_pass(error):
                raise
            raise ModelError(f"{place.name}: it cannot read the materials ({line(error)}); get a whole copy") from error
        self._decode = self._means.spread(getattr(pipe, "vae", None))
        return PipelineSampler(pipe, palettes, self._settings(0), loras)

    def _check_additions(self, place: ModelPlace) -> None:
        """What of the show's LoRAs and embeddings is not for this model, before anything large is read."""
        import diffusers

        addition_files.check(place, self.spec.loras, self.spec.embeddings)
        guide_files.check(place, self.spec.model)
        lora.check_pipeline(getattr(diffusers, place.pipeline), self.spec.loras)

    def _add(self, pipe: Any, network: str, progress: Progress) -> lora.Strengths | None:
        """Puts the show's words and its LoRAs into a pipeline."""
        self._words = embeddings.teach(pipe, self.spec.embeddings)
        if self.spec.loras:
            progress("reading the LoRAs")
        loras = lora.add_loras(pipe, network, self.spec.loras)
        if loras is not None:
            loras.device = self.device
        return loras

    def take_palette(self, palette: Palette) -> None:
        """Encodes the words of another palette, which waypoints may name from then on. Any thread, while others
        dream; those of the palettes before stay known (see Palettes)."""
        self.prepare_thread()
        with quiet():
            self._palettes.add(palette.id, self._encode(self._pipe, palette), palette.is_brief)

    def _read_palette(self, pipe: Any, progress: Progress, place: ModelPlace, late: tuple[str, ...]) -> Palettes:
        """Encodes the first palette, and puts the pipeline on its device. The text encoders, often the largest part,
        are seldom needed again and leave the device before the rest comes, and memory before what is late is read."""
        progress("reading the materials")
        one_length = is_fast(type(pipe).__name__)
        self._readers = self._means.readers(pipe)
        palettes = Palettes(self.spec.palette.id, self._encode(pipe, self.spec.palette), one_length)
        for name in late:
            pipe.register_modules(**{name: load_part(place, name, self.dtype, progress)})
        self._bits = quantize(getattr(pipe, FAMILIES[place.pipeline].network), self.spec.model.quantize, self.device)
        for name, part in pipe.components.items():
            if isinstance(part, torch.nn.Module) and not name.startswith("text_encoder"):
                part.to(self.device)
        self._pipe, self._palettes = pipe, palettes
        return palettes

    def _encode(self, pipe: Any, palette: Palette) -> Conditioning:
        """The words through the text encoders, which come to the device for it and leave it again."""
        guided = self.spec.model.guidance > 1.0
        negative = self.spec.model.negative
        return self._readers.with_them(
            lambda: encode(pipe, palette.prompts, negative, guided, palette.is_brief, self._words)
        )


def _smaller(picture: torch.Tensor) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 at a whole fraction of its size, at most SKETCH_PX wide."""
    h, w, _ = picture.shape
    every = max(1, -(-w // SKETCH_PX))
    h, w = h // every, w // every
    cells = picture[: h * every, : w * every].float().reshape(h, every, w, every, 3)  # (h, n, w, n, 3)
    small: NDArray[np.uint8] = cells.mean((1, 3)).round().to(torch.uint8).cpu().numpy()
    return small


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Loading without the libraries' bars and advice, and without a single look at the network."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("torch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
