"""Mistakes are told: each kind once, again while it goes on, and never so many that the log fills."""

import pytest

from engine.control.mistakes import MAX_LINES, Mistake, Mistakes


class Told:
    """Mistakes on a clock of its own."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now_s, self._caplog = 0.0, caplog
        self.mistakes = Mistakes(lambda: self.now_s)

    def add(self, address: str, kind: str, text: str = "is wrong", count: int = 1) -> None:
        self.mistakes.start_round()
        self.mistakes.add(Mistake(address, kind, text), count)

    @property
    def lines(self) -> list[str]:
        return [r.getMessage() for r in self._caplog.records]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    return Told(caplog)


def test_each_kind_at_each_address_is_told_once(told: Told) -> None:
    for _ in range(5):
        told.add("/a", "text", "got text")
        told.add("/a", "colour", "got a colour")
        told.add("/b", "text", "got text")
        told.add("", "json", "this is JSON, not OSC")
    assert told.lines == ["OSC /a got text", "OSC /a got a colour", "OSC /b got text", "OSC this is JSON, not OSC"]


def test_what_goes_on_is_counted_at_longer_and_longer_intervals(told: Told) -> None:
    for second in range(4 * 3600):
        told.now_s = float(second)
        told.add("/a", "text", count=20)
    assert told.lines[:3] == [
        "OSC /a is wrong",
        "OSC /a is wrong (1,219 more like this)",
        "OSC /a is wrong (2,400 more like this)",
    ]
    assert len(told.lines) == 1 + 6 + 2  # after 1, 2, 4, 8, 16, 32 minutes, then hourly


def test_ever_new_mistakes_are_bounded_and_one_more_is_told_a_minute(told: Told) -> None:
    for n in range(3000):
        told.add(f"/{n}", "unknown")
    assert len(told.lines) == MAX_LINES + 1
    assert told.lines[-1] == "OSC: many different mistakes; from here on most are only counted"
    told.now_s = 60.0
    for n in range(3000):
        told.add(f"/later/{n}", "unknown")
    assert told.lines[MAX_LINES + 1 :] == ["OSC /later/0 is wrong"]


def test_one_frame_writes_only_a_few_new_sentences(told: Told) -> None:
    asked: list[int] = []
    for n in range(50):
        told.mistakes.add(Mistake(f"/{n}", "unknown", "is wrong", lambda: str(asked.append(1))))
    assert len(told.lines) == len(asked) == 4


def test_a_hint_is_worked_out_once(told: Told) -> None:
    asked: list[str] = []
    for _ in range(3):
        told.mistakes.add(Mistake("/a", "unknown", "is wrong", lambda: asked.append("x") or "; did you mean /b?"))
    assert asked == ["x"] and told.lines == ["OSC /a is wrong; did you mean /b?"]


def test_the_last_one_is_kept_with_its_time(told: Told) -> None:
    assert told.mistakes.last is None
    told.add("/a", "text", "got 'one'")
    told.now_s = 5.0
    told.add("/a", "text", "got 'two'")
    assert told.mistakes.last == ("/a got 'two'", 5.0)


@pytest.mark.parametrize("address", ["/a\nERROR all is lost", "/a\x1b[31m", "/" + "a" * 500, "/a b"])
def test_an_address_cannot_forge_or_fill_the_log(told: Told, address: str) -> None:
    told.add(address, "unknown", "x" * 1000)
    assert told.lines[0].isprintable() and len(told.lines[0]) < 300
