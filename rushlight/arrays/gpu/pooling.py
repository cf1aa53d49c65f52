"""Max pooling on CuPy arrays, by one kernel: `arrays/pooling.py` makes a pass over memory for every tap of every axis."""

from __future__ import annotations

import functools
import math

import cupy
import numpy as np
from cupy import ndarray

from rushlight.arrays.gpu import scattering
from rushlight.arrays.taps import Fractional, Rule, taps_of

_TYPES = {
    "f": "float", "d": "double", "b": "signed char", "B": "unsigned char", "h": "short", "H": "unsigned short",
    "i": "int", "I": "unsigned int", "l": "long long", "q": "long long", "L": "unsigned long long", "Q": "unsigned long long",
}  # fmt: skip
_BLOCK = 256

# A thread finds one maximum. An axis has a table (steps, planes or 1, count) of the elements in its windows.
SOURCE = """
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
    TYPE best = 0;
    for (long long i = 0; i < a.steps; ++i) {
        const long long row = element(a, i, plane, first) * b.size;
        for (long long j = 0; j < b.steps; ++j) {
            const long long line = (row + element(b, j, plane, middle)) * c.size;
            for (long long k = 0; k < c.steps; ++k) {
                const long long at = line + element(c, k, plane, last);
                const TYPE value = image[at];
                if (place < 0 || value > best || value != value) {
                    best = value;
                    place = at;
                }
            }
        }
    }
    values[number] = best;
    places[number] = place;
}
"""


@functools.cache
def _kernel(char: str) -> cupy.RawKernel:
    return cupy.RawKernel(SOURCE.replace("TYPE", _TYPES[char]), "max_windows")


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
    if x.dtype.char not in _TYPES:  # truth values and half precision, which others hold exactly
        values, places = max_windows(x.astype("B" if x.dtype.char == "?" else "f"), *samples, rules=rules)
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
    arguments = (cupy.ascontiguousarray(x), values, places, np.int64(total), *axes)
    _kernel(x.dtype.char)((-(-total // _BLOCK),), (_BLOCK,), arguments)
    return values, places


def put_at(values: ndarray, indices: ndarray, *, size: tuple[int, ...], accumulate: bool) -> ndarray:
    """Zeros of a size along the last axes with values at flat indices; they add up, or one of them stays."""
    leading = values.shape[: values.ndim - len(size)]
    planes, length = math.prod(leading), math.prod(size)
    places = indices.reshape(planes, math.prod(values.shape[len(leading) :])) + cupy.arange(planes)[:, None] * length
    out = cupy.zeros(planes * length, values.dtype)
    if accumulate:
        scattering.add(out, places.reshape(-1), values.reshape(-1))
    else:
        out[places.reshape(-1)] = values.reshape(-1)
    return out.reshape(*leading, *size)
