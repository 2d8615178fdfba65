"""The house model's autoencoder: 256×256 pictures to 16×16×16 latents and back.

Usage: `autoencoder.train(work, Budget(minutes=40), device)`; a stage of `train_house_model.py`.

A stock `AutoencoderKL`, kept thin at full size because a CPU pays for it by the pixel. It is trained as a
plain autoencoder with a little latent noise instead of the usual KL term: the noise is what makes
neighbouring latents decode alike, and it keeps the latents at unit size. A share of the steps decodes
*shrunken* latents to shrunken pictures, so that latents behave like small pictures themselves, which the
diffusion network then finds easier to learn (Kouzelis et al. 2025, "EQ-VAE").
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.house_model import data
from scripts.house_model.training import Budget, Job, fit, generator, load_average, save_sheet

CHANNELS = (16, 32, 48, 96, 160)
LATENT_NOISE = 0.04
SEEN = {"memory": 4, "clouds": 2, "hybrid": 2, "pulp": 1}  # how often a world is drawn: glass needs the most practice


def build(channels: tuple[int, ...] = CHANNELS, latent_channels: int = 16) -> nn.Module:
    """An untrained autoencoder; each level after the first halves the picture."""
    from diffusers import AutoencoderKL

    n = len(channels)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * n,
        up_block_types=("UpDecoderBlock2D",) * n,
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=latent_channels,
        # One group: with few channels, small groups normalise each colour's mean away (measured: 3 dB lost).
        norm_num_groups=1,
        mid_block_add_attention=False,  # a convolution of this depth already sees the whole 256 px
        sample_size=256,
    )


def encode(vae: nn.Module, x: Tensor) -> Tensor:
    """Latent means of pictures in -1..1: (B, 3, H, W) to (B, 16, H/16, W/16)."""
    return vae.encode(x).latent_dist.mean


def picture_loss(y: Tensor, x: Tensor) -> Tensor:
    """Absolute and squared difference, colour by itself, and three Laplacian levels; per picture, (B,).

    Colour differences (red-green, blue-yellow) are small beside light and dark: without a term of their own
    red against green was the last thing learned (measured: still missing after 700 steps).
    """

    def size(t: Tensor) -> Tensor:
        return t.abs().flatten(1).mean(1)

    d = y - x
    loss = size(d) + d.square().flatten(1).mean(1)
    r, g, b = F.avg_pool2d(d, 4).unbind(1)
    loss = loss + size(r - g) + 0.5 * size(b - (r + g) / 2)
    for _ in range(3):
        low = F.avg_pool2d(d, 2)
        fine = d - F.interpolate(low, scale_factor=2, mode="bilinear")
        loss = loss + 0.5 * size(fine)
        d = low
    return loss


def even(loss: Tensor) -> Tensor:
    """Mean of the logarithms of pictures' losses: a decibel is worth as much in a sky as in paper.

    The plain mean is paper's, whose loss is five times a sky's and which can be brought down the least.
    """
    return (loss + 0.005).log().mean()


def psnr(y: Tensor, x: Tensor) -> Tensor:
    """Mean over pictures in -1..1, in dB."""
    return 10 * torch.log10(4 / ((y - x).square().mean((1, 2, 3)) + 1e-5)).mean()


def nearness(y: Tensor, x: Tensor) -> Tensor:
    """The loss of decoded pictures against their paintings: decibels, and what they do not see."""
    return 0.03 * even(picture_loss(y, x)) - 0.023 * psnr(y, x)


def step_loss(vae: nn.Module, x: Tensor, g: torch.Generator) -> dict[str, Tensor]:
    """Losses of one batch in -1..1."""
    shrink = float(torch.rand((), generator=g)) < 0.25
    with torch.autocast(x.device.type, torch.bfloat16):
        mean = encode(vae, x)
    mean = mean.float()
    noise = torch.randn(mean.shape, generator=g).to(mean.device)
    z = mean + LATENT_NOISE * noise
    if shrink:
        z, x = F.avg_pool2d(z, 2), F.avg_pool2d(x, 2)
    with torch.autocast(x.device.type, torch.bfloat16):
        y = vae.decode(z).sample
    y = y.float()
    # Unit size holds the noise's share fixed: without this the encoder would outgrow it.
    size = (mean.mean((0, 2, 3)).square() + (mean.std((0, 2, 3)) - 1).square()).mean()
    return {"loss": nearness(y, x) + 0.02 * size, "psnr": psnr(y, x).detach(), "size": size.detach()}


def often(pictures: data.Pictures) -> list[int]:
    """Numbers of pictures, each as many times as its world is to be seen."""
    return [i for i, note in enumerate(pictures.notes) for _ in range(SEEN[data.group_of(note)])]


def draw(
    pictures: data.Pictures, among: list[int], n: int, batch: int, crop: int, g: torch.Generator
) -> tuple[list[int], Tensor]:
    """The pictures of step n, their numbers and (B, 3, h, w): by turns `batch` crops, and as many pixels whole."""
    whole = pictures.blocks[0].shape[2]
    big = n % 4 > 1  # two processes share out the steps by turns: both have some of each
    many, size = (max(1, batch * crop**2 // whole**2), whole) if big else (batch, crop)
    which = [among[i] for i in torch.randint(len(among), (many,), generator=g).tolist()]
    return which, pictures.crops(many, size, g, which)


def train(
    work: Path, budget: Budget, device: str = "cpu", seed: int = 0, batch: int = 8, crop: int = 128,
    shard_mib: float = 0, root: Path | None = None,
) -> nn.Module:
    """Train on the newest painted set; every other step is on whole pictures, as the engine decodes them."""
    root = root or data.folder(work, data.painter_module())
    pictures = data.Pictures(root)
    among = often(pictures)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vae = build().to(device, memory_format=torch.channels_last)

    def step(model: nn.Module, n: int) -> dict[str, Tensor]:
        g = generator(seed, "autoencoder", n)
        _, x = draw(pictures, among, n, batch, crop, g)
        return step_loss(model, x.to(device, memory_format=torch.channels_last), g)

    def sheet(ema: nn.Module, n: int) -> None:
        shown = pictures.batch([i * 7 % len(pictures) for i in range(12)]).to(device)
        write_sheet(ema, shown, work / "sheets" / f"autoencoder-{n:06d}.png")

    job = Job(
        "autoencoder", work, vae, budget, lr=3e-3, matrices_lr=3e-3, seed=seed, ema=0.998,
        shard_mib=shard_mib, on_sheet=sheet, meta={"pictures": root.name},
    )
    return fit(job, step)


@torch.inference_mode()
def write_sheet(vae: nn.Module, x: Tensor, path: Path) -> None:
    """Pictures above, the same decoded below."""
    y = torch.cat([vae.decode(encode(vae, part)).sample for part in x.split(2)])
    half = len(x) // 2
    both = torch.cat([x[:half], y[:half], x[half:], y[half:]])
    save_sheet(path, both.add(1).div(2), columns=half)


def load(work: Path, device: str = "cpu") -> nn.Module:
    """The trained autoencoder (the average over its last steps)."""
    return load_average(work, "autoencoder", build()).to(device)
