"""`pedesis memory`: a bank looked at and put in order from the command line."""

import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from engine.cli import app
from engine.walk.memory.bank import Bank
from tests.walk.memory.places import new


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    path = tmp_path / "m.db"
    Bank(path).keep_all(new(n, kind=n % 3) for n in range(40))
    return path


def said(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["memory", *map(str, args)])
    assert result.exit_code == code, result.output
    return result.output


def test_the_shelves_are_listed(bank: Path) -> None:
    text = said("list", bank)
    assert "40 memories" in text and "paper" in text and len(text.splitlines()) == 4
    assert "strongest: 40 (1.00), 37 (1.00)" in text
    entries = json.loads(said("list", bank, "--json"))
    assert len(entries) == 40 and entries[0]["number"] == 1 and "torn paper" in entries[0]["said"]


def test_one_is_shown(bank: Path) -> None:
    assert json.loads(said("show", bank, 7))["number"] == 7
    assert "there is no memory 99" in said("show", bank, 99, code=1)


def test_a_contact_sheet_a_folder_and_a_backup(bank: Path, tmp_path: Path) -> None:
    assert "sheet.png" in said("export", bank, tmp_path / "sheet.png")
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.width > 1000 and len(sheet.getcolors(1 << 20) or []) > 50
    said("export", bank, tmp_path / "folder")
    assert len(list((tmp_path / "folder").glob("*.jpg"))) == len(list((tmp_path / "folder").glob("*.json"))) == 40
    said("export", bank, tmp_path / "b.zip")
    other = tmp_path / "other.db"
    Bank(other).keep_all(new(n) for n in (0, 100))
    assert "39 of 40 memories came in" in said("import", other, tmp_path / "b.zip")
    assert len(Bank(other)) == 41 and "0 of 40" in said("import", other, tmp_path / "b.zip")
    assert {len(numbers) for numbers in [Bank(other).summaries().numbers]} == {41}


def test_what_is_no_backup_is_refused(bank: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.zip"
    bad.write_text("no zip")
    assert "is no backup of a memory bank" in said("import", bank, bad, code=2)
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("../../memory.db", "out of here")
    assert "is no backup" in said("import", bank, bad, code=2)
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("memory.db", "rubbish")
    assert "cannot be opened" in said("import", bank, bad, code=2)
    assert "no such file" in said("import", bank, tmp_path / "none.zip", code=1) and len(Bank(bank)) == 40


def test_another_bank_is_brought_in_and_faded_strengths_are_told(bank: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    Bank(other).keep_all(new(n) for n in (0, 100))
    Bank(bank).ran(200.0)  # the usual half-life
    assert "(0.50)" in said("list", bank)
    assert "1 of 2 memories came in, the others were there" in said("import", bank, other)
    assert "(1.00)" in said("list", bank) and "damaged" not in said("list", bank)
    broken = tmp_path / "m.db.1.bad"
    broken.write_bytes(b"rubbish" * 999)
    assert "it is damaged" in said("list", broken, code=2)


def test_a_busy_bank_is_called_so(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.walk.memory.file.BUSY_S", 0.1)
    with Bank(bank)._whole():
        assert "40 memories" in said("list", bank), "looking does not wait"
        assert "is busy: another program has held it" in said("forget", bank, 3, code=2)


def test_forgetting_and_approving(bank: Path) -> None:
    assert "2 forgotten, 38 left; 1 is not there" in said("forget", bank, 1, 2, 999, code=1)
    assert "13 forgotten, 25 left" in said("forget", bank, "--words", "glass spheres")
    assert "forget needs" in said("forget", bank, code=2)
    assert "2 approved; 1 is not there" in said("approve", bank, 4, 5, 999, code=1)
    assert said("approve", bank).split()[0] == "4"
    assert "1 no longer approved" in said("approve", bank, 4, "--undo")
    assert "25 forgotten, 0 left" in said("forget", bank, "--older", 1)
    assert "there are no memories" in said("export", bank, "x.png", code=1)


def test_without_a_bank_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert "there is no memory bank at" in said("list", "house", code=2)
    assert "No show named" in said("list", "hosue", code=2)
