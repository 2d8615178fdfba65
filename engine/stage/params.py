"""What the stage adds to a show: blending, the look, the window and the program's size.

Plain data, any process; no GL.
"""

from engine.show.language import ENGLISH, NAME
from engine.show.params import Lands, Param, Rule
from engine.show.part import Part, Things
from engine.show.specs import ProgramSpec, StageSpec
from engine.stage.transitions import FALLBACK_TRANSITION, list_transitions

VIEWS = ("picture", "latent", "noise")


def _params(things: Things) -> list[Param]:
    return [*_blend(), *_look(), *_shelves(), *_words(), *_stage(), *_window()]


def _blend() -> list[Param]:
    names = tuple(list_transitions()) or (FALLBACK_TRANSITION,)
    return [
        Param("blend.time", "number", 2.0, "How long a jump, a new home or a new seed takes to arrive.",
              0, 20, "s", "square", 0.0),
        Param("blend.transition", "choice", FALLBACK_TRANSITION if FALLBACK_TRANSITION in names else names[0],
              "The way one picture gives place to another at a jump.", choices=names),
    ]  # fmt: skip


def _look() -> list[Param]:
    return [
        Param("look.enabled", "switch", True, "The whole look on, or the bare pictures as they were dreamt."),
        Param("look.view", "choice", "picture",
              "What is shown: the picture, the latent that it is decoded from, or the noise that it began as.",
              choices=VIEWS),
        Param("look.exposure", "number", 0.0,
              "Brighter or darker, as a camera counts: one stop doubles the light.",
              -4, 4, "stops", smoothing_s=0.3),
        Param("look.contrast", "number", 1.0, "Distance between light and dark; 1 leaves it as dreamt.",
              0.5, 2, curve="log", smoothing_s=0.3),
        Param("look.saturation", "number", 1.0, "Strength of colour: 0 is black and white, 1 as dreamt.",
              0, 2, smoothing_s=0.3),
        Param("look.sharpness", "number", 0.3, "How crisply edges are drawn when a picture is shown large.",
              0, 1, smoothing_s=0.3),
        Param("look.drift", "number", 0.3, "Slow breathing of the frame, so that it never stands still.",
              0, 1, smoothing_s=1.0),
        Param("look.vignette", "number", 0.25, "Darkening toward the corners.", 0, 1, smoothing_s=0.3),
        Param("look.grain", "number", 0.15, "Fine moving grain, as on film.", 0, 1, smoothing_s=0.3),
    ]  # fmt: skip


def _shelves() -> list[Param]:
    return [
        Param("memory.view", "number", 0.0,
              "From the picture out to the shelves of the memory bank: 0 is the picture, 1 the shelves.",
              0, 1, smoothing_s=1.5),
        Param("memory.colour", "number", 1.0, "Strength of colour on the shelves: 0 takes all of it out.",
              0, 1, smoothing_s=1.5),
        Param("memory.glide", "number", 1.0, "How fast the view glides along the shelves; 0 stands still.",
              0, 4, smoothing_s=1.0),
    ]  # fmt: skip


def _words() -> list[Param]:
    named = Rule(lambda v: bool(NAME.fullmatch(v)), "the name of a language file, such as en")
    return [
        Param("pulp.scraps", "number", 0.0,
              "Scraps of paper with the words of what is dreamt, adrift over the picture; 0 is none.",
              0, 1, smoothing_s=1.0),
        Param("docent.caption", "switch", False, "Says in plain words, below the picture, what one is seeing."),
        Param("docent.language", "text", ENGLISH,
              "The language that visitors are spoken to in: a file of that name in a folder docent beside the show, "
              "or one that comes with Pedesis.", lands="start", rule=named),
    ]  # fmt: skip


def _stage() -> list[Param]:
    return [
        Param("stage.blackout", "switch", False, "Fades the stage to black; off fades it in again."),
        Param("stage.freeze", "switch", False,
              "Holds the picture that is on stage; the walk goes on unseen."),
        Param("stage.overlay", "switch", False, "Shows keys, rates and values over the picture, in the window only."),
    ]  # fmt: skip


def _window() -> list[Param]:
    side = "pixels"
    start: Lands = "start"
    return [
        Param("window.width", "integer", StageSpec.width, "Width of the window.", 16, 16384, side, lands=start),
        Param("window.height", "integer", StageSpec.height, "Height of the window.", 16, 16384, side, lands=start),
        Param("window.fullscreen", "switch", StageSpec.fullscreen, "The whole display, or a window.", lands=start),
        Param("window.display", "integer", StageSpec.display, "Which display, counted from 0.", 0, 63, lands=start),
        Param("window.fit", "choice", StageSpec.fit, "Fill the stage and crop, or show all with bars.",
              choices=("cover", "letterbox"), lands=start),
        Param("window.fps_headless", "integer", StageSpec.fps_headless, "Frame rate where there is no display.",
              1, 240, "fps", lands=start),
        Param("window.resume", "switch", StageSpec.resume, "Whether to go on where the last run ended.",
              lands=start),
        Param("program.width", "integer", ProgramSpec.width,
              "Width of the finished picture that is recorded; 0 is that of the window when the show begins.",
              0, 16384, side, lands=start),
        Param("program.height", "integer", ProgramSpec.height,
              "Height of the finished picture that is recorded; 0 is that of the window when the show begins.",
              0, 16384, side, lands=start),
    ]  # fmt: skip


PART = Part(_params)
