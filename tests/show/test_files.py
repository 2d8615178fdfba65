"""Small files: read without ever hanging, written whole or not at all, set aside when damaged; names of any kind."""

import errno
import os
import tempfile
import threading
from pathlib import Path

import pytest

from engine.show import files, paths


@pytest.mark.parametrize("text", ["", "speed = 1\n", "Ωκεανός 🌊 بحر"])
def test_a_small_text_is_read_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").write_text(text, encoding="utf-8")
    assert files.read_text_bounded(tmp_path / "a", 100) == text
    (tmp_path / "a").write_text(text, encoding="utf-8-sig")
    assert files.read_text_bounded(tmp_path / "a", 100) == text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="this is a pipe, not a file"):
        files.read_bounded(tmp_path / "pipe", 100)


def test_what_is_not_a_small_text_file_has_a_plain_reason(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="this is a folder"):
        files.read_bounded(tmp_path, 100)
    with pytest.raises(FileNotFoundError):
        files.read_bounded(tmp_path / "none", 100)
    (tmp_path / "long").write_bytes(b"x" * 1001)
    with pytest.raises(OSError, match="more than 1 kB"):
        files.read_bounded(tmp_path / "long", 1000)
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(OSError, match="not UTF-8"):
        files.read_text_bounded(tmp_path / "latin", 100)


def test_a_disk_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr(files, "open_regular", lambda path: gone.wait(20))
    with pytest.raises(TimeoutError, match=r"no answer from the disk in 0\.05 s"):
        files.read_bounded(tmp_path / "a", 100, timeout_s=0.05)
    gone.set()


def test_without_threads_the_file_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    (tmp_path / "a").write_text("x")
    monkeypatch.setattr("threading.Thread.start", refuse)
    assert files.read_bounded(tmp_path / "a", 10) == b"x"


@pytest.mark.parametrize("name", ["a.json", "Ω" * 120, "🌊" * 60, "%d%s \t'\"", "n" * 250])
def test_files_of_any_name_are_written_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for text in ("one", "two"):
        files.write_whole(path, text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path], "no draft stays behind"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    files.write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


def test_a_name_is_shortened_only_where_it_must_be_and_stays_its_own() -> None:
    assert files.fitting("gallery") == "gallery"
    long = [files.fitting(letter * 300 + end) for letter in "aΩ🌊" for end in "xy"]
    assert len(set(long)) == 6 and all(len(os.fsencode(name)) <= files.LONGEST_NAME for name in long)


def test_damaged_files_are_set_aside_a_few_at_most(tmp_path: Path) -> None:
    for n in range(9):
        (tmp_path / "a.json").write_text(str(n))
        assert files.set_aside(tmp_path / "a.json")
    kept = sorted(tmp_path.iterdir())
    assert [p.name for p in kept] == [f"a.json.{n}.bad" for n in range(1, files.SET_ASIDE + 1)]
    assert [p.read_text() for p in kept] == ["0", "1", "2", "8"], "the first ones are kept"
    assert files.set_aside(tmp_path / "a.json") is None


def test_the_state_folder_follows_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    for value, folder in (("/var/x", "/var/x"), ("~/x", "/home/anna/x"), ("x", "/home/anna/.local/state"),
                          ("", "/home/anna/.local/state")):  # fmt: skip
        monkeypatch.setenv("XDG_STATE_HOME", value)
        assert paths.state_dir() == Path(folder) / "pedesis"
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # a user that no passwd file knows
    with pytest.raises(OSError, match="set HOME, or XDG_STATE_HOME"):
        paths.state_dir()


def test_without_a_folder_for_temporary_files_another_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "_get_default_tempdir", none)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", "")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert not paths.has_temp_dir()
    paths.ensure_temp_dir()
    assert tempfile.gettempdir() == str(tmp_path) == os.environ["TMPDIR"]
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr("os.access", lambda *_: False)
    paths.ensure_temp_dir()
    assert tempfile.gettempdir() == os.path.abspath(os.sep), "a name, so that libraries can be imported"
