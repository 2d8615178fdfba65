"""Type over the finished picture: scraps of text adrift, and above them the caption.

    lettering = Lettering(ctx, shaders, fit="cover")
    lettering.set(afloat, seed, caption)
    lettering.render(framebuffer, picture, values, time_s, light)      # once a frame, after the look

Stage process, GL thread only. It comes after the look, whose grain and drift belong to the picture: type stays sharp
and stands still, and paper has a grain of its own. Films and recordings have it, as the program does.
"""

from collections.abc import Sequence

import moderngl

from engine.stage.blend import Picture
from engine.stage.captions import Captions
from engine.stage.fonts import Fonts
from engine.stage.look import Values, fitted
from engine.stage.scraps import Scraps
from engine.stage.shaders import Shaders
from engine.walk.afloat import Afloat
from engine.walk.caption import Caption


class Lettering:
    """Scraps and captions of the show on stage."""

    def __init__(
        self,
        ctx: moderngl.Context,
        shaders: Shaders,
        fit: str = "cover",
        at_once: bool = False,
        fonts: Fonts | None = None,
    ) -> None:
        """at_once: waits for the type, as a film does. fonts: None for those of the system."""
        self._fit = fit
        self._scraps = Scraps(ctx, shaders, at_once, fonts)
        self._captions = Captions(ctx, shaders, at_once, fonts)
        self._caption = Caption()

    def set(self, afloat: Sequence[Afloat], seed: int, caption: Caption) -> None:
        """What is adrift, and what is said below. seed: of the show."""
        self._scraps.set(afloat, seed)
        self._caption = caption

    def render(
        self, framebuffer: moderngl.Framebuffer, picture: Picture, values: Values, time_s: float, light: float = 1.0
    ) -> None:
        """Draws both over the picture, and not on bars beside it. time_s: the show's own; light: 0 is a blackout."""
        whole = framebuffer.viewport
        left, bottom, wide, high = fitted(picture.size, (whole[2], whole[3]), self._fit)
        framebuffer.viewport = whole[0] + left, whole[1] + bottom, wide, high
        try:
            zone = self._captions.zone(self._caption, (wide, high), time_s)
            self._scraps.render(framebuffer, picture, values, time_s, light, zone)
            gain = 2.0 ** float(values["look.exposure"])
            self._captions.render(framebuffer, picture, self._caption, time_s, gain, light)
        finally:
            framebuffer.viewport = whole

    def close(self) -> None:
        """Ends the threads that set type."""
        self._scraps.close()
        self._captions.close()
