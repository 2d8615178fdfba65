"""The stage: a full screen, a window, or neither.

Usage: `stage = open_stage(headless=True, size=(1280, 720)); …draw into stage.framebuffer…; stage.present()`.
Stage process, GL thread only: GLFW wants the process's first thread.

poll() names the keys that were pressed as keys.py does.
"""

import time
from contextlib import suppress

import moderngl

from engine.show.specs import StageSpec
from engine.stage.display import NoDisplay, has_display, is_on, last_error, start_glfw
from engine.stage.gl import WINDOW_CURE, NoGraphics, create_context, finisher, make_target
from engine.stage.keys import Keys
from engine.stage.screen_saver import hold_screen_saver
from engine.stage.x_server import XServerWatch

__all__ = ["NoDisplay", "Pacer", "Stage", "has_display", "open_stage", "start_glfw"]

HEADLESS_HZ = 60.0
LOOK_EVERY_S = 1.0  # for a monitor that comes back or changes its resolution
Box = tuple[int, int, int, int]  # left, top, width, height in px


class Pacer:
    """Keeps frames to a rate by the monotonic clock, without drift and without catching up in a rush."""

    def __init__(self, rate_hz: float) -> None:
        if rate_hz <= 0:
            raise ValueError(f"the frame rate must be above 0, got {rate_hz}")
        self.period_s = 1.0 / rate_hz
        self._due_s = time.perf_counter()

    def wait(self) -> None:
        """Sleep until the next frame is due."""
        self._due_s += self.period_s
        now_s = time.perf_counter()
        if now_s < self._due_s:
            time.sleep(self._due_s - now_s)
        elif now_s - self._due_s > self.period_s:
            self._due_s = now_s  # late by more than a frame: forgive it


class Stage:
    """Where pictures are shown. Also a context manager."""

    ctx: moderngl.Context
    framebuffer: moderngl.Framebuffer
    size: tuple[int, int]
    refresh_hz: float
    closing: bool
    screen_saver: str = "nothing to hold off"  # what was done about it, for the log

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def poll(self) -> list[str]:
        """Handle what the window system has to say; names of the keys pressed since the last call."""
        raise NotImplementedError

    def present(self) -> None:
        """Show what was drawn; returns when the next frame may begin."""
        raise NotImplementedError

    def set_fullscreen(self, on: bool) -> None:
        """Fill the screen, or go back to a window."""
        raise NotImplementedError

    @property
    def fullscreen(self) -> bool:
        """Whether the screen is filled."""
        return False

    def close(self) -> None:
        """Give the screen back."""
        raise NotImplementedError


class HeadlessStage(Stage):
    """No display: a framebuffer in memory, paced by the clock when asked to."""

    def __init__(self, size: tuple[int, int], rate_hz: float = HEADLESS_HZ, paced: bool = True) -> None:
        try:
            self.ctx = create_context(headless=True)
        except NoGraphics as error:
            raise NoDisplay(str(error)) from error
        self.size = size
        self.refresh_hz = float(rate_hz)
        self.closing = False
        self._closed = False
        self._target = make_target(self.ctx, size, "f1")
        self.framebuffer = self._target.framebuffer
        self._finish = finisher(self.ctx)
        self._pacer = Pacer(self.refresh_hz) if paced else None

    def poll(self) -> list[str]:
        return []

    def present(self) -> None:
        # Without a finish the software renderer would queue frames faster than it draws them.
        self._finish()
        if self._pacer:
            self._pacer.wait()

    def set_fullscreen(self, on: bool) -> None:
        """Nothing to fill."""

    def close(self) -> None:
        if not self._closed:
            self._closed = self.closing = True
            self.ctx.release()


class WindowStage(Stage):
    """A GLFW window, or a whole screen at its own resolution."""

    def __init__(self, size: tuple[int, int], fullscreen: bool, display: int, title: str = "Pedesis") -> None:
        self._glfw = glfw = start_glfw()
        self._windowed_size = size
        self._display = display
        self._asked = display > 0
        self._window = None
        self._keys: list[str] = []
        try:
            self._window = self._create(size, fullscreen, title)
            glfw.make_context_current(self._window)
            self._wait_for_screen()
            try:
                self.ctx = create_context(headless=False)
            except NoGraphics as error:
                raise NoDisplay(str(error)) from error
        except BaseException:
            if self._window is not None:
                glfw.destroy_window(self._window)
            glfw.terminate()
            raise
        self.closing = False
        self._closed = False
        self._fullscreen = fullscreen
        self._looked_s = time.perf_counter()
        self._filled = self._screen(self._monitor()) if fullscreen else (0, 0, 0, 0)
        self._names = Keys(glfw)
        self._on_key = lambda _w, key, scancode, action, _m: self._pressed(key, scancode, action)
        glfw.set_key_callback(self._window, self._on_key)
        self._x_server = XServerWatch(glfw)
        self.screen_saver = hold_screen_saver(glfw)
        self._entered()
        self._measure()

    def _create(self, size: tuple[int, int], fullscreen: bool, title: str) -> object:
        glfw = self._glfw
        for hint, value in (
            (glfw.CONTEXT_VERSION_MAJOR, 3),
            (glfw.CONTEXT_VERSION_MINOR, 3),
            (glfw.OPENGL_PROFILE, glfw.OPENGL_CORE_PROFILE),
            (glfw.OPENGL_FORWARD_COMPAT, True),
            (glfw.RESIZABLE, True),
            # A gallery screen must not fold itself away because something else took the focus.
            (glfw.AUTO_ICONIFY, False),
            (glfw.DEPTH_BITS, 0),
            (glfw.STENCIL_BITS, 0),
        ):
            glfw.window_hint(hint, value)
        monitor = None
        if self._display and not fullscreen:
            self._monitor()  # a wrong number is said now, not when F is pressed
        if fullscreen:
            monitor = self._monitor()
            mode = glfw.get_video_mode(monitor)
            size = (mode.size.width, mode.size.height)
            for hint, value in zip(
                (glfw.RED_BITS, glfw.GREEN_BITS, glfw.BLUE_BITS, glfw.REFRESH_RATE),
                (mode.bits.red, mode.bits.green, mode.bits.blue, mode.refresh_rate or glfw.DONT_CARE),
                strict=True,
            ):
                glfw.window_hint(hint, value)
        window = glfw.create_window(*size, title, monitor, None)
        if not window:
            raise NoDisplay(f"no window with OpenGL 3.3 could be opened ({last_error(glfw)}): {WINDOW_CURE}.")
        return window

    def _monitor(self) -> object:
        monitors = self._glfw.get_monitors()
        if not monitors:
            raise NoDisplay("no monitor is connected: connect one, or run with --headless.")
        if not 0 <= self._display < len(monitors):
            allowed = "0" if len(monitors) == 1 else f"0 to {len(monitors) - 1}"
            count = "one monitor" if len(monitors) == 1 else f"{len(monitors)} monitors"
            raise NoDisplay(f"there is no display {self._display}, only {count}: choose --display {allowed}.")
        self._monitor_name = self._glfw.get_monitor_name(monitors[self._display])
        return monitors[self._display]

    def _screen(self, monitor: object) -> Box:
        """Where a monitor lies and how large it is now."""
        mode = self._glfw.get_video_mode(monitor)
        return (*self._glfw.get_monitor_pos(monitor), mode.size.width, mode.size.height)

    def _under_window(self) -> int:
        """The monitor that most of the window lies on: where it was dragged to is where it is wanted. Wayland does
        not say."""
        glfw = self._glfw
        if is_on(glfw, "WAYLAND"):
            return self._display
        window = (*glfw.get_window_pos(self._window), *glfw.get_window_size(self._window))
        # What a taskbar leaves of each; nothing of one that is only just coming, which has no mode yet.
        screens = [glfw.get_monitor_workarea(monitor) for monitor in glfw.get_monitors()]
        return most_of(window, screens, self._display)

    def _wait_for_screen(self) -> None:
        """Lets buffer swaps wait for the screen, except on Wayland, where a covered window or a sleeping screen would
        keep them waiting for ever. There the compositor prevents tearing, and the pacer keeps the rate."""
        self._glfw.swap_interval(0 if is_on(self._glfw, "WAYLAND") else 1)

    def _fill(self) -> None:
        """Puts the window on its monitor, whole."""
        glfw, monitor = self._glfw, self._monitor()
        self._filled = self._screen(monitor)
        rate = glfw.get_video_mode(monitor).refresh_rate or glfw.DONT_CARE
        glfw.set_window_monitor(self._window, monitor, 0, 0, *self._filled[2:], rate)
        self._wait_for_screen()  # some drivers forget it with the old surface

    def _follow(self) -> None:
        """Keeps the screen filled whatever becomes of it, looking once in a while."""
        now_s = time.perf_counter()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        monitor = self._glfw.get_window_monitor(self._window)
        if not monitor:
            self._return()
        # A window manager fits the window to another resolution; a kiosk's bare X server leaves it as it was.
        elif self._screen(monitor) != self._filled and not is_on(self._glfw, "WAYLAND"):
            with suppress(NoDisplay, ValueError):
                self._fill()
                self._entered()

    def _return(self) -> None:
        """Goes back to the full screen that was taken away: a projector switched off for the night counts as
        unplugged, and GLFW then makes a window of what it showed."""
        glfw = self._glfw
        names = [glfw.get_monitor_name(monitor) for monitor in glfw.get_monitors()]
        if self._monitor_name in names:
            if self._monitor_name not in names[self._display : self._display + 1]:  # it has another number now
                self._display = names.index(self._monitor_name)
            with suppress(NoDisplay, ValueError):  # one that is only just coming has no mode yet: we shall look again
                self._fill()
                self._entered()

    def _entered(self) -> None:
        """What changes with full-screen: the cursor and the pace."""
        glfw = self._glfw
        hidden = glfw.CURSOR_HIDDEN if self._fullscreen else glfw.CURSOR_NORMAL
        glfw.set_input_mode(self._window, glfw.CURSOR, hidden)
        monitors = glfw.get_monitors()
        hz = 0
        if monitors:
            monitor = monitors[self._display] if self._display < len(monitors) else monitors[0]
            hz = glfw.get_video_mode(monitor).refresh_rate
        self.refresh_hz = float(hz) if hz > 0 else HEADLESS_HZ
        # vsync paces; but some servers (Xvfb, a few compositors, a driver set to "off") never wait.
        # A pacer a shade faster than the screen sleeps only when the swap did not.
        self._pacer = Pacer(self.refresh_hz * (1.0 if is_on(glfw, "WAYLAND") else 1.02))

    def _measure(self) -> None:
        width, height = self._glfw.get_framebuffer_size(self._window)
        if self._x_server.gone:
            return  # it went just now, and the size is made up
        self.size = (max(width, 1), max(height, 1))  # a folded window measures 0×0
        self.framebuffer = self.ctx.screen
        self.framebuffer.viewport = (0, 0, *self.size)

    def _pressed(self, key: int, scancode: int, action: int) -> None:
        if action == self._glfw.PRESS and len(self._keys) < 64 and (name := self._names.name(key, scancode)):
            self._keys.append(name)

    def poll(self) -> list[str]:
        if not self._x_server.gone:
            self._listen()
        if self._x_server.gone:
            self.closing = True
        keys, self._keys = self._keys, []
        return keys

    def _listen(self) -> None:
        glfw = self._glfw
        glfw.poll_events()
        # First, as it waits for the server's answer: an X server that is going is found out here. In _follow GLFW
        # would crash on the answer that does not come.
        if not self._x_server.gone:
            self._measure()
        if self._fullscreen and not self._x_server.gone:
            self._follow()
        if glfw.window_should_close(self._window):
            self.closing = True

    def present(self) -> None:
        if not self._x_server.gone:
            self._glfw.swap_buffers(self._window)
        self._pacer.wait()

    @property
    def fullscreen(self) -> bool:
        return self._fullscreen

    def set_fullscreen(self, on: bool) -> None:
        if on == self._fullscreen or self._x_server.gone:
            return
        glfw = self._glfw
        if on:
            self._windowed_size = glfw.get_window_size(self._window)
            if not self._asked:
                self._display = self._under_window()
            self._fill()
        else:
            # A window larger than the screen that it leaves is an error to Wayland, and GLFW then hangs.
            screen = glfw.get_window_size(self._window)
            part = min(1.0, *(0.9 * whole / own for whole, own in zip(screen, self._windowed_size, strict=True)))
            size = [max(int(own * part), 1) for own in self._windowed_size]
            monitor = glfw.get_window_monitor(self._window)  # none if it is gone
            left, top = glfw.get_monitor_pos(monitor) if monitor else (0, 0)
            glfw.set_window_monitor(self._window, None, left + 60, top + 60, *size, glfw.DONT_CARE)
            self._wait_for_screen()
        self._fullscreen = on
        self._entered()
        self._measure()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = self.closing = True
        if self._x_server.gone:
            return  # with nobody to give it back to, GLFW and drivers may crash trying
        self.ctx.release()
        self._glfw.destroy_window(self._window)
        self._glfw.terminate()
        self._x_server.close()


def most_of(window: Box, screens: list[Box], otherwise: int) -> int:
    """The number of the screen that most of the window lies on; `otherwise` if none, or if that one has as much."""

    def shared(screen: Box) -> int:
        (x, y, wide, high), (left, top, width, height) = window, screen
        return max(min(x + wide, left + width) - max(x, left), 0) * max(min(y + high, top + height) - max(y, top), 0)

    areas = [shared(screen) for screen in screens]
    most = max(areas, default=0)
    return otherwise if most == 0 or areas[otherwise : otherwise + 1] == [most] else areas.index(most)


def open_stage(
    spec: StageSpec | None = None,
    headless: bool = False,
    windowed: bool | None = None,
    display: int | None = None,
    size: tuple[int, int] | None = None,
    paced: bool = True,
) -> Stage:
    """Open the stage; what is given here overrides the show.

    `paced=False` lets a headless stage run as fast as it draws, for films and measurements.
    Raises NoDisplay, one sentence with the cure.
    """
    wanted = size or ((spec.width, spec.height) if spec else (1280, 720))
    if min(wanted) < 1:
        raise ValueError(f"the stage needs at least 1×1 pixels, got {wanted[0]}×{wanted[1]}")
    if headless:
        return HeadlessStage(wanted, spec.fps_headless if spec else HEADLESS_HZ, paced)
    if windowed is None:
        windowed = not spec.fullscreen if spec else False
    chosen = display if display is not None else (spec.display if spec else 0)
    return WindowStage(wanted, not windowed, chosen)
