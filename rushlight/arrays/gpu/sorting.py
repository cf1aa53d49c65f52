"""Searching on CuPy arrays, where it is another thing than on NumPy's (`arrays/sorting.py`): writes to one place come
in any order.
"""

from __future__ import annotations

import cupy
import numpy as np
from cupy import ndarray

from rushlight.arrays import cupy as cupy_arrays


def first_places(indices: ndarray, *, size: int) -> ndarray:
    """For each of some indices (below `size`) the first place at which the same index stands."""
    first = cupy.full(size, len(indices), np.int64)
    cupy.minimum.at(first, indices, cupy.arange(len(indices)))
    return first[indices]


def top_indices(x: ndarray, *, count: int, axis: int, largest: bool) -> ndarray:
    """The indices of the largest (or smallest) elements along an axis, in order: the first of all in order."""
    order = cupy_arrays.argsort(x, axis, descending=largest)
    return cupy.ascontiguousarray(order[(slice(None),) * axis + (slice(count),)])


def index_of_rank(x: ndarray, *, rank: int, axis: int) -> ndarray:
    """The index of the element that sorting would put at a place along an axis; the axis stays, with size 1."""
    return cupy.argsort(x, axis)[(slice(None),) * axis + (slice(rank, rank + 1),)].copy()
