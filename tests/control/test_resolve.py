"""What OSC messages mean: addresses as people write them, values of every type, and what is said about the rest."""

import math

import pytest

from engine.control.message import Opaque
from engine.control.resolve import Resolver
from engine.show.params import Param, Registry, Value
from tests.registry import build_registry

RESOLVER = Resolver(build_registry(["clouds", "pulp", "memory"], ["dissolve", "tear"]))
SPEED = "must be a number from 0 to 4 phase/s, got "


def said(address: str, *arguments: object) -> str:
    """What is wrong with a message, hints included; "" when all is well."""
    mistakes = RESOLVER.resolve(address, arguments).mistakes
    return "; ".join(m.text + (m.hint() if m.hint else "") for m in mistakes)


@pytest.mark.parametrize(
    "address", ["/walk/speed", "/walk/speed/", "//walk/speed", "/Walk//Speed//", "walk/speed", "/walk/speed "]
)
def test_slashes_and_capitals_do_not_matter(address: str) -> None:
    assert RESOLVER.find(address) == "/walk/speed"
    assert RESOLVER.resolve(address, [0.5]).steers == [("walk.speed", 0.5)]


def test_what_may_mean_two_things_means_neither() -> None:
    both = [Param(name, "number", 0.0, "") for name in ("walk.speed", "walk.Speed", "walk.slow")]
    resolver = Resolver(Registry(both))
    assert resolver.find("/walk/Speed") == "/walk/Speed" and resolver.find("/walk/speed") == "/walk/speed"
    assert resolver.find("/WALK/SPEED") is None and resolver.find("/WALK/SLOW") == "/walk/slow"
    resolved = resolver.resolve("/WALK/SPEED", [1.0])
    assert resolved.steers == []
    assert resolved.mistakes[0].text == "may mean /walk/Speed or /walk/speed; send one of these exactly"


@pytest.mark.parametrize("pattern", ["/material/*", "/Material/*", "//material/*/", "/material/{CLOUDS,Pulp,Memory}"])
def test_patterns_are_as_lenient(pattern: str) -> None:
    assert {name for name, _ in RESOLVER.resolve(pattern, [1]).steers} == {
        "material.clouds", "material.pulp", "material.memory",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("address", "argument", "expected"),
    [
        ("/walk/speed", True, 1.0),
        ("/walk/speed", False, 0.0),
        ("/walk/speed", "0.3", 0.3),
        ("/walk/speed", " 3e-1\n", 0.3),
        ("/walk/speed", "on", 1.0),
        ("/walk/speed", "99", 4.0),
        ("/look/contrast", False, 0.5),
        ("/walk/seed", "12", 12),
        ("/walk/seed", True, 1),
        ("/walk/pause", "on", True),
        ("/walk/pause", "Off", False),
        ("/walk/pause", "true", True),
        ("/walk/pause", "0", False),
        ("/walk/pause", "0.7", True),
        ("/blend/transition", "tear", "tear"),
        ("/blend/transition", "Tear", "tear"),
        ("/blend/transition", "1", "tear"),
        ("/walk/nudge", "0.5", 0.5),
        ("/walk/nudge", "bang", 1.0),
        ("/walk/nudge", False, 0.0),
        ("/walk/nudge", None, 1.0),
    ],
)
def test_what_has_one_plain_meaning_is_taken(address: str, argument: object, expected: Value) -> None:
    resolved = RESOLVER.resolve(address, [argument])
    assert resolved.steers == [(address[1:].replace("/", "."), expected)] and resolved.mistakes == []
    assert type(resolved.steers[0][1]) is type(expected)


@pytest.mark.parametrize(
    ("address", "argument", "text"),
    [
        ("/walk/speed", Opaque("a colour"), SPEED + "a colour"),
        ("/walk/speed", Opaque("a MIDI message"), SPEED + "a MIDI message"),
        ("/walk/speed", "fast", SPEED + "'fast'"),
        ("/walk/speed", "0,3", SPEED + "'0,3'"),  # or is it three?
        ("/walk/speed", "nan", SPEED + "'nan'"),
        ("/walk/speed", math.inf, SPEED + "inf"),
        ("/walk/speed", None, SPEED + "no value"),
        ("/walk/pause", "maybe", "must be true or false, got 'maybe'"),
        ("/walk/pause", Opaque("a time tag"), "must be true or false, got a time tag"),
        ("/walk/home", Opaque("a time tag"), "must be a strength from 0 to 1, got a time tag"),
        ("/blend/transition", True, "must be one of dissolve, tear, got true"),
        ("/blend/transition", "disolve", "must be one of dissolve, tear, got 'disolve'. Did you mean dissolve?"),
        ("/look/{grain,drift}", "x", "reaches /look/grain, which must be a number from 0 to 1, got 'x'"),
        ("/walk/speed 0.5", None, "has a space in its address; send /walk/speed, and the value as an argument"),
        ("/Walk/Loop", 5, "can only be set where the show begins: in its file or with --set"),
        ("/walk/{loop}", 5, "reaches no parameter"),
        ("/nothing/like/it", 5, "is not the address of any parameter"),
        ("/walk/sped", 5, "is not the address of any parameter. Did you mean /walk/speed?"),
    ],
)
def test_what_has_none_is_said_in_words(address: str, argument: object, text: str) -> None:
    assert RESOLVER.resolve(address, [argument]).steers == []
    assert said(address, argument) == text


def test_kinds_of_mistakes_are_told_apart() -> None:
    given = [Opaque("a colour"), Opaque("a time tag"), "fast", math.nan, None]
    kinds = [RESOLVER.resolve("/walk/speed", [each]).mistakes[0].kind for each in given]
    assert len(set(kinds)) == len(given)
    slow, fast = (RESOLVER.resolve("/walk/speed", [word]).mistakes[0].kind for word in ("slow", "fast"))
    assert slow == fast


def test_further_values_are_mentioned() -> None:
    assert said("/walk/speed", 0.5, 0.25) == "uses only the first of 2 values"
    assert RESOLVER.resolve("/walk/speed", [0.5, "x"]).steers == [("walk.speed", 0.5)]


def test_no_value_is_none_or_missing_alike() -> None:
    assert said("/walk/speed") == said("/walk/speed", None) == SPEED + "no value"
    assert RESOLVER.resolve("/walk/home", []).steers == [("walk.home", 1.0)]
