"""The fast path: our own sampling loop for the U-Net families (SD 1.x/2.x, SD-Turbo, LCM, SDXL, SDXL-Turbo).

Usage: `sampler = UNetSampler(parts, conditioning, settings)`; `sampler.picture(waypoint)` -> (H, W, 3) uint8
on the device. Dreamer process; torch.

It makes the pictures that diffusers' StableDiffusionPipeline and StableDiffusionXLPipeline make from the same
latents, steps and scheduler, without what they repeat for every picture: schedule, embeddings, progress bar, a trip
through numpy, Python around every block.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.dreamer import compiling, lora, replay
from engine.dreamer.cpu import tape
from engine.dreamer.guide import Pictures, encoder
from engine.dreamer.likeness import Adapter, make_likened
from engine.dreamer.liquid import by_area, carrying, make_regional, native_cells
from engine.dreamer.models import ModelError
from engine.dreamer.network import Network, Said, decode
from engine.dreamer.noise import Noise
from engine.dreamer.outline import Make, Outline, Residuals
from engine.dreamer.palettes import Palettes
from engine.dreamer.recipes import Plan
from engine.dreamer.schedule import Program, compile_schedule
from engine.dreamer.starts import Starts
from engine.dreamer.steer import Around, Steering, Words, others
from engine.walk.waypoint import SHEETS, Point, Waypoint, Wording

log = logging.getLogger("pedesis")

Run = Callable[..., Tensor]
Strength = Callable[[float], float]  # focus to factor of the noise (see focus.py)
# Up to so many calls of a network of up to so many parameters are recorded in one piece, which saves the text's
# keys and values in every step. Elsewhere the network alone is recorded: trying it out costs a few calls only, and it
# serves what pictures steer too.
UNROLLED, SMALL = 8, 100e6


class HalfOverflow(Exception):
    """A network whose numbers do not fit in float16: its pictures would be black, without an error."""


@dataclass(frozen=True)
class Parts:
    """The pieces of a U-Net pipeline that dreaming needs, on their device and in their precision."""

    unet: Any
    vae: Any
    scheduler: Any
    xl: bool  # pooled text and size conditioning, as SDXL has
    loras: lora.Strengths | None = None  # of those in the U-Net
    control: tuple[Any, Make] | None = None  # a ControlNet, and what makes its hint of a picture
    adapter: Adapter | None = None  # an IP-Adapter


@dataclass(frozen=True)
class Settings:
    """How to sample."""

    width: int  # pixels
    height: int
    steps: int
    guidance: float
    factor: int  # pixels per latent cell
    plan: Plan | None = None  # of the steps, where they are more than a number
    recorder: replay.Recorder | None = None  # of a card that captures graphs
    compiles: bool = False  # whether compile() will be asked for


@dataclass(frozen=True)
class Made:
    """A picture and what it came of, on the device."""

    picture: Tensor  # (H, W, 3) uint8
    noise: Tensor  # (1, C, h, w), what the dream started from
    latent: Tensor | None  # (1, C, h, w), what the decoder was given, about as large as the noise; None: not to be had


def to_uint8(picture: Tensor) -> Tensor:
    """(1, 3, H, W) in -1..1 to (H, W, 3) uint8, rounded as diffusers does."""
    scaled = picture[0].permute(1, 2, 0).float() * 127.5 + 127.5  # (H, W, 3)
    return scaled.clamp(0, 255).round().to(torch.uint8).contiguous()


class UNetSampler:
    """Waypoint to picture through a U-Net; holds everything that stays the same."""

    def __init__(self, parts: Parts, palettes: Palettes, settings: Settings, taped: bool = True) -> None:
        self._settings, self._palettes = settings, palettes
        self.strength: Strength = lambda focus: focus
        self.steering: Steering | None = None  # until all else is there
        f = settings.factor
        if settings.width % f or settings.height % f:
            raise ModelError(
                f"model.width and model.height must be multiples of {f} for this model, "
                f"got {settings.width}x{settings.height}"
            )
        parameter = next(parts.unet.parameters())
        self._precision = parameter.dtype
        shape = (int(parts.unet.config.in_channels), settings.height // f, settings.width // f)
        self.noise = Noise(shape, parameter.device, native=native_cells(parts.unet.config))
        said = Said(parts, settings, parameter.dtype, parameter.device)
        self._text_names = said.names
        self.hears_negative = said.guided
        plan = settings.plan or Plan(settings.steps)
        solver = compile_schedule(parts.scheduler, plan, shape)
        self.compiled = isinstance(solver, Program)
        if isinstance(solver, Program):
            solver.to(parameter.device)
        self._solver = solver
        self._loras = parts.loras
        size = sum(p.numel() for p in lora.own_parameters(parts.unet))
        calls = len(solver.timesteps)
        self._unrolls = calls <= UNROLLED and size < SMALL
        can_tear = make_regional(parts.unet)
        plain = Network(parts, settings, said)
        more = _steered(parts, settings, said, shape)
        network = plain if self._unrolls else more.network
        self._rest = [] if self._unrolls else more.none  # what pictures add to the words, where none does
        self._latent = self._through(network)  # (1, C, h, w), with what the network answered after it, if it is known
        self._decoded: Run = lambda z: to_uint8(decode(parts.vae, z, parts.xl))
        if parameter.dtype == torch.float16:
            self._check_range(parts)
        self._plain = (network, self._decoded) if settings.compiles else None
        self._played: Run | None = None  # the network alone, recorded
        self.taped = taped and self._tape(network)
        # Once recorded, nothing here holds the modules of a large network any more: weights that were packed are not
        # kept twice. Words by patches need them.
        kept = (not self.taped or size < SMALL) and can_tear
        self._torn_network = plain if kept else None
        self._torn: Run | None = None
        self._making_torn = threading.Lock()
        self.is_compiled = self.is_captured = False
        self._capture()
        ways, recorder = self.noise.masks.ways, settings.recorder
        around = Around(solver, self._words, ways, self._precision, self.taped, self._played, recorder)
        starts = _starts(solver, parts.scheduler, plan, shape, parameter.device)
        pictures = Pictures(more.makers, parameter.device)
        asked = more.network if self._played is None or kept else None
        self.steering = Steering(pictures, asked, starts, around, more.none, more.outline)

    def _through(self, network: Run) -> Run:
        """Noise, how far it is turned up, and text to finished latent, through the given network."""
        solver = self._solver
        run = solver.run_with_answers if isinstance(solver, Program) else solver.run

        def latent(noise: Tensor, strength: Tensor, *text: Tensor) -> Tensor:
            return run(noise, lambda taken, i: network(taken, solver.timesteps[i], *text), strength)

        return latent

    def see(self, hash: str, read: Callable[[], NDArray[np.uint8]]) -> None:
        """Takes a picture that may steer; it is read only if it is new."""
        if self.steering is not None:
            self.steering.pictures.see(hash, read)

    def picture(self, waypoint: Waypoint, before_decode: Callable[[], None] | None = None) -> Tensor:
        """The picture of a waypoint, (H, W, 3) uint8 on the device."""
        return self.make(waypoint, before_decode).picture

    @torch.inference_mode()
    def make(self, waypoint: Waypoint, before_decode: Callable[[], None] | None = None) -> Made:
        """The picture of a waypoint, and what it came of."""
        noise, strength = self.start(waypoint)
        latent = self._dreamt(waypoint, noise, strength)
        if latent.device.type != "cuda":
            if before_decode is not None:
                before_decode()
            return Made(self._decoded(latent), noise, latent)
        # CUDA has only been told so far. The decoder is queued at once; the word goes out when the latent is there.
        dreamt = torch.cuda.Event()
        dreamt.record()
        picture = self._decoded(latent)
        if before_decode is not None:
            dreamt.synchronize()
            before_decode()
        return Made(picture, noise, latent)

    @torch.inference_mode()
    def latent(self, waypoint: Waypoint, factor: float | None = None) -> Tensor:
        """The finished latent of a waypoint, (1, C, h, w) float32, as the pipelines have it before decoding.

        factor: of the noise, in place of what the waypoint's focus asks for.
        """
        return self._dreamt(waypoint, *self.start(waypoint, factor))

    @torch.inference_mode()
    def steps(self, waypoint: Waypoint, most: int) -> list[Tensor]:
        """What a picture goes through: the noise that it begins as, decoded as it is, then after each of at most `most`
        calls the picture that was guessed, the finished one last; (H, W, 3) uint8 each.

        Only the finished one where the scheduler is stepped through the library; of a torn picture, those of its first
        sheet.
        """
        waypoint = replace(waypoint, liquid=None)
        noise, strength = self.start(waypoint)
        latents = self._latent(noise, strength, *self._text(waypoint), *self._rest)
        if not isinstance(self._solver, Program):
            return [self._decoded(latents)]
        guesses = self._solver.guesses(noise, latents[1:])
        last = len(guesses) - 1
        some = sorted({round(i * last / max(most - 1, 1)) for i in range(most)}) if last else [0]
        chosen = [guesses[i : i + 1] for i in some[:-1]]
        return [self._decoded(latent.contiguous()) for latent in (noise, *chosen, latents[:1])]

    def start(self, waypoint: Waypoint, factor: float | None = None) -> tuple[Tensor, Tensor]:
        """What a dream starts from: the noise (1, C, h, w), turned up as far as it is, and how far that is, (1,)."""
        noise = self.noise(waypoint)
        factor = self.strength(waypoint.focus) if factor is None else factor
        if factor != 1.0:
            noise = noise * factor
        return noise, torch.full((1,), factor, dtype=noise.dtype, device=noise.device)

    @property
    def trials(self) -> int:
        return len(self._trials())

    def trial(self, factor: float, number: int) -> Tensor:
        """The finished latent of one of the trials, for measuring (see focus.py)."""
        return self.latent(self._trials()[number], factor)

    def _dreamt(self, waypoint: Waypoint, noise: Tensor, strength: Tensor) -> Tensor:
        """The finished latent, (1, C, h, w)."""
        if self.steering is not None:
            steered = self.steering.latent(waypoint, noise, strength)
            if steered is not None:
                return steered
        words = self._words(waypoint)
        if words.shares is None or words.carried is None or self._torn_network is None:
            return self._latent(noise, strength, *words.texts, *self._rest)[:1]
        given = [noise, strength, words.shares, words.carried, *words.texts]
        with self._making_torn:  # a film dreams in several threads
            if self._torn is None:
                self._torn = self._make_torn(self._torn_network, given)
        return self._torn(*given)

    def _make_torn(self, network: Run, given: list[Tensor]) -> Run:
        """As _through, with words by patches, whose cells are carried about: noise, its strength, shares (N, h, w),
        what is carried (2, M, h, w) and N texts to finished latent."""
        solver, ways = self._solver, self.noise.masks.ways

        def latent(noise: Tensor, strength: Tensor, shares: Tensor, carried: Tensor, *texts: Tensor) -> Tensor:
            def predict(taken: Tensor, i: int) -> Tensor:
                return network(taken, solver.timesteps[i], *texts, shares=shares)

            return solver.run(noise, predict, strength, carrying(carried, ways, len(solver.timesteps)))

        if not (self.taped and self._unrolls) and self._settings.recorder is None:
            return latent
        with torch.inference_mode(False), torch.no_grad():  # what is recorded counts how often a tensor was written
            one = [t.clone() for t in given]
            noise, strength, *places, texts = *one[:4], one[4:]
            other = [noise.flip(-1), strength, *(p.flip(-1) for p in places), *(text.flip(0) for text in texts)]
            if self.taped and self._unrolls:
                latent = tape.record(latent, one, other, self._precision) or latent
            return self._captured(latent, one, other, "network for torn pictures") or latent

    def _words(self, waypoint: Waypoint) -> Words:
        """What a waypoint says, torn or whole; where the network cannot hear by patches, by how much each has."""
        if waypoint.liquid is None:
            return Words(self._text(waypoint))
        shares = self.noise.masks(waypoint.liquid, waypoint.loop)  # (N, h, w)
        if self._torn_network is None:
            mixed = self._palettes.say(by_area(waypoint, shares))
            return Words(self._told(waypoint, mixed))
        said = [sheet.words for sheet in waypoint.sheets]
        if more := 1 + SHEETS - len(said):  # recorded networks take one number of sheets: the rest have no place
            said += [said[0]] * more
            shares = torch.nn.functional.pad(shares, (0, 0, 0, 0, 0, more))
        return Words(
            self._texts(waypoint, said, shares), shares, self.noise.masks.carried(waypoint.liquid, waypoint.loop)
        )

    def _text(self, waypoint: Waypoint) -> list[Tensor]:
        return self._told(waypoint, self._palettes.mix(waypoint))

    def _told(self, waypoint: Waypoint, mixed: dict[str, Tensor]) -> list[Tensor]:
        """What the network is told beside the noise: the words, and the strengths of the LoRAs."""
        loras = {} if self._loras is None else {lora.NAME: self._loras.of(waypoint)}
        return [(mixed | loras)[name] for name in self._text_names]

    def _texts(self, waypoint: Waypoint, said: Sequence[Sequence[Wording]], shares: Tensor) -> list[Tensor]:
        """The same of N sheets, (N, L, D); what is heard everywhere alike, (1, P), by how much each has."""
        mixed = [self._palettes.say(words) for words in said]
        areas = shares.mean((1, 2))  # (N,)
        rows = {name: torch.cat([one[name] for one in mixed]) for name in mixed[0] if name in self._text_names}
        heard = {n: t if t.dim() > 2 else (areas @ t.float())[None].to(t.dtype) for n, t in rows.items()}
        return self._told(waypoint, heard)

    def _trials(self) -> list[Waypoint]:
        """Two waypoints that have nothing in common: one between all materials, one at the first."""
        count = self._palettes.count
        weights = ([1.0 / count] * count, [1.0] + [0.0] * (count - 1))
        return [Waypoint(0.0, 0, (Point(seed, 0.0, 0.0, 1.0),), tuple(w)) for seed, w in enumerate(weights)]

    @torch.no_grad()
    def _check_range(self, parts: Parts) -> None:
        """Dreams once in float16; a decoder that overflows is put into float32. Raises HalfOverflow."""
        latent = self.latent(self._trials()[0])
        if not torch.isfinite(latent).all():
            raise HalfOverflow
        if not torch.isfinite(decode(parts.vae, latent, parts.xl)).all():
            log.warning("the decoder's numbers leave float16's range; it is run in float32")
            parts.vae.to(torch.float32)

    def _tape(self, network: Run) -> bool:
        """Puts recordings in place of the functions; leaves those that cannot be recorded."""
        with torch.no_grad():
            one, other = self._examples()
            (noise, _, *text), (other_noise, _, *other_text) = one, other
            times = self._solver.timesteps
            if self._unrolls:
                latent = tape.record(self._latent, one, other, self._precision)
            else:
                once, again = [noise, times[0], *text], [other_noise, times[-1], *other_text]
                self._played = tape.record(network, once, again, self._precision)
                latent = self._through(self._played) if self._played else None
            self._latent = latent or self._latent
            decoded = tape.record(self._decoded, [noise], [other_noise], self._precision)
        self._decoded = decoded or self._decoded
        return latent is not None and decoded is not None

    def _examples(self) -> tuple[list[Tensor], list[Tensor]]:
        """What the functions are given for two pictures that have nothing in common."""
        first, second = self._trials()
        if self._loras is not None:
            second = replace(second, loras=self._loras.others)
        one, other = ([*self.start(w, 1.0), *self._text(w)] for w in (first, second))
        return [*one, *self._rest], [*other, *others(self._rest)]

    def _capture(self) -> None:
        """Has a card play the functions; what it cannot play stays as it is. A scheduler that is stepped through the
        library keeps its place in Python, which no capture repeats: then the decoder alone is played."""
        if self._settings.recorder is None:
            return
        with torch.no_grad():
            one, other = self._examples()
            latent = self._captured(self._latent, one, other, "network") if self.compiled else None
            decoded = self._captured(self._decoded, one[:1], other[:1], "decoder")
        self._latent, self._decoded = latent or self._latent, decoded or self._decoded
        self.is_captured = latent is not None and decoded is not None

    def _captured(self, run: Run, one: list[Tensor], other: list[Tensor], what: str) -> Run | None:
        precision = torch.float16 if what == "decoder" else self._precision  # a step of eight bits is as coarse
        return replay.capture(run, one, other, self._settings.recorder, what, precision)

    def compile(self, compiler: compiling.Compiler) -> tuple[Run, Run] | None:
        """Network and decoder as torch.compile has them, for take_up(); None, and a line, if they cannot be had.
        Any thread, while another dreams on; takes minutes."""
        if self._plain is None or not self.compiled:
            log.warning("model.compile does nothing with this scheduler, which is stepped through the library")
            return None
        network, decoded = (compiling.alone(compiler(run)) for run in self._plain)
        with torch.no_grad():
            one, other = self._examples()
            latent = compiling.checked(self._through(network), self._latent, one, other, self._precision)
            if latent is None:  # nor would the decoder compile, and that would be said twice
                return None
            picture = compiling.checked(decoded, self._decoded, one[:1], other[:1], torch.float16)
        return None if picture is None else (latent, picture)

    def take_up(self, compiled: tuple[Run, Run]) -> None:
        """From the next picture on dreams with these. In the thread that dreams, between two pictures."""
        self._latent, self._decoded = compiled
        self.is_compiled = True
        self._capture()


@dataclass(frozen=True)
class _Steered:
    """What pictures steer: the network that takes what they add, what makes that of them, and what adds nothing."""

    network: Network
    makers: dict[str, Make]
    none: list[Tensor]
    outline: Outline | None


def _steered(parts: Parts, settings: Settings, said: Said, shape: tuple[int, int, int]) -> _Steered:
    device, batch = next(parts.unet.parameters()).device, 2 if said.guided else 1
    makers: dict[str, Make] = {}
    none: list[Tensor] = []
    residuals = outline = None
    if getattr(parts.vae, "encoder", None) is not None:
        makers["latent"] = encoder(parts.vae, parts.xl)
    if parts.control is not None:
        net, makers["outline"] = parts.control
        outline, residuals = Outline(net, said), Residuals(net.config, shape[1:], batch)
        none.append(residuals.none(said.dtype, device))
    if parts.adapter is not None:
        adapter = replace(parts.adapter, guided=said.guided)
        make_likened(parts.unet, adapter.layers)
        makers["likeness"] = adapter.tokens
        none += [torch.zeros(adapter.shape, device=device), torch.zeros(1, device=device)]
    return _Steered(Network(parts, settings, said, residuals, parts.adapter is not None), makers, none, outline)


def _starts(solver: Any, scheduler: Any, plan: Plan, shape: tuple[int, ...], device: torch.device) -> Starts | None:
    """Every way to begin part of the way down; None for a scheduler that is stepped through the library, or whose steps
    cannot be had from there."""
    if not isinstance(solver, Program):
        return None
    try:
        return Starts(scheduler, plan, shape, device)
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        log.info("pictures cannot steer through guide.strength: %s", error)
        return None
