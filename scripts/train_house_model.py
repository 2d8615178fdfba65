"""Make the built-in model from nothing: paint, autoencoder, words, latents, diffusion, few steps, texture, export.

    python scripts/train_house_model.py --work ~/pedesis-train

That one command runs every stage one after the other and ends with a diffusers folder in `WORK/export` and
its figures in `WORK/evaluation.json`. Every stage resumes where it was cut: give the same command again.
Runs on the CPU (hours) or one GPU (minutes). Needs the `train` extra (pip install -e ".[train]") and WordNet
(Debian's wordnet-base).

On a machine shared with other work, two processes of one thread each beat one of two threads by far:

    python -m torch.distributed.run --nproc-per-node 2 scripts/train_house_model.py --work ~/pedesis-train

In steps of at most ten minutes, carrying only small files between them (checkpoints at half precision in
files under 16 MiB; pictures and latents are made again where they are missing):

    python scripts/train_house_model.py --work W --stages diffusion --slice-minutes 8 --shard-mib 15

Not from nothing but from an exported model, here the one that is shipped, its autoencoder as it is:

    python scripts/train_house_model.py --work W --from engine/house_model \
        --stages render,latents,diffusion,distill,finish,texture,export,evaluate
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.distributed as dist

from scripts.house_model import (
    adopt,
    autoencoder,
    card,
    data,
    diffusion,
    distill,
    export,
    finish,
    texture,
    words_teacher,
    words_wordnet,
)
from scripts.house_model.training import Budget, join, pick_device

STAGES = (
    "render", "autoencoder", "words", "latents", "diffusion", "distill", "finish", "texture", "export", "evaluate",
)
MINUTES = {"autoencoder": 120.0, "words": 18.0, "diffusion": 240.0, "distill": 45.0, "finish": 50.0, "texture": 40.0}


def options(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--work", type=Path, required=True, help="folder for pictures, checkpoints, logs and sheets")
    p.add_argument("--from", type=Path, dest="start", help="an exported model folder to train further")
    p.add_argument("--out", type=Path, help="where the model folder goes (default: WORK/export)")
    p.add_argument("--stages", default=",".join(STAGES), help=f"comma-separated, of {', '.join(STAGES)}")
    p.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    p.add_argument("--pictures", type=int, default=12_288, help="how many to paint")
    p.add_argument("--painted", type=Path, help="a folder of painted blocks to use instead of the newest")
    for stage, minutes in MINUTES.items():
        p.add_argument(f"--minutes-{stage}", type=float, default=minutes, help=f"default {minutes:.0f}")
    p.add_argument("--slice-minutes", type=float, default=float("inf"), help="end each stage's share after this")
    p.add_argument("--shard-mib", type=float, default=0, help="light checkpoints in files of at most this size")
    p.add_argument("--batch", type=int, help="pictures a step and process, for the network stages")
    p.add_argument("--guidance", type=float, default=distill.GUIDANCE, help="guidance distilled in")
    p.add_argument("--export-stage", choices=("diffusion", "distill"), default="distill")
    p.add_argument("--threads", type=int, help="threads of a process (default: 1 of several, else torch's)")
    p.add_argument("--seed", type=int, default=0)
    o = p.parse_args(argv)
    o.stages = [s for s in o.stages.split(",") if s]
    for s in o.stages:
        if s not in STAGES:
            p.error(f"unknown stage {s!r}; the stages are {', '.join(STAGES)}")
    o.out = o.out or o.work / "export"
    return o


def run_stage(stage: str, o: argparse.Namespace, device: str) -> None:
    """One stage; those that are not training are done by the first process alone."""
    share = {"seed": o.seed, "shard_mib": o.shard_mib}
    more = {"batch": o.batch} if o.batch else {}
    if stage in MINUTES:
        budget = Budget(minutes=getattr(o, f"minutes_{stage}"), slice_minutes=o.slice_minutes)
    if stage == "autoencoder":
        autoencoder.train(o.work, budget, device, root=o.painted, **share)
    elif stage == "diffusion":
        diffusion.train(o.work, budget, device, **share, **more)
    elif stage == "distill":
        distill.train(o.work, budget, device, guidance=o.guidance, **share, **more)
    elif stage == "finish":
        finish.train(o.work, budget, device, **share)
    elif stage == "texture":
        texture.train(o.work, budget, device, root=o.painted, **share)
    elif stage == "latents":
        diffusion.encode_set(o.work, device, root=o.painted)
        if int(os.environ.get("RANK", 0)) == 0:
            diffusion.keep_words(o.work / "export", o.work)
    elif int(os.environ.get("RANK", 0)) == 0:
        _alone(stage, o, device)
    if dist.is_initialized():
        dist.barrier()


def look_for_teachers(o: argparse.Namespace) -> None:
    """FileNotFoundError with the cure if the words will want for theirs, now and not after hours of other stages."""
    if "words" in o.stages and not o.start and not words_done(o.work):
        words_wordnet.folder()
        words_teacher.teacher_folder()


def words_done(work: Path) -> bool:
    """Whether there is a text encoder."""
    return (work / "export" / "text_encoder" / "model.safetensors").exists()


def _alone(stage: str, o: argparse.Namespace, device: str) -> None:
    if stage == "render":
        data.render(o.work, o.pictures, device=device)
        data.render(o.work, 256, first_seed=data.UNSEEN_SEED, device=device)
    elif stage == "words" and not words_done(o.work):
        from scripts.house_model import words, words_land, words_lexicon

        work = o.work / "words"
        words.train(work, o.minutes_words, device)
        words.export(work, work / "export")
        lexicon = words_lexicon.build(words_wordnet.read())
        print(words_land.land(work, work / "export", o.work / "export", o.minutes_words / 2, lexicon), flush=True)
    elif stage == "export":
        size = export.write(o.work, o.out, o.export_stage)
        print(f"export: {o.out}, {size:.1f} MB", flush=True)
    elif stage == "evaluate":
        from scripts.house_model import evaluate

        figures = evaluate.everything(o.out, o.work, device)
        (o.work / "evaluation.json").write_text(json.dumps(figures, indent=1))
        note = card.training_note(o.work, "a GPU" if device == "cuda" else "two CPU cores")
        (o.out / "README.md").write_text(card.text(figures, note, distilled=o.export_stage == "distill"))


def main(argv: list[str] | None = None) -> int:
    o = options(argv)
    try:
        look_for_teachers(o)
    except FileNotFoundError as error:
        sys.exit(str(error))
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if o.threads or world > 1:
        torch.set_num_threads(o.threads or 1)
    join(rank, world)
    device = pick_device(o.device)
    if o.start and rank == 0:
        print(f"from {o.start}: {', '.join(adopt.begin(o.start, o.work)) or 'begun before'}", flush=True)
    if dist.is_initialized():
        dist.barrier()
    for stage in o.stages:
        began = time.monotonic()
        run_stage(stage, o, device)
        if rank == 0:
            print(f"{stage}: {(time.monotonic() - began) / 60:.1f} min", flush=True)
    if dist.is_initialized():
        dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
