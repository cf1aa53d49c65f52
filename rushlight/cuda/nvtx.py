"""Marks that NVIDIA's profilers show, through CuPy; nothing where no GPU has been used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rushlight.cuda import library

_depth = 0


def _nvtx() -> Any:
    """CuPy's module, or None."""
    found = library.cupy().cuda.nvtx if library.is_ready() else None
    return found if found is not None and found.available else None


def range_push(msg: str) -> int:
    """Begins a range inside of those that have begun. Returns how many these are."""
    global _depth
    if (nvtx := _nvtx()) is not None:
        nvtx.RangePush(msg)
    _depth += 1
    return _depth - 1


def range_pop() -> int:
    """Ends the range that began last. Returns how many it was inside of."""
    global _depth
    if not _depth:
        return -1
    if (nvtx := _nvtx()) is not None:
        nvtx.RangePop()
    _depth -= 1
    return _depth


def mark(msg: str) -> None:
    """Marks a moment."""
    if (nvtx := _nvtx()) is not None:
        nvtx.Mark(msg)


@contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A range for a block or, as a decorator, for each call; further arguments are put into the text by `format`."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
