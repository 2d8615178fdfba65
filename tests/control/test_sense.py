"""Senses as the show meets them: real bytes and sound through everything but the driver, and all that can go wrong."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.control.heard import Heard
from engine.control.sense import SenseProcess, open_senses, pass_on
from tests.registry import build_registry

DRIVERS = Path(__file__).parent / "drivers"
PATIENCE_S = 30.0  # how long a test waits for what must happen before it fails
Open = Callable[..., SenseProcess]


@pytest.fixture
def open_sense(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Open]:
    monkeypatch.syspath_prepend(DRIVERS)
    monkeypatch.setenv("FAKE_MIDI", str(tmp_path / "midi"))
    monkeypatch.setenv("FAKE_SOUND", str(tmp_path / "sound"))
    (tmp_path / "midi").write_text("")
    opened: list[SenseProcess] = []

    def begin(kind: str, **settings: Any) -> SenseProcess:
        sense = SenseProcess(kind, {"device": "", "gain_db": 0.0, "look_s": 0.02, **settings}, first_wait_s=0.05)
        sense.start()
        opened.append(sense)
        return sense

    yield begin
    for sense in opened:
        sense.close()


def wait_for(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, "it never happened"
        time.sleep(0.01)


def heard_until(sense: SenseProcess, wanted: Heard) -> list[Heard]:
    """All that is heard up to something, and that."""
    heard: list[Heard] = []

    def has_come() -> bool:
        heard.extend(sense.drain())
        return wanted in heard

    wait_for(has_come)
    return heard


class Knobs:
    """A MIDI device that is plugged in, or not."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file, self._name = folder / "midi", name
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]

    def plug_in(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"Midi Through 1\n{self._name} {self._port}\n")
        os.replace(new, self._file)

    def pull_out(self) -> None:
        self._file.write_text("")

    def send(self, *message: int) -> None:
        self._socket.sendto(bytes(message), ("127.0.0.1", self._port))


def test_a_device_is_heard_lost_and_heard_again(open_sense: Open, tmp_path: Path, caplog: Any) -> None:
    caplog.set_level("INFO")
    knobs, midi = Knobs(tmp_path, "nanoKONTROL2 SLIDER/KNOB"), open_sense("midi", device="nanokontrol")
    wait_for(lambda: "no MIDI device fits 'nanokontrol'" in midi.status)
    knobs.plug_in()
    wait_for(lambda: midi.status == "midi: nanoKONTROL2 SLIDER/KNOB")
    knobs.send(0xF8)
    knobs.send(0xB0, 74, 101)
    knobs.send(0x90, 60, 99)
    heard = heard_until(midi, ("midi:note/1/60", (99,)))
    assert ("midi:cc/1/74", (101,)) in heard
    ((kind, time_s),) = midi.take_clock()
    assert kind == "pulse" and 0 <= time.perf_counter() - time_s < PATIENCE_S
    knobs.pull_out()
    heard_until(midi, ("midi:note/1/60", (0,)))  # no note hangs
    wait_for(lambda: "is gone" in midi.status)
    knobs.plug_in()
    wait_for(lambda: midi.status == "midi: nanoKONTROL2 SLIDER/KNOB")
    knobs.send(0xB0, 74, 3)
    heard_until(midi, ("midi:cc/1/74", (3,)))
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if "is gone" in line]) == 1
    assert len([line for line in said if "no MIDI device fits" in line]) == 1


def test_what_is_heard_goes_to_the_mappings_and_the_clock_to_the_tempo(open_sense: Open, tmp_path: Path) -> None:
    class Tempo:
        def __init__(self) -> None:
            self.pulses: list[float] = []
            self.starts: list[int] = []  # how many pulses came before

        def clock_pulse(self, time_s: float) -> None:
            self.pulses.append(time_s)

        def start(self) -> None:
            self.starts.append(len(self.pulses))

    knobs, midi, tempo = Knobs(tmp_path, "DrumBrute"), open_sense("midi"), Tempo()
    heard: list[Heard] = []
    knobs.plug_in()
    wait_for(lambda: midi.status == "midi: DrumBrute")
    for status in (0xF8, 0xF8, 0xFA, 0xF8, 0xFC):
        knobs.send(status)
    knobs.send(0xE0, 0, 0)

    def bent() -> bool:
        pass_on([midi], lambda address, arguments: heard.append((address, tuple(arguments))), tempo)  # type: ignore[arg-type]
        return ("midi:bend/1", (-1.0,)) in heard

    wait_for(bent)
    assert len(tempo.pulses) == 3 and tempo.starts == [2]
    assert tempo.pulses == sorted(tempo.pulses)
    assert [one for one in heard if one[0] in ("midi:start", "midi:stop")] == [
        ("midi:start", (1,)),
        ("midi:stop", (1,)),
    ]


def test_a_driver_that_crashes_takes_nothing_with_it(open_sense: Open, tmp_path: Path, caplog: Any) -> None:
    knobs, midi = Knobs(tmp_path, "Launchpad"), open_sense("midi")
    knobs.plug_in()
    wait_for(lambda: midi.status == "midi: Launchpad")
    knobs.send(0x90, 60, 99)
    heard_until(midi, ("midi:note/1/60", (99,)))
    (tmp_path / "midi").write_text("abort")
    heard_until(midi, ("midi:note/1/60", (0,)))
    wait_for(lambda: "the driver crashed" in caplog.text)
    knobs.plug_in()
    wait_for(lambda: midi.status == "midi: Launchpad")


def test_a_microphone_is_heard_and_its_levels_come_down_when_it_disappears(
    open_sense: Open, tmp_path: Path, caplog: Any
) -> None:
    (tmp_path / "sound").write_text("")
    sound = open_sense("sound", device="USB*")
    last: dict[str, float] = {}

    def level() -> float:
        last.update({address: values[0] for address, values in sound.drain()})
        return last.get("sound:mid", 0.0)

    wait_for(lambda: level() > 0.9)
    assert last["sound:high"] < 0.5
    (tmp_path / "sound").unlink()
    falling: list[float] = []
    wait_for(lambda: falling.append(level()) or falling[-1] == 0.0)  # type: ignore[func-returns-value]
    assert any(0.0 < value < 0.9 for value in falling), "it must ease, not jump"
    wait_for(lambda: "is gone" in caplog.text)
    (tmp_path / "sound").write_text("")
    wait_for(lambda: level() > 0.9)


@pytest.mark.parametrize("kind", ["midi", "sound"])
def test_a_missing_package_is_one_line_with_the_cure(
    kind: str, open_sense: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in ("rtmidi2", "sounddevice"):
        (empty / f"{name}.py").write_text("raise ImportError('not here')\n")
    monkeypatch.syspath_prepend(empty)
    sense = open_sense(kind)
    wait_for(lambda: f"pip install 'pedesis[{kind}]'" in sense.status)
    assert len(caplog.records) == 1
    assert sense.drain() == []


def test_a_sense_is_opened_only_where_the_show_wants_it(open_sense: Open) -> None:
    registry = build_registry(["clouds"], ["dissolve"])
    values = {name: param.default for name, param in registry.items()}

    def kinds(addresses: list[str], **changes: Any) -> list[str]:
        senses = open_senses({**values, **{k.replace("_", "."): v for k, v in changes.items()}}, addresses)
        for sense in senses:
            sense.close()
        return [sense.kind for sense in senses]

    assert kinds(["/sensor/1/distance"]) == []
    assert kinds(["midi:cc/1/74", "sound:level"]) == ["midi", "sound"]
    assert kinds([], midi_device="nano*") == ["midi"]
    assert kinds(["midi:cc/1/74"], midi_enabled=False) == []


@pytest.mark.skipif(sys.platform == "win32", reason="counts open files as Unix has them")
def test_opening_and_closing_leaves_nothing_behind(open_sense: Open) -> None:
    def descriptors() -> int:
        return len(os.listdir("/dev/fd"))

    open_sense("midi").close()
    before = descriptors()
    for _ in range(3):
        open_sense("midi").close()
    assert descriptors() == before
