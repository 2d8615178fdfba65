"""How good the built-in model is, in numbers; eyes come first (`training.save_sheet`).

Usage: `evaluate.everything(model_folder, work)`, or `python scripts/eval_house_model.py`.

Everything is measured against the painter's unseen pictures (seeds from `data.UNSEEN_SEED`), on the exported
half-precision weights, through the networks of the folder as the engine would run them.
"""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.house_model import autoencoder, data, diffusion
from scripts.house_model.training import generator, save_sheet

HELD_OUT = {  # words no caption uses, and the palette each should bring
    "a sapphire": "blue", "the ocean": "blue", "sadness": "blue", "a lemon": "gold", "sunflowers": "gold",
    "a flamingo": "rose", "cherry blossom": "rose", "amethyst": "violet", "lavender fields": "violet",
    "a meadow of grass": "green", "jade": "green", "a ruby": "red", "blood": "red", "a carrot": "orange",
    "marmalade": "orange", "chocolate": "brown", "tree bark": "brown", "charcoal": "black", "a raven": "black",
    "snow": "white", "milk": "white", "concrete": "grey", "ash": "grey",
}


@dataclass(frozen=True)
class Model:
    """An exported folder, opened for measuring."""

    vae: nn.Module
    unet: nn.Module
    words: diffusion.Words

    @classmethod
    def open(cls, folder: Path, device: str = "cpu") -> Model:
        from diffusers import AutoencoderKL, UNet2DConditionModel

        vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32).eval().to(device)
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32).eval().to(device)
        return cls(vae, unet, diffusion.Words(folder, device))

    @torch.inference_mode()
    def dream(self, noise: Tensor, cond: Tensor, steps: int = 4, batch: int = 16) -> Tensor:
        """Pictures (B, 3, H, W) in 0..1 from noise (B, 16, H/16, W/16)."""
        out = []
        for n, c in zip(noise.split(batch), cond.split(batch), strict=True):
            z = diffusion.sample(self.unet, n, c, steps)
            with torch.autocast(n.device.type, torch.bfloat16):
                x = self.vae.decode(z / self.vae.config.scaling_factor).sample
            out.append(x.float().add(1).div(2).clamp(0, 1))
        return torch.cat(out)

    def noise(self, count: int, seed: int, size: tuple[int, int] = (16, 16)) -> Tensor:
        return torch.randn(count, 16, *size, generator=generator(seed, "evaluate", 0)).to(self.words.device)


# --- autoencoder -----------------------------------------------------------------------------------------


def psnr(y: Tensor, x: Tensor) -> Tensor:
    """Per picture, of values in 0..1."""
    return -10 * torch.log10((y - x).square().mean((1, 2, 3)).clamp(min=1e-9))


def ssim(y: Tensor, x: Tensor) -> Tensor:
    """Structural similarity on luma, 11-px Gaussian of 1.5 (Wang et al. 2004), per picture."""
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1).to(x.device)
    y, x = (y * luma).sum(1, keepdim=True), (x * luma).sum(1, keepdim=True)
    g = torch.exp(-((torch.arange(11.0) - 5) ** 2) / (2 * 1.5**2))
    g = (g / g.sum()).to(x.device)
    kernel = (g[:, None] * g[None, :])[None, None]
    mx, my, xx, yy, xy = (F.conv2d(t, kernel) for t in (x, y, x * x, y * y, x * y))
    vx, vy, cov = xx - mx * mx, yy - my * my, xy - mx * my
    s = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4))
    return s.mean((1, 2, 3))


@torch.inference_mode()
def reconstruction(model: Model, unseen: data.Pictures) -> dict[str, float]:
    """PSNR and SSIM of decoded against painted, in all and by world."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for i in range(0, len(unseen), 8):
        which = list(range(i, min(i + 8, len(unseen))))
        x = unseen.batch(which).to(model.words.device)
        y = model.vae.decode(autoencoder.encode(model.vae, x)).sample.clamp(-1, 1)
        x, y = x.add(1).div(2), y.add(1).div(2)
        for j, p, s in zip(which, psnr(y, x).tolist(), ssim(y, x).tolist(), strict=True):
            rows.setdefault(data.group_of(unseen.notes[j]), []).append((p, s))
    rows["all"] = [r for rs in list(rows.values()) for r in rs]
    out = {}
    for name, values in sorted(rows.items()):
        out[f"psnr_{name}"] = round(statistics.mean(p for p, _ in values), 2)
        out[f"ssim_{name}"] = round(statistics.mean(s for _, s in values), 3)
    return out


# --- sliced Wasserstein ----------------------------------------------------------------------------------


def _patches(x: Tensor, g: torch.Generator, per_picture: int = 64, side: int = 7) -> Tensor:
    """Random patches, each colour channel normalised over the set: (B·per_picture, 3·side²)."""
    b, _, h, w = x.shape
    ys = torch.randint(h - side + 1, (b, per_picture), generator=g)
    xs = torch.randint(w - side + 1, (b, per_picture), generator=g)
    steps = torch.arange(side)
    rows, cols = ys[..., None, None] + steps[:, None], xs[..., None, None] + steps
    picked = x.movedim(1, -1)[torch.arange(b).view(-1, 1, 1, 1), rows, cols]  # (B, n, side, side, 3)
    return picked.reshape(b * per_picture, side * side, 3)


def pyramid(x: Tensor, levels: int = 4) -> list[Tensor]:
    """Laplacian levels of (B, 3, h, w), finest first; the last is what is left, small."""
    out = []
    for _ in range(levels - 1):
        low = F.avg_pool2d(x, 2)
        out.append(x - F.interpolate(low, scale_factor=2, mode="bilinear"))
        x = low
    return [*out, x]


def sliced_wasserstein(a: Tensor, b: Tensor, g: torch.Generator, levels: int = 4, slices: int = 256) -> float:
    """Mean over Laplacian-pyramid levels, after Karras et al. 2018; the two sets must be equally many."""
    if len(a) != len(b):
        raise ValueError(f"sliced Wasserstein compares equally many pictures, and was given {len(a)} and {len(b)}")
    total = 0.0
    for fine_a, fine_b in zip(pyramid(a, levels), pyramid(b, levels), strict=True):
        pa, pb = _patches(fine_a, g), _patches(fine_b, g)
        mean, std = pb.mean((0, 1)), pb.std((0, 1)) + 1e-6
        pa, pb = ((p - mean).div(std).flatten(1) for p in (pa, pb))
        d = F.normalize(torch.randn(pa.shape[1], slices, generator=g), dim=0)
        total += float(((pa @ d).sort(0).values - (pb @ d).sort(0).values).abs().mean())
    return total / levels


def distribution(model: Model, unseen: data.Pictures, steps: tuple[int, ...] = (1, 2, 4)) -> dict[str, float]:
    """Generated against painted, as a multiple of painted against painted, on the same captions' mixture."""
    half = len(unseen) // 2
    first, second = (unseen.batch(list(range(i, i + half))).add(1).div(2) for i in (0, half))
    cond = conditioning(model, unseen.notes[half:])
    g = generator(0, "swd", 0)
    own, slices = sliced_wasserstein(first, second, g), g.get_state()
    out = {}
    for count in steps:
        made = model.dream(model.noise(half, 3), cond[:half], count).cpu()
        theirs = sliced_wasserstein(made, first, g.set_state(slices))
        out[f"swd_ratio_{count}_steps"] = round(theirs / own, 2)
    return out


def conditioning(model: Model, notes: list[dict]) -> Tensor:
    """The mixture of both captions of each painted picture."""
    return model.words.mixed([tuple(n["caption"]) for n in notes], torch.tensor([n["mix"] for n in notes]))


# --- what a picture shows --------------------------------------------------------------------------------


class Reader(nn.Module):
    """A small convolutional classifier of one attribute, on 64×64 pictures."""

    def __init__(self, names: list[str]):
        super().__init__()
        self.names = names
        widths = (16, 32, 64, 96)
        layers: list[nn.Module] = []
        for a, b in zip((3, *widths), widths, strict=False):
            layers += [nn.Conv2d(a, b, 3, 2, 1), nn.GroupNorm(1, b), nn.GELU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(96 + 3 * 64, len(names))

    def forward(self, x: Tensor) -> Tensor:
        colours = F.adaptive_avg_pool2d(x, 8).flatten(1)  # (B, 192)
        return self.head(torch.cat([self.body(x).mean((2, 3)), colours], 1))

    @torch.inference_mode()
    def read(self, pictures: Tensor) -> list[str]:
        """Names for pictures (B, 3, H, W) in 0..1."""
        small = F.interpolate(pictures, (64, 64), mode="area")
        return [self.names[i] for i in self(small.sub(0.5).mul(4)).argmax(1).tolist()]


def train_reader(
    pictures: data.Pictures, key: str, count: int = 3072, epochs: int = 14, world: str | None = None
) -> Reader:
    """Learn an attribute from painted, pure pictures."""
    notes = pictures.notes
    which = [
        i for i, n in enumerate(notes)
        if data.group_of(n) != "hybrid" and n["attributes"].get(key) and world in (None, n["attributes"]["world"])
    ][:count]
    names = sorted({notes[i]["attributes"][key] for i in which})
    x = torch.cat([
        F.interpolate(pictures.batch(which[i : i + 32]), (64, 64), mode="area") for i in range(0, len(which), 32)
    ]).mul(2)
    y = torch.tensor([names.index(notes[i]["attributes"][key]) for i in which])
    g = generator(0, key, 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Reader(names)
    opt = torch.optim.AdamW(net.parameters(), 2e-3)
    total = epochs * (len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, 4e-3, total_steps=max(total, 1))
    for _ in range(epochs):
        for part in torch.randperm(len(x), generator=g).split(64)[: len(x) // 64]:
            loss = F.cross_entropy(net(x[part]), y[part])
            opt.zero_grad()
            loss.backward()
            opt.step()
            schedule.step()
    return net.eval()


def agreement(
    model: Model, readers: dict[str, Reader], recaption: object, notes: list[dict], steps: int = 4
) -> dict[str, float]:
    """How often the classifier reads from a dream what its prompt asked for; and from paintings, its ceiling."""
    pure = [n for n in notes if data.group_of(n) != "hybrid"]
    rng = random.Random(5)
    cond = model.words([recaption(n["attributes"], rng)[0] for n in pure])
    made = model.dream(model.noise(len(pure), 4), cond, steps).cpu()
    out = {}
    for key, reader in readers.items():
        read = reader.read(made)
        asked = [(r, n["attributes"].get(key)) for r, n in zip(read, pure, strict=True)]
        asked = [(r, a) for r, a in asked if a in reader.names]
        out[f"{key}_right"] = round(sum(r == a for r, a in asked) / len(asked), 3)
    return out


def ceiling(readers: dict[str, Reader], unseen: data.Pictures) -> dict[str, float]:
    """The classifier's own accuracy on unseen paintings."""
    which = [i for i, n in enumerate(unseen.notes) if data.group_of(n) != "hybrid"]
    x = unseen.batch(which).add(1).div(2)
    out = {}
    for key, reader in readers.items():
        asked = [(r, unseen.notes[i]["attributes"].get(key)) for r, i in zip(reader.read(x), which, strict=True)]
        asked = [(r, a) for r, a in asked if a in reader.names]
        out[f"{key}_painted"] = round(sum(r == a for r, a in asked) / len(asked), 3)
    return out


def held_out_words(model: Model, palette: Reader, steps: int = 4, each: int = 8) -> dict[str, object]:
    """Share of dreams of words no caption uses that show the palette the word should bring."""
    prompts = [w for w in HELD_OUT for _ in range(each)]
    made = model.dream(model.noise(len(prompts), 6), model.words(prompts), steps).cpu()
    read = palette.read(made)
    by_word = {
        w: sum(r == HELD_OUT[w] for r in read[i * each : (i + 1) * each]) / each for i, w in enumerate(HELD_OUT)
    }
    return {"held_out_colour": round(statistics.mean(by_word.values()), 3), "held_out_by_word": by_word}


# --- movement and speed ----------------------------------------------------------------------------------


def walk_noise(count: int, step: float, seed: int, size: tuple[int, int] = (16, 16)) -> Tensor:
    """Equal phase steps (in correlation lengths) of the engine's squared-exponential walk: (count, 16, h, w)."""
    g = generator(seed, "walk", 0)
    k = 32
    omega = torch.randn(k, generator=g)
    a, b = torch.randn(2, k, 16, *size, generator=g)
    s = torch.arange(count)[:, None] * step * omega  # (count, K)
    return (torch.einsum("nk,kchw->nchw", s.cos(), a) + torch.einsum("nk,kchw->nchw", s.sin(), b)) / k**0.5


def changes(film: Tensor) -> Tensor:
    """Perceptual change between neighbours: RMS difference at 64×64 in gamma-coded light."""
    small = F.interpolate(film, (64, 64), mode="area")
    return (small[1:] - small[:-1]).square().mean((1, 2, 3)).sqrt()


def smoothness(model: Model, steps: int = 4, frames: int = 97) -> dict[str, float]:
    """p95/median of the change per equal step: along the noise, and between worlds on one noise."""
    prompts = ("scattered clouds at dawn", "torn newspaper in blue pulp", "shelves of golden memory spheres")
    out, walks = {}, []
    for i, prompt in enumerate(prompts):
        film = model.dream(walk_noise(frames, 0.05, i), model.words([prompt]).expand(frames, -1, -1), steps)
        walks.append(changes(film))
    out["walk_p95_over_median"] = round(_p95(torch.cat([w / w.median() for w in walks])), 2)
    out["walk_max_over_median"] = round(float(max((w / w.median()).max() for w in walks)), 2)
    crossings = []
    e = model.words(list(prompts))
    u = torch.linspace(0, 1, frames).view(-1, 1, 1)
    for i in range(3):
        cond = (1 - u) * e[i] + u * e[(i + 1) % 3]
        c = changes(model.dream(model.noise(1, i).expand(frames, -1, -1, -1), cond, steps))
        crossings.append(_p95(c / c.median()))
    out["crossing_p95_over_median"] = round(statistics.mean(crossings), 2)
    return out


def _p95(x: Tensor) -> float:
    return float(x.quantile(0.95))


def few_against_many(model: Model, notes: list[dict]) -> dict[str, float]:
    """Detail and variety of few-step dreams as a share of the painted pictures' own: filled in by `everything`."""
    cond = conditioning(model, notes[:32])
    noise = model.noise(32, 8)
    out = {}
    for steps in (1, 2, 4):
        x = model.dream(noise, cond, steps)
        fine = x - F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
        out[f"detail_{steps}_steps"] = round(float(fine.std()), 4)
    one = model.dream(model.noise(16, 9), cond[:1].expand(16, -1, -1), 4)
    out["variety_one_prompt"] = round(float(F.interpolate(one, (32, 32), mode="area").std(0).mean()), 4)
    return out


@torch.inference_mode()
def speed(model: Model, threads: int = 2) -> dict[str, float]:
    """Median milliseconds a picture at batch 1, by size and steps, and the decoder alone (bfloat16 autocast)."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    cond = model.words(["scattered clouds at dawn"])
    out: dict[str, float] = {}
    for wide, high in ((256, 256), (384, 256), (512, 288)):
        noise = model.noise(1, 1, (high // 16, wide // 16))
        for steps in (1, 2, 4):
            out[f"ms_{wide}x{high}_{steps}"] = _median_ms(lambda n=noise, s=steps: model.dream(n, cond, s))
    z = model.noise(1, 2)
    with torch.autocast(z.device.type, torch.bfloat16):
        out["ms_decoder_256"] = _median_ms(lambda: model.vae.decode(z).sample)
    out["ms_decoder_256_float32"] = _median_ms(lambda: model.vae.decode(z).sample)
    torch.set_num_threads(before)
    return out


def _median_ms(call: object, rounds: int = 9) -> float:
    call()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e3)
    return round(statistics.median(times), 1)


def everything(folder: Path, work: Path, device: str = "cpu", sheets: bool = True) -> dict[str, object]:
    """All figures of an exported model."""
    painter = data.painter_module()
    root = data.folder(work, painter)
    data.render(work, 256, first_seed=data.UNSEEN_SEED, device=device)
    unseen = data.Pictures(root, data.UNSEEN_SEED, 10**9)
    seen = data.Pictures(root)
    model = Model.open(folder, device)
    figures: dict[str, object] = {}
    readers = {"world": train_reader(seen, "world"), "palette": train_reader(seen, "palette")}
    readers["hour"] = train_reader(seen, "hour", world="clouds")
    for part in (
        lambda: reconstruction(model, unseen),
        lambda: distribution(model, unseen),
        lambda: ceiling(readers, unseen),
        lambda: agreement(model, readers, painter.recaption, unseen.notes),
        lambda: {f"{k}_1_step": v for k, v in agreement(model, readers, painter.recaption, unseen.notes, 1).items()},
        lambda: held_out_words(model, readers["palette"]),
        lambda: smoothness(model),
        lambda: few_against_many(model, unseen.notes),
        lambda: speed(model),
    ):
        found = part()
        print(found, flush=True)
        figures |= found
    if sheets:
        prompts = [p for p in diffusion.SHOWN for _ in range(2)]
        made = model.dream(model.noise(24, 10), model.words(prompts), 4)
        save_sheet(work / "sheets" / "evaluated.png", made, columns=6)
    return figures
