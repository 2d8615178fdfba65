"""Takes as files: written while a show plays, through a kill and a full disk, and read back as they were."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from engine.control.take import MOST_WAITING, Event, Head, TakeError, TakeSource, TakeWriter, read_take

HZ = 120
HEAD = Head(version="1", begun="today", show="/a/b.toml", text="[walk]\n# a | b\n\nspeed = 1\n", seed=3,
            sets={"model.name": "./a b", "look.grain": 0.1}, start={"deep": [1, {"x": 0.1 + 0.2}]})  # fmt: skip
VALUES = [
    0.1 + 0.2,
    1,
    True,
    'a "whale"\n\u2028# no comment',
    {"place": [1.5, None], "words": {"a": ["b"]}},
    "é 🐋",
    "",
]

KILLED = """
import sys, time
from pathlib import Path
from engine.control.take import Head, TakeWriter
path = Path(sys.argv[1])
writer = TakeWriter(lambda: (path, path.open("xb")), Head().lines(120), 120)
for tick in range(10**9):
    writer.note(tick, "walk.speed", tick / 7)
    time.sleep(0.001)
    if tick == 1500:
        print("go", flush=True)
"""


def writer_to(path: Path) -> TakeWriter:
    return TakeWriter(lambda: (path, path.open("xb")), HEAD.lines(HZ), HZ)


def test_what_was_noted_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.take"
    writer = writer_to(path)
    for tick, value in enumerate(VALUES):
        writer.note(tick * 700, "some.name_1", value)
    writer.close(9000)
    take = read_take(path, HZ)
    assert [(e.tick, e.name, e.value) for e in take.events] == [
        (n * 700, "some.name_1", v) for n, v in enumerate(VALUES)
    ]
    assert take.head == HEAD and take.ticks == 9000 and writer.error is None and writer.path == path
    text = path.read_text()
    assert (
        "0 some.name_1 0.30000000000000004" in text and '2800 take.mark "0:23"' in text and text.isprintable() is False
    )


def test_a_killed_process_costs_less_than_a_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.take"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"go\n"
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    take = read_take(path, HZ)
    assert len(take.events) >= 1500, "more than a second is lost"
    assert [(e.tick, e.value) for e in take.events] == [(n, n / 7) for n in range(len(take.events))]


def test_a_line_cut_in_the_middle_is_left_out_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.take"
    whole = "pedesis take 1\n0 walk.speed 0.25\n5 walk.speed 0.75"
    path.write_text(whole)
    with caplog.at_level(logging.WARNING, "pedesis"):
        take = read_take(path, HZ)
    assert take.events == (Event(0, "walk.speed", 0.25),) and take.ticks == 0
    assert "a.take, line 3: cut off in the middle, and left out" in caplog.text
    path.write_bytes(b"pedesis take 1\n0 walk.speed 0.25\n" + b"\0" * 4096)  # what a power cut can leave
    assert len(read_take(path, HZ).events) == 1
    path.write_text('pedesis take 1\n9 take.end "0:00"\n5 walk.speed 0.75')  # edited, by an editor that ends no line
    assert len(read_take(path, HZ).events) == 1


def test_lines_stand_in_any_order_and_those_of_one_tick_keep_theirs(tmp_path: Path) -> None:
    path = tmp_path / "a.take"
    path.write_text("pedesis take 1\r\n# hello\r\n0:02 b 1\r\n  7 z 1\r\n240 a 2\r\n\r\n1:00:00 c 1\r\n0.5 d 1\r\n")
    with pytest.raises(TakeError, match=r"line 8: .* such as 1:40\.5, got '0\.5'"):
        read_take(path, HZ)
    path.write_text(path.read_text().replace("0.5 d", "0:00.5 d"))
    take = read_take(path, HZ)
    assert [(e.tick, e.name) for e in take.events] == [(7, "z"), (60, "d"), (240, "b"), (240, "a"), (432000, "c")]
    assert take.ticks == 432000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a take: its first line must be 'pedesis take 1'"),
        ("\x89PNG\n", "is not a take"),
        ("pedesis take 2\n", "of a format that this version of Pedesis does not know"),
        ("pedesis take 1\nticks 60\n", "line 2: this version has 120 ticks a second, the take 60"),
        ('pedesis take 1\nseed "x"\n', "line 2: seed cannot be 'x'"),
        ("pedesis take 1\n1 a 1e999\n", "line 2: '1e999' is not a finite number"),
        ("pedesis take 1\n1 a [1\n", r"line 2: '\[1' is not a value"),
        ("pedesis take 1\n99999999999999 a 1\n", "line 2: a line must begin with a tick or a time"),
        ("pedesis take 1\n\n1 a \udcff\n", "line 3: this is not UTF-8 text"),
        ("pedesis take 1\n1 a " + "[" * 100_000 + "\n", "line 2: .* is not a value"),
    ],
)
def test_a_damaged_take_is_one_sentence_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.take"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(TakeError, match=said) as raised:
        read_take(path, HZ)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


def test_a_take_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TakeError, match=r"a\.take cannot be read: no such file"):
        read_take(tmp_path / "a.take", HZ)
    with pytest.raises(TakeError, match="cannot be read: this is a folder"):
        read_take(tmp_path, HZ)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no disk that is always full")
def test_a_full_disk_is_said_once_and_the_show_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    full = Path("/dev/full")
    with caplog.at_level(logging.ERROR, "pedesis"):
        writer = TakeWriter(lambda: (full, full.open("wb", buffering=0)), "head\n", HZ)
        assert writer.opened(5)
        for tick in range(1000):
            writer.note(tick, "walk.speed", 0.5)
        writer.close(1000)
    assert [r.message for r in caplog.records] == ["the take /dev/full ended: the disk is full; the show goes on"]


def test_a_disk_that_does_not_answer_ends_the_take_and_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    read, write = os.pipe()  # that nobody reads
    pipe: BinaryIO = os.fdopen(write, "wb", buffering=0)
    writer = TakeWriter(lambda: (Path("a.take"), pipe), "head\n", HZ)
    assert writer.opened(5)
    with caplog.at_level(logging.ERROR, "pedesis"):
        for tick in range(2 * MOST_WAITING + 10_000):
            writer.note(tick, "walk.speed", 0.5)
            if writer.error:
                break
        writer.close(tick, timeout_s=0.0)
    assert "the disk did not keep up; the show goes on" in caplog.text
    os.close(read)


def test_a_source_hands_over_what_belongs_to_the_tick() -> None:
    ticks = iter((0, 1, 2, 9, 10))
    source = TakeSource([Event(1, "a", 1), Event(1, "b", 2), Event(5, "a", 3)], lambda: next(ticks))
    said = [source.drain() for _ in range(5)]
    assert said == [[], [("a", 1), ("b", 2)], [], [("a", 3)], []]


def test_the_digest_is_of_what_steers_and_not_of_comments(tmp_path: Path) -> None:
    texts = (
        "5 a 1\n",
        '# more\n0:00 take.mark "x"\n5 a 1\n',
        "6 a 1\n",
        "5 a 1.5\n",
        "5 a 1\n5 b 1\n",
        'start {"x": 1}\n5 a 1\n',
    )
    digests = []
    for text in texts:
        (tmp_path / "a.take").write_text("pedesis take 1\n" + text)
        digests.append(read_take(tmp_path / "a.take", HZ).digest)
    assert digests[0] == digests[1] and len(set(digests)) == 5
