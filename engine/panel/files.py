"""The page's files, read once before the server begins.

    files = read_page()                          # {"/": File(...), "/panel.js": File(...)}

Requests are looked up in this table, so none of them reaches the disk. Any thread.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class File:
    """One file of the page."""

    content: bytes
    media_type: str
    etag: str


def read_page(folder: Path = PAGE) -> dict[str, File]:
    """All files of the page by their paths; index.html is "/". Files of other kinds are left out."""
    found = {}
    for path in sorted(folder.glob("*")):
        if path.suffix in _TYPES and path.is_file():
            content = path.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            found["/" if path.name == "index.html" else f"/{path.name}"] = File(content, _TYPES[path.suffix], etag)
    return found
