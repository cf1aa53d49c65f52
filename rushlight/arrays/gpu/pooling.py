"""Pooling and interpolation on CuPy arrays, by one kernel each: `arrays/pooling.py` makes a pass over memory for every
tap of every axis. Half precision is read and written as it is.
"""

from __future__ import annotations

import functools
import math

import cupy
import numpy as np
from cupy import ndarray

from rushlight.arrays import pooling
from rushlight.arrays.gpu import scattering
from rushlight.arrays.gpu.halves import HALVES
from rushlight.arrays.taps import Fractional, Rule, taps_of

_TYPES = {
    "f": "float", "d": "double", "b": "signed char", "B": "unsigned char", "h": "short", "H": "unsigned short",
    "i": "int", "I": "unsigned int", "l": "long long", "q": "long long", "L": "unsigned long long", "Q": "unsigned long long",
    "e": "half_bits", "E": "bfloat_bits",
}  # fmt: skip
_FLOATS = "fdeE"
_HALF = "eE"
_BLOCK = 256

# A thread finds one maximum. An axis has a table (steps, planes or 1, count) of the elements in its windows. REAL is
# what numbers of TYPE are in registers.
MAXIMA = """
struct Axis { const long long* table; long long size, count, steps, planes; };

__device__ long long element(Axis axis, long long step, long long plane, long long place) {
    return axis.table[(step * axis.planes + (axis.planes > 1 ? plane : 0)) * axis.count + place];
}

extern "C" __global__ void max_windows(
    const TYPE* x, TYPE* values, long long* places, long long total,
    const long long* table0, long long size0, long long count0, long long steps0, long long planes0,
    const long long* table1, long long size1, long long count1, long long steps1, long long planes1,
    const long long* table2, long long size2, long long count2, long long steps2, long long planes2
) {
    const Axis a = {table0, size0, count0, steps0, planes0};
    const Axis b = {table1, size1, count1, steps1, planes1};
    const Axis c = {table2, size2, count2, steps2, planes2};
    const long long number = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (number >= total) return;
    const long long last = number % c.count, middle = number / c.count % b.count;
    const long long first = number / (c.count * b.count) % a.count, plane = number / (c.count * b.count * a.count);
    const TYPE* image = x + plane * a.size * b.size * c.size;
    long long place = -1;
    REAL best = 0;
    for (long long i = 0; i < a.steps; ++i) {
        const long long row = element(a, i, plane, first) * b.size;
        for (long long j = 0; j < b.steps; ++j) {
            const long long line = (row + element(b, j, plane, middle)) * c.size;
            for (long long k = 0; k < c.steps; ++k) {
                const long long at = line + element(c, k, plane, last);
                const REAL value = to_register(image[at]);
                if (place < 0 || value > best || value != value) {
                    best = value;
                    place = at;
                }
            }
        }
    }
    values[number] = image[place];
    places[number] = place;
}
"""

# A thread adds up one element. An axis has tables (count, taps) of elements and their weights.
SUMS = """
extern "C" __global__ void resample(
    const TYPE* x, TYPE* out, long long total,
    const long long* at0, const REAL* weights0, long long size0, long long count0, long long taps0,
    const long long* at1, const REAL* weights1, long long size1, long long count1, long long taps1,
    const long long* at2, const REAL* weights2, long long size2, long long count2, long long taps2
) {
    const long long number = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (number >= total) return;
    const long long last = number % count2 * taps2, middle = number / count2 % count1 * taps1;
    const long long first = number / (count2 * count1) % count0 * taps0;
    const TYPE* image = x + number / (count2 * count1 * count0) * size0 * size1 * size2;
    REAL sum = 0;
    for (long long i = 0; i < taps0; ++i) {
        if (weights0[first + i] == 0) continue;
        const long long row = at0[first + i] * size1;
        REAL rows = 0;
        for (long long j = 0; j < taps1; ++j) {
            if (weights1[middle + j] == 0) continue;
            const TYPE* line = image + (row + at1[middle + j]) * size2;
            REAL elements = 0;
            for (long long k = 0; k < taps2; ++k)
                if (weights2[last + k] != 0) elements += weights2[last + k] * to_register(line[at2[last + k]]);
            rows += weights1[middle + j] * elements;
        }
        sum += weights0[first + i] * rows;
    }
    store(sum, out + number);
}
"""


@functools.cache
def _kernel(source: str, name: str, char: str) -> cupy.RawKernel:
    kind = _TYPES[char]
    text = source.replace("TYPE", kind).replace("REAL", "float" if char in _HALF else kind)
    return cupy.RawKernel(HALVES + text, name)


def _launch(source: str, name: str, x: ndarray, total: int, arguments: tuple) -> None:
    _kernel(source, name, x.dtype.char)((-(-total // _BLOCK),), (_BLOCK,), arguments)


@functools.lru_cache(maxsize=1024)
def _table(rule: Rule | None, device: int) -> ndarray:
    """(steps, 1, count) indices on a device; of an axis that is not there, the one element it would have."""
    indices = np.zeros((1, 1), np.int64) if rule is None else taps_of(rule).indices
    return cupy.asarray(np.ascontiguousarray(indices.T[:, None]))


def max_windows(x: ndarray, *samples: ndarray, rules: tuple[Rule, ...]) -> tuple[ndarray, ndarray]:
    """The maxima of windows along the last axes, and where they are: of equal ones the first, of NaNs the last."""
    leading, size = x.shape[: x.ndim - len(rules)], x.shape[x.ndim - len(rules) :]
    shape = (*leading, *[rule.count for rule in rules])
    total, planes, device = math.prod(shape), math.prod(leading), cupy.cuda.runtime.getDevice()
    if not total:
        return cupy.zeros(shape, x.dtype), cupy.zeros(shape, np.int64)
    if x.dtype.char not in _TYPES:  # truth values
        values, places = max_windows(x.astype("B"), *samples, rules=rules)
        return values.astype(x.dtype), places
    missing = 3 - len(rules)
    axes: list = [_table(None, device), *map(np.int64, (1, 1, 1, 1))] * missing
    for axis, rule in enumerate(rules):
        if isinstance(rule, Fractional):
            found = rule.windows(samples[0][..., axis])
            table = cupy.ascontiguousarray(cupy.broadcast_to(found, (len(found), *leading, rule.count)))
            table = table.reshape(len(found), planes, rule.count)
        else:
            table = _table(rule, device)
        steps, num, count = table.shape
        axes += [table, *map(np.int64, (size[axis], count, steps, num))]
    values, places = cupy.empty(shape, x.dtype), cupy.empty(shape, np.int64)
    _launch(MAXIMA, "max_windows", x, total, (cupy.ascontiguousarray(x), values, places, np.int64(total), *axes))
    return values, places


@functools.lru_cache(maxsize=1024)
def _weights(rule: Rule | None, size: int, char: str, device: int) -> tuple[ndarray, ndarray]:
    """(elements, weights) of an axis on a device, (count, taps) each; of one without a rule, each element itself."""
    if rule is None:
        return cupy.arange(size)[:, None], cupy.ones((size, 1), char)
    taps = taps_of(rule)
    return cupy.asarray(np.ascontiguousarray(taps.indices)), cupy.asarray(taps.weights.astype(char, order="C"))


def resample(x: ndarray, *, rules: tuple[Rule | None, ...]) -> ndarray:
    """Weighted sums along the last axes, by a rule for each; None leaves an axis as it is."""
    leading, size = x.shape[: x.ndim - len(rules)], x.shape[x.ndim - len(rules) :]
    if x.dtype.char not in _FLOATS or len(rules) > 3 or not x.size:
        return pooling.resample(x, rules=rules)
    if all(map(pooling.share_of_all, rules)):  # the mean of an image: a sum that many threads share
        return pooling.resample(x.astype("f") if x.dtype.char in _HALF else x, rules=rules).astype(x.dtype, copy=False)
    device, real = cupy.cuda.runtime.getDevice(), "d" if x.dtype.char == "d" else "f"
    axes: list = [*_weights(None, 1, real, device), *map(np.int64, (1, 1, 1))] * (3 - len(rules))
    shape = leading
    for rule, length in zip(rules, size, strict=True):
        at, weights = _weights(rule, length, real, device)
        axes += [at, weights, *map(np.int64, (length, *at.shape))]
        shape = (*shape, len(at))
    out, total = cupy.empty(shape, x.dtype), math.prod(shape)
    if total:
        _launch(SUMS, "resample", x, total, (cupy.ascontiguousarray(x), out, np.int64(total), *axes))
    return out


def put_at(values: ndarray, indices: ndarray, *, size: tuple[int, ...], accumulate: bool) -> ndarray:
    """Zeros of a size along the last axes with values at flat indices; they add up, or one of them stays."""
    leading = values.shape[: values.ndim - len(size)]
    planes, length = math.prod(leading), math.prod(size)
    places = indices.reshape(planes, math.prod(values.shape[len(leading) :])) + cupy.arange(planes)[:, None] * length
    dtype = np.dtype("f") if accumulate and values.dtype.char in _HALF else values.dtype  # sums are rounded once
    out = cupy.zeros(planes * length, dtype)
    if accumulate:
        scattering.add(out, places.reshape(-1), values.reshape(-1).astype(dtype, copy=False))
    else:
        out[places.reshape(-1)] = values.reshape(-1)
    return out.reshape(*leading, *size).astype(values.dtype, copy=False)
