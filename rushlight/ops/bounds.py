"""Indices in tensors that must lie in a range: what every function that takes some asks before it uses them.

On the CPU the error is raised at once. A GPU looks for itself, and the error is raised when the CPU next waits for it
(`arrays/gpu/bounds.py`). Left out: a program that is recorded, which checks its indices whenever it runs; and what counts
on from the start in PyTorch too (`take_along_dim`, `unravel_index`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.arrays import kinds
from rushlight.arrays.kinds import Abstract
from rushlight.ops import observers
from rushlight.tensor import Tensor


def require_range(
    name: str, index: Tensor, low: int, high: int, error: Callable[[int], Exception], ignored: int | None = None
) -> None:
    """Raises `error(i)` for an i of the indices that is not within [low, high); on a GPU, later.

    Args:
        name: of the operation, which a GPU's error says.
        error: makes the exception. It must hold no tensors: a GPU's errors are remembered for some time.
        ignored: an index that may be there all the same.
    """
    array = index._array
    if array.__class__ is not np.ndarray:
        array = _values(array)
    if array.__class__ is np.ndarray:
        if array.size and not is_program_recorded():
            wrong = _outside(array, low, high, ignored)
            if wrong is not None:
                raise error(wrong)
    elif kinds.GPU is not None and array.__class__ is kinds.GPU.ndarray:
        kinds.GPU.bounds.require_range(name, array, low, high, error, ignored)


def _values(array: Any) -> Any:
    """Inside a transform, those of all examples."""
    while isinstance(array, Abstract):
        held = array.inner if hasattr(array, "inner") else array.primal  # type: ignore[attr-defined]
        array = getattr(held, "_array", held)
    return array


def is_program_recorded() -> bool:
    """Whether this thread records a program: what it reads now says little about what the program will read."""
    return bool(observers.count) and observers.recorder() is not None


def _outside(array: np.ndarray, low: int, high: int, ignored: int | None) -> int | None:
    """The first index that is not in the range."""
    if low <= int(array.min()) and int(array.max()) < high:
        return None
    is_wrong = (array < low) | (array >= high)
    if ignored is not None:
        is_wrong &= array != ignored
    wrong = array[is_wrong]
    return int(wrong[0]) if wrong.size else None
