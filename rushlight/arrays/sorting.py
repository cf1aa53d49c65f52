"""Sorting, searching and scans on NumPy arrays.

Part of the waist: names here are listed in `protocol.HOST`. Sorted order is PyTorch's and NumPy's: NaN is greater than
every number. Functions that choose elements give their indices, so that values, and gradients, are gathered by them.
NumPy's functions on CuPy arrays are CuPy's (NEP 18), so the routines of the waist serve these too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray


def _grid(x: ndarray, axis: int) -> ndarray:
    """0, 1, ... along an axis, broadcast over the others."""
    return np.arange(x.shape[axis], like=x).reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


def _part(axis: int, start: int | None, stop: int | None) -> tuple:
    return (slice(None),) * axis + (slice(start, stop),)


# ---------------------------------------------------------------- scans


def cumulative_prod(x: ndarray, *, axis: int) -> ndarray:
    return np.cumprod(x, axis)


def _accumulated(function: Callable[[ndarray, ndarray], ndarray], x: ndarray, axis: int) -> ndarray:
    """Every element combined with all before it, also by functions and on arrays that NumPy cannot accumulate.

    In log2(n) passes (Hillis & Steele, "Data Parallel Algorithms", 1986).
    """
    if isinstance(function, np.ufunc) and type(x) is ndarray:
        return function.accumulate(x, axis)
    out, step = x.copy(), 1
    while step < x.shape[axis]:
        earlier, later = out[_part(axis, None, -step)], out[_part(axis, step, None)]
        out[_part(axis, step, None)] = function(earlier, later)
        step *= 2
    return out


def _cumulative_arg(extreme: np.ufunc, x: ndarray, axis: int) -> ndarray:
    """The latest place at which the running extreme was reached: at a NaN, once there is one."""
    is_new = (x == _accumulated(extreme, x, axis)) | np.isnan(x)
    return _accumulated(np.maximum, np.where(is_new, _grid(x, axis), 0), axis)


def cumulative_argmax(x: ndarray, *, axis: int) -> ndarray:
    """Where the running maximum is."""
    return _cumulative_arg(np.maximum, x, axis)


def cumulative_argmin(x: ndarray, *, axis: int) -> ndarray:
    """Where the running minimum is."""
    return _cumulative_arg(np.minimum, x, axis)


def cumulative_logsumexp(x: ndarray, *, axis: int) -> ndarray:
    """log(cumulative_sum(exp(x))) without overflow."""
    if x.dtype.kind != "c":
        return _accumulated(np.logaddexp, x, axis)
    return _on_its_branch(_accumulated(_complex_logaddexp, x, axis), x, axis)


def _on_its_branch(out: ndarray, x: ndarray, axis: int) -> ndarray:
    """Imaginary parts as they are when elements come one by one: a logarithm is open up to multiples of 2 pi.

    A sum keeps the imaginary part of whichever has the greater real part, x[i] or the sum before it, and adds a turn of
    at most pi / 2. So turns are added up from the latest x[i] that was the greater.
    """
    before = np.roll(out, 1, axis)
    before[_part(axis, None, 1)] = -np.inf
    is_greater = x.real >= before.real
    turn = np.remainder(out.imag - np.where(is_greater, x.imag, before.imag) + np.pi, 2 * np.pi) - np.pi
    turned, last = np.cumsum(turn, axis), _accumulated(np.maximum, np.where(is_greater, _grid(x, axis), 0), axis)
    start = x.imag - turned + turn
    out.imag = np.where(np.isneginf(out.real), out.imag, np.take_along_axis(start, last, axis) + turned)
    return out


def _complex_logaddexp(x: ndarray, y: ndarray) -> ndarray:
    """log(exp(x) + exp(y)); the one with the greater real part is taken out, and the other is no infinity."""
    is_greater = (x.real >= y.real) | np.isnan(x)
    top, other = np.where(is_greater, x, y), np.where(is_greater, y, x)
    return np.where(np.isneginf(top.real), top, top + np.log1p(np.exp(other - top)))


# ---------------------------------------------------------------- order


def index_of_rank(x: ndarray, *, rank: int, axis: int) -> ndarray:
    """The index of the element that sorting would put at a place along an axis; the axis stays, with size 1."""
    return np.argpartition(x, rank, axis)[_part(axis, rank, rank + 1)]


def top_indices(x: ndarray, *, count: int, axis: int, largest: bool) -> ndarray:
    """The indices of the largest (or smallest) elements along an axis, in order."""
    from rushlight.arrays.numpy import argsort

    size = x.shape[axis]
    if 0 < count < size:
        chosen = np.argpartition(x, size - count if largest else count - 1, axis)
        chosen = chosen[_part(axis, size - count, None) if largest else _part(axis, None, count)]
    else:
        chosen = np.broadcast_to(_grid(x, axis), x.shape)[_part(axis, None, count)]
    order = argsort(np.take_along_axis(x, chosen, axis), axis=axis, descending=largest)
    return np.take_along_axis(chosen, order, axis)


def mode_index(x: ndarray, *, axis: int) -> ndarray:
    """The index of the most frequent element along an axis, of the smallest of them; the axis stays, with size 1."""
    order = np.argsort(x, axis, kind="stable")
    ordered, grid = np.take_along_axis(x, order, axis), _grid(x, axis)
    is_start = np.ones_like(x, bool)
    is_start[_part(axis, 1, None)] = ordered[_part(axis, 1, None)] != ordered[_part(axis, None, -1)]
    run = grid - _accumulated(np.maximum, np.where(is_start, grid, 0), axis)  # how many equal ones come before
    return np.take_along_axis(order, np.argmax(run, axis, keepdims=True), axis)


# ---------------------------------------------------------------- searching


def first_places(indices: ndarray, *, size: int) -> ndarray:
    """For each of some indices (below `size`) the first place at which the same index stands."""
    first = np.empty(size, np.int64)  # most of it is never looked at
    first[indices[::-1]] = np.arange(len(indices) - 1, -1, -1)  # of several writes to one place the last one stays
    return first[indices]


def searchsorted(boundaries: ndarray, values: ndarray, *, right: bool) -> ndarray:
    """How many boundaries are less than each value (`right`: or equal to it), in the rows of the last axis.

    Boundaries of one row serve all values. Of several rows, each is bisected for its own values, all at once.
    """
    if boundaries.ndim == 1:
        return np.asarray(np.searchsorted(boundaries, values, "right" if right else "left"), like=boundaries)
    size = boundaries.shape[-1]
    low, high = np.zeros(values.shape, np.int64, like=values), np.full_like(values, size, np.int64)
    for _ in range(size.bit_length()):
        middle = (low + high) // 2
        found = np.take_along_axis(boundaries, np.minimum(middle, size - 1), -1)
        goes_right = (low < high) & ~(found > values if right else found >= values)
        low, high = np.where(goes_right, middle + 1, low), np.where(goes_right, high, middle)
    return low


# ---------------------------------------------------------------- what occurs, and how often


def unique(x: ndarray, axis: int | None, consecutive: bool) -> tuple[ndarray, ndarray, ndarray]:
    """(different elements or slices along `axis`, for each given one its place among them, how often each occurs).

    Those of axis None are the elements, and places come in its shape. `consecutive`: only equal neighbours are one.
    """
    rows = x.reshape(-1, 1)
    if axis is not None and x.size:
        rows = np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    order = np.arange(len(rows)) if consecutive else np.lexsort(rows.T[::-1])
    ordered = rows[order]
    is_start = np.ones(len(rows), bool)
    is_start[1:] = (ordered[1:] != ordered[:-1]).any(1)
    places = np.empty(len(rows), np.int64)
    places[order] = np.cumsum(is_start) - 1
    starts = np.flatnonzero(is_start)
    counts = np.diff(np.append(starts, len(rows)))
    if axis is None:
        return x.reshape(-1)[order[starts]], places.reshape(x.shape), counts
    return x.take(order[starts], axis), places, counts


def histogram(columns: list[ndarray], edges: list[ndarray], weights: Any) -> ndarray:
    """How many points (or the sum of their weights) are in each cell between edges; the last edge belongs to its cell.

    `columns` are the points' coordinates, one array for each dimension.
    """
    shape = tuple([len(edge) - 1 for edge in edges])
    cell, is_inside = np.zeros(len(columns[0]), np.int64), np.ones(len(columns[0]), bool)
    for column, edge in zip(columns, edges, strict=True):
        place = np.searchsorted(edge, column, "right") - 1
        place[column == edge[-1]] = len(edge) - 2
        is_inside &= (column >= edge[0]) & (column <= edge[-1])
        cell = cell * (len(edge) - 1) + place
    weights = None if weights is None else weights[is_inside]
    return np.bincount(cell[is_inside], weights, int(np.prod(shape))).reshape(shape)
