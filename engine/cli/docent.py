"""`pedesis docent`: a lesson about latent space, played by a show, in a window or as a film.

pedesis docent                       in a window; the right arrow goes on, the left one back
pedesis docent --film lesson.mp4     the whole lesson as a film
pedesis docent --text                only what it says, to be read aloud
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import file_path, find_model, guarded, open_show, parse_fps, parse_size
from engine.cli.film import film_with_progress

if TYPE_CHECKING:
    from engine.show.config import Show

SIZE = "1280x720"


def docent(
    show: Annotated[
        str, typer.Argument(metavar="SHOW", help="The show that the lesson is about: a name, or the file of your own.")
    ] = "house",
    auto: Annotated[
        bool, typer.Option("--auto", help="Go on by itself, each step as long as it takes to read.")
    ] = False,
    step: Annotated[int, typer.Option(metavar="N", min=1, help="Begin with this step.")] = 1,
    fullscreen: Annotated[
        bool, typer.Option("--fullscreen", help="On the whole display instead of in a window.")
    ] = False,
    language: Annotated[
        str | None, typer.Option(metavar="NAME", help="The language file to speak from, such as en.")
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Only print what is said, step by step.")] = False,
    film: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Render the whole lesson to this video file instead.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Size of the window or of the film.", show_default=SIZE)
    ] = None,
    fps: Annotated[str | None, typer.Option(metavar="FPS", help="Frames a second of the film.")] = None,
) -> None:
    """Explain latent space, step by step.

    A short lesson for people who are new to it: from a picture to the few numbers that it is made from, from noise to a
    picture, a map of all that was dreamt, and three images for it: clouds, pulp and memory.

    The right arrow goes on, the left arrow goes back. The show goes on behind, and has its own values again afterwards.
    """
    from engine.stage.docent_params import STEPS

    if step > len(STEPS):
        raise typer.BadParameter(f"--step must be from 1 to {len(STEPS)}, got {step}")
    sets = [f"docent.step={step}", f"docent.auto={str(auto or film is not None).lower()}"]
    if language is not None:
        sets.append(f"docent.language={language}")
    opened = open_show(show, sets, None)
    if text:
        _print_text(opened, step)
        return
    guarded(lambda: find_model(opened))
    if film is not None:
        from engine.play.lesson import LESSON

        length_s = sum(LESSON[name].lasts_s for name in STEPS[step - 1 :]) + 1.0
        rate = parse_fps(fps if fps is not None else str(opened.film.fps))
        film_with_progress(opened, file_path(film), length_s, rate, parse_size(size or SIZE), None)
        return
    from engine.play.live import LiveOptions, run_live

    options = LiveOptions(windowed=not fullscreen, size=parse_size(size) if size is not None else None)
    guarded(lambda: run_live(opened, options))


def _print_text(show: "Show", first: int) -> None:
    from engine.play.docent import sentence_of
    from engine.show.language import Language
    from engine.stage.docent_params import STEPS

    spoken = Language.load(str(show.values["docent.language"]), [show.path.parent])
    figures = _figures(show)
    for number, name in enumerate(STEPS[first - 1 :], first):
        typer.echo(f"{number:2}  {spoken.say(sentence_of(name), **figures).replace('*', '')}")


def _figures(show: "Show") -> dict[str, str]:
    """How many numbers there are, as far as the show and its model's files tell; "…" for what they do not."""
    from engine.dreamer.models import ModelError, find

    many, few = show.model.width * show.model.height * 3, 0
    try:
        vae = json.loads((find(show.model.name).path / "vae" / "config.json").read_text("utf-8"))
        side = 2 ** (len(vae["block_out_channels"]) - 1)  # pixels to a cell of the latent
        few = vae["latent_channels"] * (show.model.width // side) * (show.model.height // side)
    except (ModelError, OSError, ValueError, KeyError, TypeError):
        few = 0
    return {
        "pixels": f"{many:,}",
        "few": f"{few:,}" if few else "…",
        "times": f"{round(many / few)}" if few else "…",
        "count": str(show.model.steps),
    }
