"""MIDI bytes, made by mido or by hand, become addresses; nothing that comes raises."""

import random

import pytest

from engine.control.heard import mistake_in, range_of
from engine.control.midi import MidiDecoder

mido = pytest.importorskip("mido")


def heard(*messages: object) -> list[tuple[str, tuple[float, ...]]]:
    decoder = MidiDecoder()
    return [one for message in messages for one in decoder.feed(bytes(message.bytes()), 0.0)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("message", "address", "value"),
    [
        (("control_change", {"channel": 0, "control": 74, "value": 101}), "midi:cc/1/74", 101),
        (("note_on", {"channel": 9, "note": 36, "velocity": 127}), "midi:note/10/36", 127),
        (("note_on", {"channel": 9, "note": 36, "velocity": 0}), "midi:note/10/36", 0),
        (("note_off", {"channel": 0, "note": 60, "velocity": 64}), "midi:note/1/60", 0),
        (("pitchwheel", {"channel": 15, "pitch": 8191}), "midi:bend/16", 1.0),
        (("pitchwheel", {"channel": 15, "pitch": -8192}), "midi:bend/16", -1.0),
        (("pitchwheel", {"channel": 15, "pitch": 0}), "midi:bend/16", 0.0),
        (("aftertouch", {"channel": 2, "value": 77}), "midi:pressure/3", 77),
        (("polytouch", {"channel": 2, "note": 61, "value": 5}), "midi:pressure/3/61", 5),
        (("program_change", {"channel": 3, "program": 12}), "midi:program/4", 12),
        (("start", {}), "midi:start", 1),
        (("stop", {}), "midi:stop", 1),
    ],
)
def test_each_kind_of_message_has_its_address(message: tuple[str, dict[str, int]], address: str, value: float) -> None:
    assert heard(mido.Message(message[0], **message[1])) == [(address, (value,))]
    assert mistake_in(address) is None
    low, high = range_of(address) or (0, 0)
    assert low <= value <= high


def test_bytes_may_come_in_pieces_with_running_status_and_the_clock_in_between() -> None:
    decoder = MidiDecoder()
    assert decoder.feed(b"\xb0\x4a", 0.0) == []
    assert decoder.feed(b"\xf8\x10", 0.5) == [("midi:clock", (1,)), ("midi:beat", (1,)), ("midi:cc/1/74", (16,))]
    assert decoder.feed(b"\x4b\x11", 0.6) == [("midi:cc/1/75", (17,))]
    assert decoder.take_clock() == [("pulse", 0.5)] and decoder.take_clock() == []


def test_system_exclusive_and_active_sensing_are_passed_over() -> None:
    decoder = MidiDecoder()
    assert decoder.feed(b"\xf0\x7e\x7f\x06\x01\xf7\xfe\xf1\x10\x20\x30\x90\x3c\x40", 0.0) == [("midi:note/1/60", (64,))]


def test_fourteen_bit_controls_are_told_whole() -> None:
    decoder = MidiDecoder()
    told = decoder.feed(b"\xb0\x01\x40\xb0\x21\x01", 0.0)
    assert told == [("midi:cc/1/1", (64,)), ("midi:cc/1/33", (1,)), ("midi:cc14/1/1", (64 * 128 + 1,))]


def test_nrpn_with_and_without_a_fine_half() -> None:
    decoder = MidiDecoder()
    choose = b"\xb0\x63\x02\xb0\x62\x05"
    coarse = dict(decoder.feed(choose + b"\xb0\x06\x40", 0.0))
    assert coarse["midi:nrpn/1/261"] == (64 * 128,)
    fine = dict(decoder.feed(b"\xb0\x26\x03", 0.0))
    assert fine["midi:nrpn/1/261"] == (64 * 128 + 3,)
    again = decoder.feed(b"\xb0\x06\x41\xb0\x26\x04", 0.0)  # now known to have one: not told half
    assert [one for one in again if "nrpn" in one[0]] == [("midi:nrpn/1/261", (65 * 128 + 4,))]
    registered = decoder.feed(b"\xb0\x65\x00\xb0\x64\x00\xb0\x06\x02", 0.0)  # the range of the pitch wheel
    assert not [one for one in registered if "nrpn" in one[0]]


def test_held_notes_end_when_all_are_told_to_and_when_the_device_goes() -> None:
    decoder = MidiDecoder()
    decoder.feed(b"\x90\x3c\x40\x90\x40\x40\x91\x3c\x40", 0.0)
    assert decoder.feed(b"\xb0\x7b\x00", 0.0)[1:] == [("midi:note/1/60", (0,)), ("midi:note/1/64", (0,))]
    assert decoder.release() == [("midi:note/2/60", (0,))] and decoder.release() == []


def test_the_clock_beats_on_quarter_notes_from_the_start() -> None:
    decoder = MidiDecoder()
    decoder.feed(b"\xf8" * 5 + b"\xfa", 0.0)
    beats = [one[1] for _ in range(48) for one in decoder.feed(b"\xf8", 0.0) if one[0] == "midi:beat"]
    assert beats == [(1,), (0,), (1,), (0,)]


def test_no_bytes_whatever_raise() -> None:
    rng, decoder = random.Random(5), MidiDecoder()
    for _ in range(3000):
        for address, values in decoder.feed(rng.randbytes(rng.randint(1, 12)), 0.0):
            assert mistake_in(address) is None and len(values) == 1
    assert len(decoder.take_clock()) <= 256


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("midi:cc/17/74", "channel from 1 to 16"),
        ("midi:cc/1/128", "number from 0 to 127"),
        ("midi:cc/1", "midi:cc/CHANNEL/NUMBER"),
        ("midi:bend/1/2", "midi:bend/CHANNEL"),
        ("midi:knob/1/2", "cc, cc14"),
        ("sound:loud", "sound:level"),
    ],
)
def test_a_mistyped_address_is_told_with_what_it_must_be(address: str, hint: str) -> None:
    mistake = mistake_in(address)
    assert mistake is not None and hint in mistake[0]


def test_patterns_are_good_addresses() -> None:
    assert mistake_in("midi:cc/*/74") is None and mistake_in("midi:note/10/{36,38}") is None
    assert mistake_in("sound:*") is None
