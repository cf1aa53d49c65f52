"""Indices on a GPU that are out of range: found there, and told when the CPU next waits for a GPU anyway.

A kernel that finds one writes three numbers to memory of the CPU that all GPUs see: which error it is, by the number
that `announce` gave before the launch, then the index and the size. `check` reads them, which costs 0.1 us, wherever the
CPU has just waited: in `arrays.cupy.to_host`, and where a device, a stream or an event is synchronized. The process goes
on, since nothing is read or written elsewhere: CuPy counts on from the start, our own kernels take the element 0. With
CUDA_LAUNCH_BLOCKING=1 in the environment, the driver's own variable, the operation itself waits and raises.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import struct
import threading
from collections.abc import Callable
from typing import Any

import cupy
import numpy as np
from cupy import ndarray

BLOCKING = "CUDA_LAUNCH_BLOCKING"
is_blocking = os.environ.get(BLOCKING) == "1"

BLOCK = 256
MAX_BLOCKS = 1024  # what is left over is done by the same threads in turn
KEPT = 1 << 12  # errors that are remembered: a GPU's queue holds fewer launches

# What a launch is told, of 64 bits each, since one argument costs the CPU less than eleven. The elements are those at
# row * row_step + column * column_step, for `columns` columns and rows up to the count.
SOURCE = """
struct Check {
    const void* x;
    long long kind;  // bytes of an element, negative for unsigned integers
    long long count, columns, row_step, column_step, low, high, ignored, number;
    volatile long long* found;
};

__device__ long long element(const void* x, long long at, long long kind) {
    switch (kind) {
        case 8: return ((const long long*)x)[at];
        case 4: return ((const int*)x)[at];
        case 2: return ((const short*)x)[at];
        case 1: return ((const signed char*)x)[at];
        case -4: return ((const unsigned int*)x)[at];
        case -2: return ((const unsigned short*)x)[at];
        case -1: return ((const unsigned char*)x)[at];
    }
    const unsigned long long wide = ((const unsigned long long*)x)[at];
    return wide >> 63 ? 0x7fffffffffffffffLL : (long long)wide;
}

extern "C" __global__ void check_range(const Check c) {
    const long long step = gridDim.x * (long long)blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < c.count; i += step) {
        const long long at = i / c.columns * c.row_step + i % c.columns * c.column_step;
        const long long index = element(c.x, at, c.kind);
        if ((index >= c.low && index < c.high) || index == c.ignored) continue;
        if (c.found[0]) return;  // what was found first is told
        c.found[1] = index;
        c.found[2] = c.high;
        __threadfence_system();
        c.found[0] = c.number;
        return;
    }
}
"""
_pack = struct.Struct("11q").pack
_CHECK = np.dtype("V88")


class IndexOutOfRange(IndexError, RuntimeError):
    """An index was out of range on a GPU. PyTorch raises IndexError for some operations and RuntimeError for others."""


_lock = threading.Lock()
_memory: Any = None
_found: Any = None  # the three numbers, once a kernel may write them
_numbers = itertools.count(1)
_announced: list[tuple[int, str, Callable[[int], Exception] | None]] = [(0, "", None)] * KEPT


def address() -> int:
    """Where kernels write what they find: the number of an error, the index, the size."""
    global _memory, _found
    if _found is None:
        with _lock:
            if _found is None:
                _memory = cupy.cuda.alloc_pinned_memory(3 * ctypes.sizeof(ctypes.c_longlong))
                found = (ctypes.c_longlong * 3).from_address(_memory.ptr)
                found[:] = (0, 0, 0)
                _found = found
    return ctypes.addressof(_found)


def announce(name: str, error: Callable[[int], Exception] | None = None) -> int:
    """The number that a kernel writes if an index is out of range.

    Args:
        name: of the operation.
        error: what the CPU raises for an index; it must hold no arrays, since it is remembered for some time.
    """
    number = next(_numbers)
    _announced[number % KEPT] = (number, name, error)
    return number


def check() -> None:
    """Raises what a GPU has found, once; whoever calls this has waited for the GPU."""
    if _found is not None and _found[0]:
        with _lock:
            number, index, size = _found
            _found[0] = 0
        if number:
            announced, name, error = _announced[number % KEPT]
            if announced != number:  # thousands of launches ago
                name, error = "an operation", None
            raise _out_of_range(name, index, size, error, is_late=not is_blocking)


def wait_and_check() -> None:
    """Where every operation is waited for (`is_blocking`): raises what the last one has found."""
    cupy.cuda.get_current_stream().synchronize()
    check()


def _out_of_range(
    name: str, index: int, size: int, error: Callable[[int], Exception] | None, is_late: bool
) -> IndexOutOfRange:
    text = f"index {index} is out of bounds for a dimension of size {size}" if error is None else str(error(index))
    hint = f", maybe some operations ago: {BLOCKING}=1 in the environment has it raised at once" if is_late else ""
    return IndexOutOfRange(f"{text}\n  {name}: index {index}, size {size}, on a GPU{hint}")


# ---------------------------------------------------------------- a check before an operation


@functools.cache
def _kernel() -> cupy.RawKernel:
    return cupy.RawKernel(SOURCE, "check_range")


def require_range(
    name: str, indices: ndarray, low: int, high: int, error: Callable[[int], Exception], ignored: int | None = None
) -> None:
    """Has the GPU look for an index that is not within [low, high), nor `ignored`. Waits for nothing.

    Args:
        name, error: as for `announce`.

    Raises:
        IndexOutOfRange: of an empty range, at once: what CuPy would do there is not defined.
    """
    if not indices.size:
        return
    if high <= low and ignored is None:
        raise _out_of_range(name, int(indices.reshape(-1)[0]), high, error, is_late=False)
    before, here = cupy.cuda.runtime.getDevice(), indices.device.id
    if here != before:
        cupy.cuda.runtime.setDevice(here)
    try:
        x, count, columns, row_step, column_step = _in_memory(indices)
        kind = x.itemsize if x.dtype.kind == "i" else -x.itemsize
        check = _pack(
            x.data.ptr, kind, count, columns, row_step, column_step, low, high, low if ignored is None else ignored,
            announce(name, error), address(),
        )  # fmt: skip
        block = BLOCK if count >= BLOCK else -(-count // 32) * 32
        grid = min(-(-count // block), MAX_BLOCKS)
        _kernel()((grid,), (block,), (np.frombuffer(check, _CHECK),))  # NumPy's arrays of one element go by value
        if is_blocking:
            wait_and_check()
    finally:
        if here != before:
            cupy.cuda.runtime.setDevice(before)


def _in_memory(x: ndarray) -> tuple[ndarray, int, int, int, int]:
    """(an array, how many of its elements to look at, columns, steps between rows and between columns).

    What was expanded is looked at once. Only what has three or more axes with gaps between them is copied.
    """
    if x.flags.c_contiguous:
        return x, x.size, x.size, 0, 1
    axes: list[list[int]] = []  # [length, step], the longest step first
    for step, length in sorted(zip(x.strides, x.shape, strict=True), key=lambda axis: -abs(axis[0])):
        if length == 1 or not step:
            continue
        step //= x.itemsize
        if axes and axes[-1][1] == step * length:
            axes[-1] = [axes[-1][0] * length, step]
        else:
            axes.append([length, step])
    if len(axes) > 2:
        return _in_memory(cupy.ascontiguousarray(x))
    (rows, row_step), (columns, column_step) = [[1, 0]] * (2 - len(axes)) + axes
    return x, rows * columns, columns, row_step, column_step
