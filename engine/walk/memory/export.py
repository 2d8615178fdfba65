"""A bank for people: a contact sheet of its shelves, a folder of pictures with their places, a backup, and back.

    contact_sheet(bank).save("sheet.png")
    export_folder(bank, Path("memories")); back_up(bank, Path("bank.zip")); bring_in(bank, Path("bank.zip"))

The command line's process.
"""

import json
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engine.show.files import readable_json
from engine.walk.memory.bank import Bank, BankError
from engine.walk.memory.index import Index
from engine.walk.memory.kinds import Kinds
from engine.walk.memory.look import opened
from engine.walk.memory.recall import named, told_time
from engine.walk.memory.remembered import Memory

THUMB = (160, 92)  # pixels on a sheet
GAP, LABEL, HEAD = 6, 14, 30
COLUMNS, LINES = 10, 3  # of one shelf on a sheet: the strongest of it
DARK, PALE, QUIET = (14, 15, 19), (222, 220, 214), (128, 126, 122)
MEMBER = "memory.db"  # in a backup
MOST_BYTES = 8 << 30  # of a bank in a backup: beyond it, the archive is not what it says it is
BATCH = 200
SOME = 4096  # memories that the kinds of a bank are begun with


@dataclass(frozen=True)
class Came:
    """What an import brought: how many are new, of how many, and how many could not be read."""

    new: int
    total: int
    lost: int


def names_of_kinds(bank: Bank) -> dict[int, str]:
    """What each kind is called."""
    return named(bank.words_of_kinds())


def shelves(bank: Bank) -> dict[int, list[int]]:
    """Numbers of the memories of each kind, the strongest first; the fullest shelf first."""
    summary = bank.summaries()
    order = np.lexsort((-summary.numbers, -summary.strengths))
    found: dict[int, list[int]] = {}
    for row in order:
        found.setdefault(int(summary.kinds[row]), []).append(int(summary.numbers[row]))
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def contact_sheet(bank: Bank) -> Image.Image:
    """All shelves, one under the other: the strongest memories of each, with their numbers."""
    names, kinds = names_of_kinds(bank), shelves(bank)
    rows = [-(-min(len(numbers), COLUMNS * LINES) // COLUMNS) for numbers in kinds.values()]
    width = GAP + COLUMNS * (THUMB[0] + GAP)
    height = GAP + len(kinds) * (HEAD + GAP) + sum(rows) * (THUMB[1] + LABEL + GAP)
    sheet = Image.new("RGB", (width, max(height, HEAD)), DARK)
    draw, font, small = ImageDraw.Draw(sheet), ImageFont.load_default(16), ImageFont.load_default(10)
    y = GAP
    for (kind, numbers), lines in zip(kinds.items(), rows, strict=True):
        draw.text((GAP, y + 6), names.get(kind) or "nameless", PALE, font)
        draw.text((width - GAP, y + 10), f"{len(numbers)} kept", QUIET, small, anchor="ra")
        y += HEAD
        for n, number in enumerate(numbers[: COLUMNS * LINES]):
            x = GAP + n % COLUMNS * (THUMB[0] + GAP)
            top = y + n // COLUMNS * (THUMB[1] + LABEL + GAP)
            _paste(sheet, bank.thumbnail(number), (x, top))
            draw.text((x + 1, top + THUMB[1] + 1), str(number), QUIET, small)
        y += lines * (THUMB[1] + LABEL + GAP) + GAP
    return sheet


def _paste(sheet: Image.Image, jpeg: bytes | None, at: tuple[int, int]) -> None:
    try:
        sheet.paste(Image.fromarray(opened(jpeg or b"")).resize(THUMB, Image.Resampling.LANCZOS), at)
    except OSError:  # a damaged thumbnail: its place stays dark
        return


def about(memory: Memory) -> dict[str, Any]:
    """A memory in plain JSON-able values."""
    return {
        "number": memory.number,
        "kept": told_time(memory.created),
        "model": memory.model,
        "strength": round(memory.strength, 3),
        "by hand": memory.by_hand,
        "approved": memory.approved,
        "said": {text: round(share, 3) for text, share in sorted(memory.said.items(), key=lambda item: -item[1])},
        "steered": dict(memory.steered),
        "palettes": {id: list(palette.prompts) for id, palette in memory.palettes.items()},
        "place": memory.place.to_dict(),
    }


def memories(bank: Bank) -> Iterator[Memory]:
    """All that can be read, by number."""
    for number in bank.summaries().numbers:
        if memory := bank.read(int(number)):
            yield memory


def export_folder(bank: Bank, folder: Path) -> int:
    """A JPEG and a JSON of each memory; how many there are. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for memory in memories(bank):
        path = folder / f"memory-{memory.number:06d}.jpg"
        path.write_bytes(memory.thumbnail)
        path.with_suffix(".json").write_text(readable_json(about(memory)), encoding="utf-8")
        count += 1
    return count


def back_up(bank: Bank, path: Path) -> None:
    """The whole bank in a zip, also while a show writes to it. Raises OSError, sqlite3.Error."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        copy = Path(folder) / MEMBER
        bank.copy_to(copy)
        draft = Path(folder) / "bank.zip"
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(copy, MEMBER)
            archive.writestr("about.json", json.dumps({"made by": "Pedesis", "memories": len(bank)}))
        draft.replace(path)


def bring_in(bank: Bank, path: Path) -> Came:
    """Everything of a backup that is not there yet; or of a bank's file, and of a damaged one what can be read.

    Raises BankError for what is neither, OSError, sqlite3.Error.
    """
    with tempfile.TemporaryDirectory(dir=bank.path.parent) as folder:
        copy = Path(folder) / MEMBER
        with path.open("rb") as file:
            is_bank = file.read(6) == b"SQLite"
        if is_bank:
            for end in ("", "-wal"):
                if (part := path.with_name(path.name + end)).exists():
                    shutil.copyfile(part, copy.with_name(copy.name + end))
            return _merge(bank, copy)
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo(MEMBER).file_size > MOST_BYTES:
                    raise BankError(f"{path} is no backup of a memory bank: it unpacks to more than 8 GB")
                archive.extract(MEMBER, folder)
        except (zipfile.BadZipFile, KeyError, NotImplementedError, EOFError) as error:
            raise BankError(f"{path} is no backup of a memory bank: {error}") from error
        return _merge(bank, copy)


def _merge(bank: Bank, copy: Path) -> Came:
    try:
        other = Bank(copy, read_only=True)
    except BankError as error:
        raise BankError(str(error).replace(str(copy), "in it")) from error
    came = total = lost = 0
    batch: list[Memory] = []
    try:
        for number in _numbers(other):
            try:
                memory = other.read(number)
            except sqlite3.DatabaseError:
                lost += 1
                continue
            if memory is None:
                continue
            total += 1
            batch.append(memory)
            if len(batch) == BATCH:
                came += sum(number is not None for number in bank.keep_all(batch))
                batch.clear()
        came += sum(number is not None for number in bank.keep_all(batch))
    finally:
        other.close()
    if came:
        sort(bank)
    return Came(came, total, lost)


def _numbers(bank: Bank) -> Iterable[int]:
    """Of all memories; of a damaged bank all that there may be."""
    try:
        return [int(n) for page in bank.pages() for n in page["number"]]
    except sqlite3.DatabaseError:
        return range(1, bank.highest + 1)


def sort(bank: Bank) -> None:
    """Finds the kinds anew: those of another bank have nothing to do with ours."""
    index = Index()
    for page in bank.pages():
        index.add(page, bank.embeddings(page["number"]))
    kinds = Kinds()
    for vector in index.embeddings[:: max(1, len(index) // SOME)]:
        kinds.add(wide := vector.astype(np.float32), kinds.nearest(wide))
    task = kinds.sorting(index.embeddings)
    try:
        while True:
            next(task)
    except StopIteration as done:
        bank.set_kinds(index.rows["number"], done.value)
    bank.set_note("sorted", len(index))
