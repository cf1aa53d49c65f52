"""Which classes and functions of the user's a file may name: those that the user has said are safe."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

_safe: dict[str, Any] = {}


def _name_of(item: Any) -> tuple[str, Any]:
    """A class or function with the name that files have for it; PyTorch takes a pair of both too."""
    if isinstance(item, tuple):
        item, name = item
        return str(name), item
    if not hasattr(item, "__qualname__"):
        raise TypeError(f"safe globals are classes and functions, but got {item!r}")
    return f"{item.__module__}.{item.__qualname__}", item


def by_name() -> dict[str, Any]:
    """What was said to be safe, by the names in files."""
    return dict(_safe)


def add_safe_globals(safe_globals: list[Callable[..., Any] | tuple[Callable[..., Any], str]]) -> None:
    """Lets `load` call these classes and functions where a file names them.

    Args:
        safe_globals: classes and functions, or pairs of one and the name that files have for it.

    Example:
        >>> import fractions
        >>> add_safe_globals([fractions.Fraction])
        >>> get_safe_globals()
        [<class 'fractions.Fraction'>]
        >>> clear_safe_globals()
    """
    _safe.update(_name_of(item) for item in safe_globals)


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` was given."""
    return list(_safe.values())


def clear_safe_globals() -> None:
    """Nothing of the user's is safe any more."""
    _safe.clear()


@contextlib.contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """`add_safe_globals` for a block."""
    before = by_name()
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _safe.clear()
        _safe.update(before)
