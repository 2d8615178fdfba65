"""What recording adds to a show: how a film is made when the command line does not say.

Plain data, any process.
"""

from engine.show.params import Param, Rule
from engine.show.part import Part, Things
from engine.show.specs import FilmSpec

CODECS = ("h264", "h265", "prores", "png")  # those of encoder.py, which is too heavy to import for this
_EVEN = Rule(lambda v: v % 2 == 0, "an even number of pixels from 16 to 16384")


def _params(things: Things) -> list[Param]:
    return [
        Param("record.still", "trigger", 0.0, "Keeps the picture that is on stage, with what dreams it again."),
        Param("record.start", "trigger", 0.0,
              "Begins to record what is on stage, into the folder for recordings, under the show's name and the time."),
        Param("record.stop", "trigger", 0.0, "Ends the recording."),
        Param("film.width", "integer", FilmSpec.width, "Width of a film, even.", 16, 16384, "pixels",
              lands="start", rule=_EVEN),
        Param("film.height", "integer", FilmSpec.height, "Height of a film, even.", 16, 16384, "pixels",
              lands="start", rule=_EVEN),
        Param("film.fps", "number", FilmSpec.fps, "Frame rate of a film.", 1, 240, "fps", lands="start"),
        Param("film.crf", "integer", FilmSpec.crf,
              "Quality of a film: lower is better and larger; 0 is the best that ordinary players can show.", 0, 51,
              lands="start"),
        Param("film.gap", "number", FilmSpec.gap, "Most change between two dreamt pictures of a film.",
              0.01, 2, "phase", lands="start"),
        Param("film.codec", "choice", FilmSpec.codec, "How a film is encoded.", choices=CODECS, lands="start"),
    ]  # fmt: skip


PART = Part(_params)
