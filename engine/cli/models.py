"""`pedesis models`: what can dream here, what a model is made of, and the one command that downloads.

pedesis models inspect ./dream.safetensors
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.common import guarded

models_app = typer.Typer(help="The models Pedesis can walk in.", no_args_is_help=True, rich_markup_mode=None)


@models_app.command("list")
def models_list(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """What can dream here without a download."""
    from engine.dreamer import models

    places = models.list_models()
    if as_json:
        typer.echo(json.dumps([{**vars(p), "path": str(p.path)} for p in places], indent=2))
        return
    for place in places:
        typer.echo(f"{place.name:<40} {place.pipeline:<36} {place.path}")
    typer.echo('Any folder in diffusers layout works too: [model] name = "./my-model" in the show file.')


@models_app.command("inspect")
def models_inspect(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="house, a folder, a file, or a repository that was fetched.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What a model, a LoRA, an embedding, a ControlNet or an IP-Adapter is made of, and whether it can be used: exit 2
    if it cannot."""
    from engine.dreamer import addition_files, guide_files

    steers = guarded(lambda: guide_files.describe(name))
    found = steers or addition_files.describe(Path(name).expanduser()) or guarded(lambda: _inspected(name))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        raise typer.Exit(2 if found["why_not"] else 0)
    if "kind" in found:
        (guide_files if steers else addition_files).tell(found, typer.echo)
        raise typer.Exit(2 if found["why_not"] else 0)
    for key, value in found.items():
        if key not in ("components", "why_not", "notes") and value is not None:
            typer.echo(f"{key:<10} {value}")
    for part, what in found["components"].items():
        typer.echo(f"  {part:<18} {what['class']:<32} {what['bytes'] / 1e6:8.1f} MB")
    for said in found["notes"]:
        typer.echo(f"note       {said}")
    typer.echo(f"walks      {'no: ' + found['why_not'] if found['why_not'] else 'yes'}")
    raise typer.Exit(2 if found["why_not"] else 0)


def _inspected(name: str) -> dict[str, Any]:
    """What is known of a model; whether the installed libraries have all of its classes is asked last, as that takes
    the seconds in which they are imported."""
    from engine.dreamer import models

    found = models.inspect(name)
    if not found["why_not"]:
        from engine.dreamer.parts import class_fault

        found["why_not"] = class_fault(models.look(name))
    return found


@models_app.command("fetch")
def models_fetch(
    repository: Annotated[
        str, typer.Argument(metavar="REPOSITORY", help="On Hugging Face, such as stabilityai/sd-turbo.")
    ],
) -> None:
    """Download a model; the only command that ever does."""
    from engine.dreamer import hub

    guarded(lambda: hub.fetch(repository, typer.echo))
