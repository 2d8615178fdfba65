"""MIDI bytes into addresses: a knob becomes midi:cc/1/74, a key midi:note/1/60.

    decoder = MidiDecoder()
    decoder.feed(b"\\xb0\\x4a\\x65", time_s=0.0)        # [("midi:cc/1/74", (101,))]
    decoder.take_clock()                              # [("pulse", 12.5), ("start", 13.0)]

One decoder a device, since running status, 14-bit pairs and held notes belong to it. Any bytes may come, in any
pieces; what is no message is passed over. Addresses are listed in heard.py. Pure; any one thread.

After the MIDI 1.0 specification. A 14-bit control is told (midi:cc14) when its fine half comes, which is sent last;
an NRPN when its coarse half comes, or the fine one for devices that send it.
"""

from collections import deque
from typing import Literal

from engine.control.heard import Heard

ClockKind = Literal["pulse", "start", "continue", "stop"]
ClockEvent = tuple[ClockKind, float]  # what, and when, in seconds of time.perf_counter

PULSES_PER_QUARTER = 24
MAX_CLOCK = 256  # clock events between two takes; the oldest go
_LENGTHS = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}  # data bytes by the status byte's upper half
_SYSTEM_LENGTHS = {0xF1: 1, 0xF2: 2, 0xF3: 1}
_REALTIME: dict[int, ClockKind] = {0xF8: "pulse", 0xFA: "start", 0xFB: "continue", 0xFC: "stop"}
_CENTRE = 8192
_DATA_COARSE, _DATA_FINE = 6, 38
_NRPN_FINE, _NRPN_COARSE, _RPN_FINE, _RPN_COARSE = 98, 99, 100, 101
_SOUND_OFF, _NOTES_OFF = 120, 123  # 123 to 127 all end the notes


class MidiDecoder:
    """See the module's head."""

    def __init__(self) -> None:
        self._status = 0  # of the message under way, or the running one
        self._data: list[int] = []
        self._coarse: dict[tuple[int, int], int] = {}  # channel, control: the newest coarse half
        self._nrpn: dict[int, list[int]] = {}  # channel: coarse and fine half of the parameter's number
        self._nrpn_value: dict[tuple[int, int], int] = {}  # channel, parameter: coarse half of its value
        self._nrpn_fine: set[tuple[int, int]] = set()  # those whose fine half has been seen
        self._held: set[tuple[int, int]] = set()  # channel, note
        self._pulses = 0
        self._clock: deque[ClockEvent] = deque(maxlen=MAX_CLOCK)

    def feed(self, raw: bytes, time_s: float) -> list[Heard]:
        """What these bytes say, oldest first. time_s: when they came."""
        heard: list[Heard] = []
        for byte in raw:
            if byte >= 0xF8:  # may stand in the middle of another message
                heard += self._realtime(byte, time_s)
            elif byte >= 0x80:
                self._status, self._data = byte, []
            elif self._status:
                self._data.append(byte)
                length = _LENGTHS.get(self._status >> 4, _SYSTEM_LENGTHS.get(self._status, 0))
                if self._status >= 0xF0:
                    if len(self._data) >= length and self._status != 0xF0:
                        self._status = 0  # system messages have no running status, and mean nothing to us
                    self._data = [] if self._status == 0xF0 else self._data
                elif len(self._data) == length:
                    heard += self._message(self._status >> 4, (self._status & 0xF) + 1, self._data)
                    self._data = []
        return heard

    def take_clock(self) -> list[ClockEvent]:
        """Clock pulses and the like since the last call, with their times."""
        events = list(self._clock)
        self._clock.clear()
        return events

    def release(self) -> list[Heard]:
        """The end of every note that is held, for a device that has gone."""
        held, self._held = sorted(self._held), set()
        return [(f"midi:note/{channel}/{note}", (0,)) for channel, note in held]

    def _realtime(self, byte: int, time_s: float) -> list[Heard]:
        kind = _REALTIME.get(byte)
        if kind is None:  # active sensing, reset
            return []
        self._clock.append((kind, time_s))
        if kind == "stop":
            return [("midi:stop", (1,))]
        if kind in ("start", "continue"):
            self._pulses = 0 if kind == "start" else self._pulses
            return [(f"midi:{kind}", (1,))]
        place = self._pulses % PULSES_PER_QUARTER
        self._pulses += 1
        heard: list[Heard] = [("midi:clock", (self._pulses,))]
        if place in (0, PULSES_PER_QUARTER // 2):
            heard.append(("midi:beat", (int(place == 0),)))
        return heard

    def _message(self, kind: int, channel: int, data: list[int]) -> list[Heard]:
        """One whole message. kind: the upper half of its status byte."""
        first, last = data[0], data[-1]
        if kind == 0xB:
            return self._control(channel, first, last)
        if kind in (0x8, 0x9):
            velocity = last if kind == 0x9 else 0
            (self._held.add if velocity else self._held.discard)((channel, first))
            return [(f"midi:note/{channel}/{first}", (velocity,))]
        if kind == 0xE:
            bend = (last << 7 | first) - _CENTRE
            return [(f"midi:bend/{channel}", (bend / (_CENTRE if bend < 0 else _CENTRE - 1),))]
        if kind == 0xA:
            return [(f"midi:pressure/{channel}/{first}", (last,))]
        return [(f"midi:{'program' if kind == 0xC else 'pressure'}/{channel}", (first,))]

    def _control(self, channel: int, number: int, value: int) -> list[Heard]:
        heard: list[Heard] = [(f"midi:cc/{channel}/{number}", (value,))]
        if number < 32:
            self._coarse[channel, number] = value
        elif number < 64 and (channel, number - 32) in self._coarse:
            whole = self._coarse[channel, number - 32] << 7 | value
            heard.append((f"midi:cc14/{channel}/{number - 32}", (whole,)))
        if number in (_NRPN_COARSE, _NRPN_FINE):
            self._nrpn.setdefault(channel, [127, 127])[number == _NRPN_FINE] = value
        elif number in (_RPN_COARSE, _RPN_FINE):
            self._nrpn.pop(channel, None)  # data that follows is for a registered parameter: the device's own matter
        elif number in (_DATA_COARSE, _DATA_FINE):
            heard += self._nrpn_data(channel, number == _DATA_FINE, value)
        elif number == _SOUND_OFF or number >= _NOTES_OFF:
            ended = sorted(note for on, note in self._held if on == channel)
            self._held -= {(channel, note) for note in ended}
            heard += [(f"midi:note/{channel}/{note}", (0,)) for note in ended]
        return heard

    def _nrpn_data(self, channel: int, is_fine: bool, value: int) -> list[Heard]:
        coarse, fine = self._nrpn.get(channel, (127, 127))
        if (coarse, fine) == (127, 127):  # the null parameter: none is chosen
            return []
        place = channel, coarse << 7 | fine
        if is_fine:
            self._nrpn_fine.add(place)
        else:
            self._nrpn_value[place] = value
            if place in self._nrpn_fine:
                return []  # its fine half is about to come
        whole = self._nrpn_value.get(place, 0) << 7 | (value if is_fine else 0)
        return [(f"midi:nrpn/{channel}/{place[1]}", (whole,))]
