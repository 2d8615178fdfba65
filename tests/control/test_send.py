"""What is typed on a command line becomes the message that was meant, by a listener that knows OSC."""

import socket

import pytest

from engine.control.message import decode
from engine.control.send import OscOut, argument, full_address, message
from tests.packets import message as by_python_osc


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("3", ("i", 3)),
        ("-3", ("i", -3)),
        ("0.25", ("f", 0.25)),
        ("1e-3", ("f", 0.001)),
        ("3000000000", ("h", 3000000000)),
        ("a whale", ("s", "a whale")),
        ("nan", ("s", "nan")),
        ("i:3", ("i", 3)),
        ("f:3", ("f", 3.0)),
        ("d:0.1", ("d", 0.1)),
        ("s:3", ("s", "3")),
        ("s:T", ("s", "T")),
        ("T", ("T", True)),
        ("F", ("F", False)),
        ("N", ("N", None)),
        ("http://x", ("s", "http://x")),
    ],
)
def test_types_are_guessed_or_told(word: str, meant: tuple[str, object]) -> None:
    assert argument(word) == meant


@pytest.mark.parametrize("word", ["i:3.5", "i:", "f:loud", "i:3000000000", "h:99999999999999999999", "f:1e39"])
def test_what_cannot_be_that_type_is_refused_in_words(word: str) -> None:
    with pytest.raises(ValueError, match="must"):
        argument(word)


def test_a_message_is_what_python_osc_makes_and_reads_back_as_typed() -> None:
    packet = message("walk.speed", ["0.5", "2", "T", "s:x"])
    assert packet == by_python_osc("/walk/speed", 0.5, 2, True, "x")
    assert decode(packet) == ("/walk/speed", [0.5, 2, True, "x"])


@pytest.mark.parametrize("address", ["", "/", "/a b", "/a\n", "a,b"])
def test_an_address_that_cannot_be_sent_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="like /walk/speed"):
        full_address(address)


def test_it_knows_whether_somebody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with OscOut("127.0.0.1", port) as out:
            out.send(message("/a", ["1"]))
            assert not out.refused()
        assert decode(listener.recv(100)) == ("/a", [1])
    with OscOut("127.0.0.1", port) as out:
        out.send(message("/a", []))
        assert out.refused()
