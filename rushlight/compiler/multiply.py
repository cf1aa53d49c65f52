"""Products of large matrices, and of batches of matrices, of any sizes: shared among the threads of compiled programs.

BLAS's own threads spin for 25 ms after each product, on a core that others want; and NumPy multiplies the matrices of a batch one after
the other, copying those whose rows lie apart. Here a product is a list of *pieces*, each a call of BLAS on one thread: blocks of
rows or columns of one matrix, or matrices of a batch. One native function, compiled once, goes through the list.

Left out: the products of whole programs (`products.py`), and matrices that BLAS cannot read as they lie.
"""

from __future__ import annotations

import ctypes
import functools
import math
import threading
from string import Template

import numpy as np
from numpy import ndarray

from rushlight.compiler import blas, workers
from rushlight.compiler.binding import DATA_OFFSET, LAYOUT_HOLDS
from rushlight.compiler.blas import NO_TRANSPOSE, ROW_MAJOR, TRANSPOSE
from rushlight.compiler.native import Library
from rushlight.compiler.schedule import product_edges

BATCH_CHUNK = 3_000_000  # floating-point operations of small matrices that are worth a turn: some 15 us
LONG = 6_000_000  # of all: worth waking a thread at once
MAX_CHUNKS = 32
LIMIT = 1024  # kinds of operands that are remembered

# The table of a product, and what a piece is: offsets in bytes, and sizes.
FIELDS = (
    "gemm",
    "left_flag",
    "right_flag",
    "k",
    "left_step",
    "right_step",
    "out_step",
    "pieces",
    "per",
    "count",
    "a",
    "b",
    "out",
)
PIECE = ("left", "right", "target", "m", "n")

TEXT = Template("""define void @multiply(ptr %table, i64 %chunk) {
entry:
$FIELDS
  %a_data_at = getelementptr i8, ptr %a, i64 $DATA_OFFSET
  %b_data_at = getelementptr i8, ptr %b, i64 $DATA_OFFSET
  %out_data_at = getelementptr i8, ptr %out, i64 $DATA_OFFSET
  %a_data = load ptr, ptr %a_data_at
  %b_data = load ptr, ptr %b_data_at
  %out_data = load ptr, ptr %out_data_at
  %left_transposed = trunc i64 %left_flag to i32
  %right_transposed = trunc i64 %right_flag to i32
  %first = mul i64 %chunk, %per
  %beyond = add i64 %first, %per
  %is_last = icmp sgt i64 %beyond, %count
  %end = select i1 %is_last, i64 %count, i64 %beyond
  br label %loop
loop:
  %i = phi i64 [ %first, %entry ], [ %next, %work ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %work, label %done
work:
  %start = mul i64 %i, $PIECE_BYTES
  %piece = getelementptr i8, ptr %pieces, i64 %start
$PIECE
  %a_piece = getelementptr i8, ptr %a_data, i64 %left
  %b_piece = getelementptr i8, ptr %b_data, i64 %right
  %out_piece = getelementptr i8, ptr %out_data, i64 %target
  call void %gemm(i32 $ROW_MAJOR, i32 %left_transposed, i32 %right_transposed, i64 %m, i64 %n, i64 %k, $REAL 1.0, ptr %a_piece,
    i64 %left_step, ptr %b_piece, i64 %right_step, $REAL 0.0, ptr %out_piece, i64 %out_step)
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}
""")


def multiply(a: ndarray, b: ndarray) -> ndarray | None:
    """a @ b of arrays with two dimensions or more; None where there is no BLAS that reads them as they lie."""
    key = a.dtype.char, b.dtype.char, a.shape, b.shape, a.strides, b.strides
    try:
        kind = _kinds[key]
    except KeyError:
        if len(_kinds) >= LIMIT:
            _kinds.clear()
        kind = _kinds[key] = _make(a, b)
    return None if kind is None else kind.run(a, b)


class _Kind:
    """What is the same for all operands of such shapes and strides."""

    def __init__(self, a: ndarray, b: ndarray, gemm: int, left: tuple[int, int], right: tuple[int, int]):
        (m, k), n, batch = a.shape[-2:], b.shape[-1], np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        self.shape, self.dtype, self.lock = (*batch, m, n), a.dtype, threading.Lock()
        flops, self.pieces, per = 2 * m * n * k * math.prod(batch), _pieces(a, b), 1
        if batch:
            per = max(1, BATCH_CHUNK // (2 * m * n * k), -(-len(self.pieces) // MAX_CHUNKS))
            chunks = -(-len(self.pieces) // per)
            per = -(-len(self.pieces) // (chunks + chunks % 2))  # an even number, as two threads share best
        count = len(self.pieces)
        numbers = gemm, left[0], right[0], k, left[1], right[1], n, self.pieces.ctypes.data, per, count, 0, 0, 0
        self.table = (ctypes.c_int64 * len(FIELDS))(*numbers)
        phases = [(_function(a.dtype.char), -(-count // per))]
        self.job = workers.Job(phases, ctypes.addressof(self.table), uses_blas=True, is_long=flops > LONG)

    def run(self, a: ndarray, b: ndarray) -> ndarray | None:
        """The product; None if another thread is at it."""
        if not self.lock.acquire(blocking=False):
            return None
        try:
            out = np.empty(self.shape, self.dtype)
            self.table[-3:] = id(a), id(b), id(out)
            self.job.run()
            return out
        finally:
            self.lock.release()


_kinds: dict[tuple, _Kind | None] = {}


def _make(a: ndarray, b: ndarray) -> _Kind | None:
    symbol = blas.gemm_symbol(a.dtype) if a.dtype == b.dtype and a.dtype.char in "fd" and LAYOUT_HOLDS else None
    left, right = _as_blas(a), _as_blas(b)
    if symbol is None or left is None or right is None or a.shape[-1] != b.shape[-2] or not a.size or not b.size:
        return None
    return _Kind(a, b, symbol[1], left, right)


def _as_blas(x: ndarray) -> tuple[int, int] | None:
    """(flag, distance between rows) of each matrix as BLAS has it."""
    (height, width), (row, column), size = x.shape[-2:], x.strides[-2:], x.itemsize
    if column == size and row % size == 0 and row >= width * size:
        return NO_TRANSPOSE, row // size
    if row == size and column % size == 0 and column >= height * size:
        return TRANSPOSE, column // size
    return None


def _pieces(a: ndarray, b: ndarray) -> ndarray:
    """The list of pieces, a row of PIECE for each: matrices of a batch, or blocks of the longer side of a product."""
    m, k, n, size = *a.shape[-2:], b.shape[-1], a.itemsize
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if batch:
        found = np.empty((math.prod(batch), len(PIECE)), np.int64)
        found[:, 0], found[:, 1] = _offsets(a, batch), _offsets(b, batch)
        found[:, 2] = np.arange(len(found)) * (m * n * size)
        found[:, 3:] = m, n
        return found
    is_wide = n > m
    rows = []
    for low, high in product_edges(max(m, n), 2 * m * n * k):
        if is_wide:
            rows.append((0, low * b.strides[1], low * size, m, high - low))
        else:
            rows.append((low * a.strides[0], 0, low * n * size, high - low, n))
    return np.array(rows, np.int64)


def _offsets(x: ndarray, batch: tuple[int, ...]) -> ndarray:
    """How many bytes each matrix is behind the first."""
    strides = [0 if size == 1 else stride for size, stride in zip(x.shape[:-2], x.strides[:-2], strict=True)]
    strides = [0] * (len(batch) - len(strides)) + strides
    return np.tensordot(np.indices(batch), strides, (0, 0)).reshape(-1)


@functools.cache
def _function(char: str) -> int:
    """The address of the native function for a dtype, which is never freed."""
    _libraries.append(Library(multiply_text("float" if char == "f" else "double")))
    return _libraries[-1].address("multiply")


_libraries: list[Library] = []


def multiply_text(real: str) -> str:
    """The function's LLVM IR."""

    def loads(names: tuple[str, ...], base: str) -> str:
        lines = []
        for i, name in enumerate(names):
            kind = "ptr" if name in ("gemm", "pieces", "a", "b", "out") else "i64"
            lines += [
                f"  %at.{name} = getelementptr i64, ptr {base}, i64 {i}",
                f"  %{name} = load {kind}, ptr %at.{name}",
            ]
        return "\n".join(lines)

    texts = {"FIELDS": loads(FIELDS, "%table"), "PIECE": loads(PIECE, "%piece"), "PIECE_BYTES": 8 * len(PIECE)}
    return TEXT.substitute(texts, REAL=real, DATA_OFFSET=DATA_OFFSET, ROW_MAJOR=ROW_MAJOR)
