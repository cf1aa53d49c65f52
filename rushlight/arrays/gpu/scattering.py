"""Writes to CuPy arrays at indices that may be the same: by CuPy's atomic operations, or in order.

Sums by atomic operations come in any order, so their last digits are not the same at every run. In order they are, and
every function and dtype has a way; it takes several times as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cupy
import numpy as np
from cupy import ndarray

# What CuPy's atomic operations compute on; integers wrap around in all of them, so signed ones can be seen as unsigned.
_ATOMIC = {"?": "i", "b": "i", "B": "i", "h": "i", "H": "i", "l": "L", "q": "Q", "E": "f"}
_ORDERED = {"?": "i", "b": "i", "B": "i", "h": "i", "H": "i"}
_INTEGERS = {4: np.int32, 8: np.int64}
_FLOATS = {4: np.float32, 8: np.float64}
_IN_ORDER = {"prod": cupy.multiply, "amax": cupy.maximum, "amin": cupy.minimum}


def add(target: ndarray, index: Any, values: Any) -> None:
    """Adds values at an index; in order if `use_deterministic_algorithms` asks for it."""
    from rushlight import settings

    if target.dtype.kind not in "iub" and settings.are_deterministic_algorithms_enabled():
        reduce_in_order(cupy.add, target, index, values)
    elif target.dtype.kind == "c":  # CuPy adds real numbers only
        values = cupy.asarray(values)
        _scattered(cupy.add, target.real, index, values.real)
        _scattered(cupy.add, target.imag, index, values.imag if values.dtype.kind == "c" else 0.0)
    else:
        _scattered(cupy.add, target, index, values)


def reduce(name: str, target: ndarray, index: Any, values: Any) -> None:
    """Multiplies by values at an index ("prod"), or keeps the greater ("amax") or the lesser ("amin") of the two."""
    if name == "prod" or target.dtype.kind == "c":
        reduce_in_order(_IN_ORDER[name], target, index, values)
    elif target.dtype.kind in "iub":
        _scattered(_IN_ORDER[name], target, index, values)
    else:  # CuPy compares floats in float32 and takes NaN for missing
        copy = _ordered(target, name)
        _scattered(_IN_ORDER[name], copy, index, _ordered(cupy.asarray(values, target.dtype), name))
        target[...] = _unordered(copy).astype(target.dtype)


def _ordered(x: ndarray, name: str) -> ndarray:
    """Integers in the order of floats; NaN is the greatest of all if the greatest is wanted, else the least.

    Bits of a float (IEEE 754) count up with its absolute value: those of negative ones are turned around.
    """
    x = x.astype(np.float32, copy=False) if x.itemsize < 4 else x
    x = cupy.where(cupy.isnan(x), x.dtype.type(np.nan if name == "amax" else -np.nan), x)
    return _turned(x.view(_INTEGERS[x.itemsize]))


def _unordered(bits: ndarray) -> ndarray:
    return _turned(bits).view(_FLOATS[bits.itemsize])


def _turned(bits: ndarray) -> ndarray:
    return cupy.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits)


def _scattered(function: cupy.ufunc, target: ndarray, index: Any, values: Any) -> None:
    """`function.at` on the target, in a dtype for which CuPy has the atomic operation."""
    scatter = function.at
    wide = (_ATOMIC if function is cupy.add else _ORDERED).get(target.dtype.char, target.dtype.char)
    if wide == target.dtype.char:
        scatter(target, index, values)
    elif np.dtype(wide).itemsize == target.itemsize:
        values = cupy.broadcast_to(cupy.asarray(values, target.dtype), target[index].shape)
        scatter(target.view(wide), index, cupy.ascontiguousarray(values).view(wide))
    else:
        copy = target.astype(wide)
        scatter(copy, index, cupy.asarray(values).astype(wide))
        target[...] = copy.astype(target.dtype)


def reduce_in_order(function: Callable[..., ndarray], target: ndarray, index: Any, values: Any) -> None:
    """`function.at(target, index, values)` without atomic operations: the same numbers at every run.

    Values for one place are made neighbours by sorting, and then combined with those 1, 2, 4, ... before them
    (Hillis & Steele, "Data Parallel Algorithms", 1986), so that the last of them has all. Places are rows where
    only the first axes are indexed, else elements.
    """
    index = index if isinstance(index, tuple) else (index,)
    are_rows = all(isinstance(item, ndarray) and item.dtype.kind in "iu" for item in index)
    leading = target.shape[: len(index) if are_rows else target.ndim]
    places = cupy.arange(math.prod(leading)).reshape(leading)[index]
    values = cupy.broadcast_to(cupy.asarray(values, target.dtype), (*places.shape, *target.shape[len(leading) :]))
    if not values.size:
        return
    places, values = places.reshape(-1), values.reshape(places.size, -1)
    order, step = cupy.argsort(places), 1  # which keeps equal ones in order
    places, values = places[order], values[order]
    while step < places.size:
        is_same = (places[:-step] == places[step:])[:, None]
        values[step:] = cupy.where(is_same, function(values[:-step], values[step:]), values[step:])
        step *= 2
    is_last = cupy.append(places[1:] != places[:-1], cupy.asarray([True]))
    at, rows = places[is_last], target.reshape(math.prod(leading), -1)
    rows[at] = function(rows[at], values[is_last])
    if not target.flags.c_contiguous:
        target[...] = rows.reshape(target.shape)
