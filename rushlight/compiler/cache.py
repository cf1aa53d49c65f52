"""Object code on disk, by a hash of what it was made from.

The folder is `$RUSHLIGHT_CACHE_DIR`, else `rushlight` in the platform's cache folder. Entries are written to
a temporary name and moved into place; what cannot be read or written is ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from pathlib import Path

MARK = b"rushlight object 1\n"


def folder() -> Path:
    chosen = os.environ.get("RUSHLIGHT_CACHE_DIR")
    if chosen:
        return Path(chosen)
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "rushlight"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "rushlight"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "rushlight"


def key_of(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def load(key: str) -> bytes | None:
    """The entry, if it is there and whole."""
    try:
        data = (folder() / f"{key}.o").read_bytes()
    except OSError:
        return None
    head, code = data[: len(MARK) + 32], data[len(MARK) + 32 :]
    return code if head == MARK + hashlib.sha256(code).digest() else None


def save(key: str, code: bytes) -> None:
    with contextlib.suppress(OSError):
        place = folder()
        place.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(MARK + hashlib.sha256(code).digest() + code)
            os.replace(name, place / f"{key}.o")
        except OSError:
            os.unlink(name)
