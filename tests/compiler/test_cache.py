"""The disk cache: whole entries are used, everything else is ignored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from steps import check

from rushlight.arrays import symbolic as xp
from rushlight.compiler import cache, native


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUSHLIGHT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def compile_once() -> None:
    check(lambda x: xp.exp(x) * 3, np.ones((3, 5), np.float32))


def test_second_build_does_not_compile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_once()
    assert len(list(folder.iterdir())) == 1
    monkeypatch.setattr(native, "compile_text", lambda text: pytest.fail("compiled again"))
    compile_once()


def test_damaged_entry_is_replaced(folder: Path) -> None:
    compile_once()
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    for damaged in (b"", whole[:-7], b"x" + whole[1:]):
        entry.write_bytes(damaged)
        assert cache.load(entry.stem) is None
        compile_once()
        assert entry.read_bytes() == whole


def test_unwritable_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("RUSHLIGHT_CACHE_DIR", str(tmp_path / "file" / "cache"))
    compile_once()
