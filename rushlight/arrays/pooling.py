"""Arrays made shorter or longer along their last axes by the taps of `rushlight.arrays.taps`: sums and maxima.

Part of the waist: names here are listed in `protocol.HOST`. Axes are treated one after the other, each with one pass
for every tap. Where taps are evenly spaced, which is nearly always, a pass reads a strided view. Taps are NumPy's;
`resample` serves CuPy arrays too, on which NumPy's functions are CuPy's (NEP 18).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays.taps import Fractional, Rule, Taps, taps_of


def _never(*arguments: Any) -> bool:
    return False


LARGE = 20_000  # elements: where NumPy's passes take longer than one native call
_maxima = _put = _never


def use(maxima: Callable[..., bool], put: Callable[..., bool]) -> None:
    """Says what is quicker than NumPy: functions of `compiler/pooling.py`, which are False where they did nothing."""
    global _maxima, _put
    _maxima, _put = maxima, put


def resample(x: ndarray, *, rules: tuple[Rule | None, ...]) -> ndarray:
    """Weighted sums along the last axes, by a rule for each; None leaves an axis as it is."""
    shares = [share_of_all(rule) for rule in rules]
    if all(shares):  # the mean of an image: one long sum, not one of short lines and then one of these
        leading = x.shape[: x.ndim - len(rules)]
        images = x.reshape(math.prod(leading), math.prod(x.shape[len(leading) :]))
        sums = np.sum(images, 1) * x.real.dtype.type(math.prod(shares))
        return sums.reshape(*leading, *(1,) * len(rules))
    for axis, rule in zip(range(x.ndim - 1, -1, -1), reversed(rules), strict=False):
        if rule is not None:
            x = _summed(x, axis, taps_of(rule))
    return x


def share_of_all(rule: Rule | None) -> float:
    """The weight of each element, if the rule is for one sum of all of them alike; else 0."""
    if rule is None or rule.count != 1 or not rule.size:
        return 0.0
    taps = taps_of(rule)
    is_whole = np.array_equal(taps.indices[0], np.arange(rule.size)) and (taps.weights == taps.weights[0, 0]).all()
    return float(taps.weights[0, 0]) if is_whole else 0.0


def _summed(x: ndarray, axis: int, taps: Taps) -> ndarray:
    used = taps.weights[taps.weights != 0]
    if x.dtype == np.uint8 and (used != 1).any():
        return _in_fixed_point(x, axis, taps)
    count, num_taps = taps.indices.shape
    common = used[0] if used.size and (used == used[0]).all() else None
    before, after = (slice(None),) * axis, (1,) * (x.ndim - axis - 1)
    out = np.zeros((*x.shape[:axis], count, *x.shape[axis + 1 :]), x.dtype, like=x)
    for k in range(num_taps):
        rows = np.nonzero(taps.weights[:, k])[0]
        if not rows.size:
            continue
        value = x if x.shape[axis] == 1 else _read(x, axis, taps.indices[rows, k])
        if common is None:
            value = value * np.asarray(taps.weights[rows, k].astype(x.real.dtype).reshape(-1, *after), like=x)
        at = (*before, _as_index(rows, x))
        if k == 0:
            out[at] = value
        else:
            out[at] += value
    if common is not None and common != 1:
        out *= x.real.dtype.type(common)
    return out


def _in_fixed_point(x: ndarray, axis: int, taps: Taps) -> ndarray:
    """The sums of bytes as PyTorch has them: weights of 16 bits with as many binary places as there is room for."""
    dense = np.zeros((len(taps.indices), x.shape[axis]))
    np.add.at(dense, (np.arange(len(dense))[:, None], taps.indices), taps.weights)
    places = next(n for n in range(23) if n == 22 or int(0.5 + dense.max() * 2 ** (n + 1)) >= 1 << 15)
    weights = np.trunc(dense * 2**places + np.where(dense < 0, -0.5, 0.5)).astype(np.int64)
    sums = np.matmul(np.moveaxis(x, axis, -1).astype(np.int64), np.asarray(weights.T, like=x))
    rounded = (sums + (1 << (places - 1))) >> places
    return np.moveaxis(rounded.clip(0, 255).astype(np.uint8), -1, axis)


def evenly(indices: ndarray) -> Any:
    """A slice for indices that are evenly spaced upwards; the indices themselves otherwise."""
    if len(indices) == 1:
        return slice(int(indices[0]), int(indices[0]) + 1)
    step = int(indices[1] - indices[0])
    if step > 0 and (np.diff(indices) == step).all():
        return slice(int(indices[0]), int(indices[-1]) + 1, step)
    return indices


def _as_index(indices: ndarray, like: ndarray) -> Any:
    """What an array of some kind is best indexed with."""
    at = evenly(indices)
    return at if isinstance(at, slice) else np.asarray(at, like=like)


# ---------------------------------------------------------------- maxima


def max_windows(x: ndarray, *samples: ndarray, rules: tuple[Rule, ...]) -> tuple[ndarray, ndarray]:
    """The maxima of windows along the last axes, and where they are in the flattened axes: of equal ones the first.

    The rules' weights do not matter. NaN is the maximum of a window that has one; of several the last is found.

    Args:
        samples: for rules of kind `Fractional` one array, (..., axes), of the numbers that the windows depend on.
    """
    size = x.shape[x.ndim - len(rules) :]
    if any(rule.count == 0 for rule in rules):
        shape = (*x.shape[: x.ndim - len(rules)], *[rule.count for rule in rules])
        return np.empty(shape, x.dtype), np.empty(shape, np.int64)
    if not samples and x.size >= LARGE:
        found = _natively(x, rules)
        if found is not None:
            return found
    tables = [
        rule.windows(samples[0][..., i]) if isinstance(rule, Fractional) else taps_of(rule).indices.T
        for i, rule in enumerate(rules)
    ]
    values, ranks = _largest(x, tables, False)
    if x.dtype.kind not in "iub" and (values != values).any():
        values, ranks = _largest(x, tables, True)
    return values, _places(ranks, tables, size)


def _natively(x: ndarray, rules: tuple[Rule, ...]) -> tuple[ndarray, ndarray] | None:
    """`max_windows` in one pass, where there is a compiler."""
    lines, columns = _offsets(rules)
    planes, counts = x.shape[: x.ndim - len(rules)], [rule.count for rule in rules]
    values, indices = np.empty((*planes, *counts), x.dtype), np.empty((*planes, *counts), np.int64)
    x = np.ascontiguousarray(x).reshape(math.prod(planes), -1)
    return (values, indices) if _maxima(x, lines, columns, values, indices) else None


@functools.lru_cache(maxsize=256)
def _offsets(rules: tuple[Rule, ...]) -> tuple[ndarray, ndarray]:
    """Flat offsets of what makes up each line of the result (all axes but the last), and each of its columns."""
    lines = np.zeros((1, 1), np.int64)
    for rule in rules[:-1]:
        found = taps_of(rule).indices
        lines = lines[:, None, :, None] * rule.size + found[None, :, None, :]
        lines = lines.reshape(lines.shape[0] * lines.shape[1], -1)
    return np.ascontiguousarray(lines * rules[-1].size), np.ascontiguousarray(taps_of(rules[-1]).indices, np.int64)


def _largest(x: ndarray, tables: list[ndarray], has_nan: bool) -> tuple[ndarray, ndarray]:
    """The maxima, and which element of its window each is, counted row by row.

    The last axis comes first: among equal ones an earlier row wins over an earlier column.
    """
    per_step, ranks = 1, np.zeros((), np.min_scalar_type(math.prod([len(table) for table in tables])))
    for axis, table in zip(range(x.ndim - 1, -1, -1), reversed(tables), strict=False):
        best = best_rank = None
        for step, indices in enumerate(table):
            value = _read(x, axis, indices)
            rank = (_read(ranks, axis, indices) if ranks.ndim else ranks) + ranks.dtype.type(step * per_step)
            if best is None or best_rank is None:
                best, best_rank = value.copy(), rank
                continue
            is_better = value > best
            if has_nan:
                is_better |= value != value
                best = np.where(is_better, value, best)
            else:
                np.maximum(best, value, out=best)
            best_rank = _chosen(is_better, rank, best_rank)
        assert best is not None and best_rank is not None
        x, ranks, per_step = best, np.broadcast_to(best_rank, best.shape), per_step * len(table)
    return x, ranks


def _chosen(condition: ndarray, x: ndarray, y: ndarray) -> ndarray:
    """`where` for unsigned integers, bit by bit: `np.where` takes ten times as long when nobody can guess the condition."""
    return y ^ ((x ^ y) & np.negative(condition.astype(y.dtype)))


def _places(ranks: ndarray, tables: list[ndarray], size: tuple[int, ...]) -> ndarray:
    """The flat index of each maximum, from its rank in its window, by one table of all windows' elements."""
    num_axes = len(size)
    flat = np.zeros((), np.int64)
    for i, table in enumerate(tables):  # (steps of every axis, ..., count of every axis)
        steps, *leading, count = table.shape
        before, after = (1,) * i, (1,) * (num_axes - 1 - i)
        flat = flat + table.reshape(*before, steps, *after, *leading, *before, count, *after) * math.prod(size[i + 1 :])
    windows = math.prod(flat.shape[num_axes:])
    at = ranks.reshape(ranks.size // max(windows, 1), windows).astype(np.int64) * windows + np.arange(windows)
    return flat.reshape(-1).take(at).reshape(ranks.shape)


def _read(x: ndarray, axis: int, indices: ndarray) -> ndarray:
    """What is at indices along an axis; a view where they are evenly spaced."""
    if indices.ndim == 1:
        at = _as_index(indices, x)
        return x[(*(slice(None),) * axis, at)] if isinstance(at, slice) else x.take(at, axis)
    return np.take_along_axis(x, _along(indices, axis, x.ndim), axis)


def _along(indices: ndarray, axis: int, ndim: int) -> ndarray:
    """Indices (..., count) as an array that broadcasts, with `count` at the axis."""
    *leading, count = indices.shape
    before = axis - len(leading) if leading else 0
    return indices.reshape(*leading, *(1,) * before, count, *(1,) * (ndim - axis - 1))


def put_at(values: ndarray, indices: ndarray, *, size: tuple[int, ...], accumulate: bool) -> ndarray:
    """Zeros of a size along the last axes with values at flat indices; they add up, or the last one stays."""
    leading = values.shape[: values.ndim - len(size)]
    planes, length = math.prod(leading), math.prod(size)
    if length == 1:
        indices = np.zeros_like(indices)  # whatever stands there: shapes are inferred with ones
    if planes * length >= LARGE:
        out = np.empty((*leading, *size), values.dtype)
        given = (np.ascontiguousarray(a).reshape(planes, -1) for a in (values, indices.astype(np.int64, copy=False)))
        if _put(*given, out.reshape(planes, length), accumulate):
            return out
    flat = (
        indices.reshape(planes, math.prod(values.shape[len(leading) :])) + np.arange(planes)[:, None] * length
    ).reshape(-1)
    out = np.zeros(planes * length, values.dtype)
    if accumulate:
        np.add.at(out, flat, values.reshape(-1))
    else:
        out[flat] = values.reshape(-1)
    return out.reshape(*leading, *size)
