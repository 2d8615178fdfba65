"""The registry: strict where a person writes, lenient where a controller sends, and nothing undocumented."""

import json
import math
import re
import time

import pytest

from engine.show.address import MAX_LENGTH, OscPattern, is_pattern
from engine.show.params import Param, ParamError, Registry, Value, nearest_word, shown, slug
from tests.registry import build_registry

REGISTRY = build_registry(["clouds", "pulp", "paper_sky"], ["clouds_part", "dissolve", "tear"])
PROMISED = [
    "walk.speed", "walk.radius", "walk.pedesis", "walk.wander", "walk.focus", "walk.pause", "walk.seed", "walk.home",
    "walk.home_here", "walk.nudge", "walk.loop", "material.clouds", "material.paper_sky", "blend.time",
    "blend.transition", "look.enabled", "look.grain", "look.vignette", "look.drift", "look.exposure",
    "look.saturation", "look.contrast", "look.sharpness", "stage.blackout", "stage.freeze",
]  # fmt: skip


def number(**change: object) -> Param:
    settings: dict = {"name": "a.b", "kind": "number", "default": 0.5, "doc": "", "low": 0, "high": 1}
    return Param(**{**settings, **change})


@pytest.mark.parametrize("name", PROMISED)
def test_promised_parameter_exists(name: str) -> None:
    assert REGISTRY[name].address == "/" + name.replace(".", "/")


@pytest.mark.parametrize("param", REGISTRY.values(), ids=lambda p: p.name)
def test_every_parameter_is_fit_to_be_shown(param: Param) -> None:
    assert re.fullmatch(r"say|[a-z]+(\.[a-z][a-z0-9_]*)+", param.name)
    assert param.doc[0].isupper() and param.doc.endswith(".") and "\n" not in param.doc
    assert param.coerce(param.default) == param.default
    if param.kind in ("number", "integer"):
        assert param.low is not None and param.high is not None and param.low < param.high
        assert param.coerce(type(param.default)(param.low)) == param.low
        assert param.coerce(type(param.default)(param.high)) == param.high
    assert REGISTRY.by_address(param.address) is param
    assert REGISTRY.match(param.address) == [param]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("walk.speed", 0.3, 0.3),
        ("walk.speed", 1, 1.0),
        ("walk.speed", 0, 0.0),
        ("walk.seed", 2**31 - 1, 2**31 - 1),
        ("walk.pause", True, True),
        ("blend.transition", "tear", "tear"),
        ("walk.nudge", 0.5, 0.5),
    ],
)
def test_coerce_takes(name: str, value: Value, expected: Value) -> None:
    coerced = REGISTRY[name].coerce(value)
    assert coerced == expected and type(coerced) is type(expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("walk.speed", "0.3"), ("walk.speed", True), ("walk.speed", -0.1), ("walk.speed", 4.01),
        ("walk.speed", math.nan), ("walk.speed", math.inf), ("walk.speed", None), ("walk.speed", [0.3]),
        ("walk.speed", 10**400), ("walk.seed", 3.0), ("walk.seed", True), ("walk.seed", -1),
        ("walk.seed", 2**31), ("walk.pause", 1), ("walk.pause", "true"), ("blend.transition", 0),
        ("blend.transition", "Tear"), ("walk.nudge", 1.5), ("walk.nudge", "hard"),
    ],
)  # fmt: skip
def test_coerce_refuses_and_says_why(name: str, value: object) -> None:
    with pytest.raises(ParamError) as caught:
        REGISTRY[name].coerce(value)
    error = caught.value
    assert str(error).startswith(f"{name} must be {REGISTRY[name].allowed}, got {shown(value)}")


def test_a_mistyped_choice_finds_the_nearest() -> None:
    with pytest.raises(ParamError) as caught:
        REGISTRY["blend.transition"].coerce("disolve")
    assert caught.value.nearest == "dissolve" and "Did you mean dissolve?" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("walk.speed", [1], 1.0),
        ("walk.speed", [0.25], 0.25),
        ("walk.speed", [99.0], 4.0),
        ("walk.speed", [-3], 0.0),
        ("walk.speed", [10**18], 4.0),
        ("walk.speed", [0.25, 0.75], 0.25),
        ("walk.seed", [12.0], 12),
        ("walk.seed", [12.6], 13),
        ("walk.seed", [1e30], 2**31 - 1),
        ("walk.pause", [1], True),
        ("walk.pause", [0.0], False),
        ("walk.pause", [0.49], False),
        ("walk.pause", [1.0], True),
        ("walk.pause", [True], True),
        ("walk.pause", [False], False),
        ("blend.transition", ["tear"], "tear"),
        ("blend.transition", [0], "clouds_part"),
        ("blend.transition", [1.0], "dissolve"),
        ("blend.transition", [99], "tear"),
        ("blend.transition", [-1], "clouds_part"),
        ("walk.nudge", [0.4], 0.4),
        ("walk.nudge", [7], 1.0),
        ("walk.nudge", [0], 0.0),
        ("walk.nudge", [True], 1.0),
        ("walk.nudge", [], 1.0),
        ("walk.nudge", [None], 1.0),
    ],
)
def test_from_osc_is_lenient(name: str, args: list[object], expected: Value) -> None:
    value = REGISTRY[name].from_osc(args)
    assert value == expected and type(value) is type(expected)
    REGISTRY[name].coerce(value)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("walk.speed", []), ("walk.speed", [math.nan]), ("walk.speed", [math.inf]),
        ("walk.speed", [-math.inf]), ("walk.speed", [None]), ("walk.speed", [b"\0"]),
        ("walk.speed", [[0.3]]), ("walk.seed", [math.nan]), ("walk.seed", [math.inf]), ("walk.pause", []),
        ("walk.pause", [math.nan]), ("blend.transition", ["nothing like it"]),
        ("blend.transition", [math.inf]), ("blend.transition", []), ("walk.nudge", [math.nan]),
        ("walk.nudge", ["hard"]), ("walk.home", [b"1"]),
    ],
)  # fmt: skip
def test_from_osc_refuses(name: str, args: list[object]) -> None:
    with pytest.raises(ParamError):
        REGISTRY[name].from_osc(args)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("walk.speed", " 0.3 ", 0.3),
        ("walk.speed", "1e-1", 0.1),
        ("walk.seed", "42", 42),
        ("walk.pause", "On", True),
        ("walk.pause", "0", False),
        ("blend.transition", "tear", "tear"),
    ],
)
def test_from_text(name: str, text: str, expected: Value) -> None:
    assert REGISTRY[name].from_text(text) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("walk.speed", "fast"), ("walk.speed", ""), ("walk.speed", "nan"),
        ("walk.seed", "4.5"), ("walk.pause", "2"),
    ],
)  # fmt: skip
def test_from_text_refuses(name: str, text: str) -> None:
    with pytest.raises(ParamError):
        REGISTRY[name].from_text(text)


@pytest.mark.parametrize(
    "change",
    [
        {"default": 2.0},
        {"curve": "log"},
        {"kind": "choice", "default": "x"},
        {"kind": "switch", "default": 1},
    ],
)
def test_a_parameter_that_contradicts_itself_cannot_be_made(change: dict) -> None:
    with pytest.raises(ValueError):
        number(**change)


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="names must differ"):
        Registry([number(), number()])


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("walk.sped", "walk.speed"), ("speed", "walk.speed"), ("Walk.Speed", "walk.speed"),
        ("/walk/speed/", "walk.speed"), ("/Walk/Speed", "walk.speed"), ("look.speed", "walk.speed"),
        ("gran", "look.grain"), ("material.cloud", "material.clouds"), ("blackout", "stage.blackout"),
        ("xyzzy", None), ("", None),
    ],
)  # fmt: skip
def test_nearest(wrong: str, right: str | None) -> None:
    assert REGISTRY.nearest(wrong) == right


def test_nearest_word_of_nothing() -> None:
    assert nearest_word("house", []) is None


@pytest.mark.parametrize(
    ("pattern", "address", "fits"),
    [
        ("/material/*", "/material/clouds", True),
        ("/material/*", "/material/a/b", False),
        ("/*/speed", "/walk/speed", True),
        ("/*", "/walk/speed", False),
        ("/walk/s*d", "/walk/speed", True),
        ("/walk/s*d", "/walk/speeds", False),
        ("/walk/??eed", "/walk/speed", True),
        ("/walk/?peed", "/walk/peed", False),
        ("/walk?speed", "/walk/speed", False),
        ("/walk[/]speed", "/walk/speed", False),
        ("/look/[a-g]rain", "/look/grain", True),
        ("/look/[h-z]rain", "/look/grain", False),
        ("/look/[g-a]rain", "/look/grain", True),
        ("/look/[!a-f]rain", "/look/grain", True),
        ("/look/[!g]rain", "/look/grain", False),
        ("/look/[xg-]rain", "/look/grain", True),
        ("/look/{grain,drift}", "/look/drift", True),
        ("/look/{grain,drift}", "/look/dri", False),
        ("/look/{gr,g}{ain,rain}", "/look/grain", True),
        ("/l{oo,}k/*", "/lk/x", True),
        ("/look/**n", "/look/grain", True),
        ("/look/[grain", "/look/grain", False),
        ("/look/{grain", "/look/grain", False),
        ("/look/grain]", "/look/grain", False),
        ("", "/look/grain", False),
        ("/" + "*" * MAX_LENGTH, "/look", False),
    ],
)
def test_patterns(pattern: str, address: str, fits: bool) -> None:
    assert OscPattern(pattern).matches(address) is fits


def test_registry_match() -> None:
    assert [p.name for p in REGISTRY.match("/material/*")] == [
        "material.clouds", "material.pulp", "material.paper_sky",
    ]  # fmt: skip
    assert REGISTRY.match("/nothing/*") == []
    assert is_pattern("/a/*") and is_pattern(b"/a/{b}") and not is_pattern("/a/b") and not is_pattern(b"/a/b")


@pytest.mark.parametrize("nasty", ["*a" * 70 + "b", "*{,a}" * 30 + "b", "{a,aa}" * 26, "[!b]*" * 30 + "c"])
def test_no_pattern_takes_long(nasty: str) -> None:
    """A regular expression of the first kind would still be running at the end of the exhibition."""
    began = time.process_time()
    assert OscPattern("/walk/" + nasty).matches("/walk/" + "a" * 60) is False
    assert time.process_time() - began < 0.5


def test_rows_are_plain_and_complete() -> None:
    rows = json.loads(json.dumps(REGISTRY.rows()))
    assert [row["name"] for row in rows] == list(REGISTRY)
    speed = rows[0]
    assert speed["range"] == "a number from 0 to 4 phase/s" and speed["address"] == "/walk/speed"
    assert {"kind", "default", "unit", "doc", "lands", "choices"} <= speed.keys()


def test_every_parameter_says_when_a_change_lands() -> None:
    lands = {p.name: p.lands for p in REGISTRY.values()}
    assert lands["look.grain"] == "frame" and lands["walk.speed"] == lands["material.clouds"] == "keyframe"
    assert all(lands[name] == "start" for name in ("walk.loop", "model.steps", "osc.port", "window.width", "film.fps"))
    assert all(p.live == (p.lands != "start") for p in REGISTRY.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Golden Clouds", "golden_clouds"), ("Mémoire", "memoire"), ("  ", ""), ("a" * 40, "a" * 32)],
)
def test_slug(text: str, expected: str) -> None:
    assert slug(text) == expected


@pytest.mark.parametrize("value", ["x" * 10_000, "a\nb\x1b[31m", b"\xff\n" * 5000, [["\n"] * 999]])
def test_what_is_quoted_is_one_short_line(value: object) -> None:
    assert len(shown(value)) <= 60 and shown(value).isprintable()
