"""Products of batches of matrices of any sizes, shared among the threads of compiled programs.

NumPy multiplies one matrix after the other, copies those whose rows lie apart, and wakes BLAS's threads for each that is large enough.
Here a matrix is an entry in a list: its operands' addresses. One native function, compiled once, goes through the list.

Left out: products of two plain matrices, which are cut into pieces (`products.py`).
"""

from __future__ import annotations

import ctypes
import functools
import math
import threading
from string import Template
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.compiler import blas, workers
from rushlight.compiler.blas import NO_TRANSPOSE, ROW_MAJOR, TRANSPOSE
from rushlight.compiler.native import Library

CHUNK = 3_000_000  # floating-point operations that are worth a turn: some 15 us
LONG = 6_000_000  # in all: worth waking a thread at once
MAX_CHUNKS = 32
FIELDS = ("gemm", "left", "right", "m", "n", "k", "left_step", "right_step", "lefts", "rights", "per", "count", "a", "b", "out")

TEXT = Template("""define void @$name(ptr %table, i64 %chunk) {
entry:
$loads
  %first = mul i64 %chunk, %per
  %beyond = add i64 %first, %per
  %is_last = icmp sgt i64 %beyond, %count
  %end = select i1 %is_last, i64 %count, i64 %beyond
  %left_flag = trunc i64 %left to i32
  %right_flag = trunc i64 %right to i32
  %size = mul i64 %m, %n
  br label %loop
loop:
  %i = phi i64 [ %first, %entry ], [ %next, %work ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %work, label %done
work:
  %left_offset_at = getelementptr i64, ptr %lefts, i64 %i
  %right_offset_at = getelementptr i64, ptr %rights, i64 %i
  %left_offset = load i64, ptr %left_offset_at
  %right_offset = load i64, ptr %right_offset_at
  %left_matrix = getelementptr i8, ptr %a, i64 %left_offset
  %right_matrix = getelementptr i8, ptr %b, i64 %right_offset
  %offset = mul i64 %i, %size
  %at = getelementptr $real, ptr %out, i64 %offset
  call void %gemm(i32 $ROW_MAJOR, i32 %left_flag, i32 %right_flag, i64 %m, i64 %n, i64 %k, $real 1.0, ptr %left_matrix, i64 %left_step,
    ptr %right_matrix, i64 %right_step, $real 0.0, ptr %at, i64 %n)
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}
""")


def multiply_batch(a: ndarray, b: ndarray) -> ndarray | None:
    """a @ b for batches of matrices of one dtype; None where BLAS could not read them as they lie, or there is no BLAS."""
    key = a.dtype.char, b.dtype.char, a.shape, b.shape, a.strides, b.strides
    if key not in _batches:
        if len(_batches) >= LIMIT:
            _batches.clear()
        _batches[key] = Batch.of(a, b)
    batch = _batches[key]
    return None if batch is None else batch.run(a, b)


LIMIT = 256
_batches: dict[tuple, Batch | None] = {}


class Batch:
    """What is the same for all arrays of these shapes and strides: sizes, flags, and how far each matrix is from the first."""

    @staticmethod
    def of(a: ndarray, b: ndarray) -> Batch | None:
        symbol = blas.gemm_symbol(a.dtype) if a.dtype == b.dtype and a.dtype.char in "fd" else None
        left, right = _as_blas(a), _as_blas(b)
        if symbol is None or left is None or right is None or a.shape[-1] != b.shape[-2] or not a.size or not b.size:
            return None
        return Batch(a, b, symbol[1], left, right)

    def __init__(self, a: ndarray, b: ndarray, gemm: int, left: tuple[int, int], right: tuple[int, int]):
        (m, k), n, batch = a.shape[-2:], b.shape[-1], np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        self.shape, self.dtype, self.lock = (*batch, m, n), a.dtype, threading.Lock()
        count, flops = math.prod(batch), 2 * m * n * k
        per = max(1, CHUNK // flops, -(-count // MAX_CHUNKS))
        chunks = -(-count // per)
        per = -(-count // (chunks + chunks % 2))  # an even number, as two threads share best
        self.offsets = _offsets(a, batch), _offsets(b, batch)
        offsets = [x.ctypes.data for x in self.offsets]
        numbers = gemm, left[0], right[0], m, n, k, left[1], right[1], *offsets, per, count, 0, 0, 0
        self.table = (ctypes.c_int64 * len(FIELDS))(*numbers)
        is_long = count * flops > LONG
        phases = [(_function(a.dtype.char), -(-count // per))]
        self.job = workers.Job(phases, ctypes.addressof(self.table), uses_blas=True, is_long=is_long)

    def run(self, a: ndarray, b: ndarray) -> ndarray | None:
        """The products; None if another thread is at it."""
        if not self.lock.acquire(blocking=False):
            return None
        try:
            out = np.empty(self.shape, self.dtype)
            self.table[-3:] = a.ctypes.data, b.ctypes.data, out.ctypes.data
            self.job.run()
            return out
        finally:
            self.lock.release()


def _as_blas(x: ndarray) -> tuple[int, int] | None:
    """(flag, distance between rows) of each matrix as BLAS has it."""
    row, column, size = *x.strides[-2:], x.itemsize
    height, width = x.shape[-2:]
    if column == size and row % size == 0 and row >= width * size:
        return NO_TRANSPOSE, row // size
    if row == size and column % size == 0 and column >= height * size:
        return TRANSPOSE, column // size
    return None


def _offsets(x: ndarray, batch: tuple[int, ...]) -> ndarray:
    """How many bytes each matrix is behind the first."""
    places: Any = np.array(0, np.int64)
    offset = len(batch) - x.ndim + 2
    for axis, size in enumerate(batch):
        own = axis - offset
        step = x.strides[own] if own >= 0 and x.shape[own] > 1 else 0
        places = np.add.outer(places, np.arange(size) * step)
    return np.ascontiguousarray(places).reshape(-1)


@functools.cache
def _function(char: str) -> int:
    """The address of the native function for a dtype."""
    loads = []
    for i, name in enumerate(FIELDS):
        kind = "ptr" if name in ("gemm", "lefts", "rights", "a", "b", "out") else "i64"
        loads += [f"  %at.{name} = getelementptr i64, ptr %table, i64 {i}", f"  %{name} = load {kind}, ptr %at.{name}"]
    real = "float" if char == "f" else "double"
    library = Library(TEXT.substitute(name="batch", loads="\n".join(loads), real=real, ROW_MAJOR=ROW_MAJOR))
    _kept.append(library)
    return library.address("batch")


_kept: list[Library] = []
