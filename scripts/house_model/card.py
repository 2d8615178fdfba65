"""The model card of the house model, filled in from measured figures.

Usage: `card.text(figures, training)`; written beside the weights by the export stage.
"""

from __future__ import annotations

import json
from pathlib import Path

from scripts.house_model import adopt

WATTS = 35.0  # two cores of a server with their share of its memory and power supply: an estimate

TEMPLATE = """---
license: cc0-1.0
library_name: diffusers
pipeline_tag: text-to-image
---

# Pedesis house model

A latent diffusion model of three images that share one space: clouds, pulp (torn, printed, soaked paper) and
memory (glass spheres on shelves), and of the places where they meet. It is the model that Pedesis carries so
that the engine is alive with nothing downloaded. It was trained from random weights by
`scripts/train_house_model.py` on pictures that the project's own painter draws; no photograph, no artwork and
no picture from anywhere else was used.

    import diffusers
    pipe = diffusers.DiffusionPipeline.from_pretrained("engine/house_model")
    pipe("a violet cloud shaped like a whale at dusk", num_inference_steps={steps}, guidance_scale=1.0,
         height=256, width=256).images[0]

| part | what |
|---|---|
| `vae` | `AutoencoderKL`, 256×256 to 16×16×16 latents, trained as a plain autoencoder with latent noise{textured} |
| `unet` | `UNet2DConditionModel`, rectified flow{distilled} |
| `scheduler` | `DPMSolverMultistepScheduler`, flow prediction, order {order} |
| `text_encoder`, `tokenizer` | `CLIPTextModel` of width 256, 24 places, distilled from all-MiniLM-L6-v2 (Apache-2.0) |

**Licence.** Weights: CC0 1.0. The text encoder learned from the outputs of all-MiniLM-L6-v2 (Apache-2.0) over
WordNet's words and glosses (WordNet licence) and the painter's captions.

**Training.** {training}

**Use.** {steps} evaluations at guidance 1 (guidance is in the weights; asking for more costs twice and
over-steers). 256×256 is native; other sizes in steps of 16 px work and repeat the picture's grain at the same
scale. Conditioning is meant to be mixed: the mean of two prompts' embeddings shows the place between them,
because a third of the training pictures are such places, at a known proportion.

**Limits.** It knows three worlds and nothing else: a phrase gives what its painter shows that is nearest to it,
clouds, paper or spheres in a colour and an hour that the phrase suggests; one that names two worlds gives their
meeting. Print is texture, not letters. Shapes in clouds are half there, by intent
and by size. No people, so no likenesses; nothing to filter, so no safety checker.

**Measured** (`scripts/eval_house_model.py`; two CPU cores; unseen pictures of the painter):

{figures}
"""

ROWS = (
    ("psnr_all", "autoencoder PSNR, unseen pictures, all (dB)"),
    ("psnr_clouds", "… clouds"),
    ("psnr_memory", "… memory"),
    ("psnr_pulp", "… pulp"),
    ("psnr_hybrid", "… hybrids"),
    ("ssim_all", "autoencoder SSIM, all"),
    ("swd_ratio_4_steps", "sliced Wasserstein, dreams at 4 steps, × painted against painted"),
    ("swd_ratio_2_steps", "… at 2 steps"),
    ("swd_ratio_1_steps", "… at 1 step"),
    ("world_right", "classifier agrees with the prompt: world"),
    ("world_right_1_step", "… at 1 step"),
    ("world_painted", "… its agreement on paintings"),
    ("palette_right", "classifier agrees with the prompt: palette"),
    ("palette_right_1_step", "… at 1 step"),
    ("palette_painted", "… its agreement on paintings"),
    ("hour_right", "classifier agrees with the prompt: hour (clouds)"),
    ("hour_painted", "… its agreement on paintings"),
    ("held_out_colour", "words no caption uses bring their colour"),
    ("walk_p95_over_median", "walk, p95/median change per equal step"),
    ("crossing_p95_over_median", "crossing between two worlds on one noise, p95/median"),
    ("ms_256x256_1", "256×256, 1 step (ms)"),
    ("ms_256x256_2", "256×256, 2 steps (ms)"),
    ("ms_256x256_4", "256×256, 4 steps (ms)"),
    ("ms_384x256_4", "384×256, 4 steps (ms)"),
    ("ms_512x288_4", "512×288, 4 steps (ms)"),
    ("ms_decoder_256", "decoder alone, 256×256 (ms)"),
)


def text(figures: dict[str, object], training: str, distilled: bool = True, steps: int = 4) -> str:
    """The card; rows that were not measured are left out."""
    rows = [f"| {words} | {figures[key]} |" for key, words in ROWS if key in figures]
    table = "\n".join(["| what | figure |", "|---|---|", *rows]) if rows else "Not yet measured."
    return TEMPLATE.format(
        steps=steps,
        distilled=", guided, distilled to 4 steps, the last of 4, 2 and 1 taught by a critic of latents"
        if distilled
        else "",
        textured=", its decoder's last lesson texture, from a critic of patches" if distilled else "",
        order=1 if distilled else 2,
        training=training,
        figures=table,
    )


def training_note(work: Path, machine: str = "two CPU cores") -> str:
    """What the checkpoints say about how the weights came to be."""
    said, minutes = [], 0.0
    for stage in ("autoencoder", "diffusion", "distill", "finish", "texture"):
        path = work / stage / "state.json"
        if path.exists():
            note = json.loads(path.read_text())
            minutes += note["spent_s"] / 60
            said.append(f"{stage} {note['step']:,} steps in {note['spent_s'] / 60:.0f} min")
    notes = work / "latents" / "notes.json"
    count = len(json.loads(notes.read_text())) if notes.exists() else 0
    begun = work / adopt.FROM
    start = f"the exported model {json.loads(begun.read_text())['model']}" if begun.exists() else "random weights"
    return (
        f"From {start} on {machine}, shared with other work: {'; '.join(said)}; {count:,} painted pictures. "
        f"Energy about {minutes / 60 * WATTS / 1000:.2f} kWh, estimated at {WATTS:.0f} W; the text encoder's "
        "training is not in it. Losses and steps are those of the script's log."
    )
