"""Matrix products on CuPy arrays by cuBLAS: every dtype as it is, transposed operands where they lie, one call a batch.

`cupy.matmul` widens batches of float16, has none of bfloat16 and copies what is transposed; so the call is made here, as cuBLAS's
documentation of `cublasGemmEx` and `cublasGemmStridedBatchedEx` has it. Both read matrices by columns: a matrix in C order is its own
transpose to them, and x y is asked for as y' x' = (x y)'.

`Repeated` is for loops that launch one product after another: operands are given by address, and all that is known beforehand
is an argument made once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import cupy
import numpy as np
from cupy import ndarray
from cupy.cuda import device

from rushlight import settings

# By NumPy's character of a dtype: cuBLAS's cudaDataType, the type in which it computes, and where one and zero are.
_REAL_32, _REAL_64, _TF32 = 68, 70, 77  # cublasComputeType_t: CUBLAS_COMPUTE_32F, _64F, _32F_FAST_TF32
_FACTORS = {char: np.array([1, 0], char) for char in "fdFD"}
_ONE, _ZERO = ({c: a.ctypes.data + i * a.itemsize for c, a in _FACTORS.items()} for i in (0, 1))
_KINDS = {
    "f": (0, _REAL_32, _ONE["f"], _ZERO["f"]), "d": (1, _REAL_64, _ONE["d"], _ZERO["d"]),
    "e": (2, _REAL_32, _ONE["f"], _ZERO["f"]), "E": (14, _REAL_32, _ONE["f"], _ZERO["f"]),
    "F": (4, _REAL_32, _ONE["F"], _ZERO["F"]), "D": (5, _REAL_64, _ONE["D"], _ZERO["D"]),
}  # fmt: skip
_LARGEST = 2**31 - 1  # of the sizes that cuBLAS takes


class _Matrices(NamedTuple):
    """A batch of matrices where cuBLAS can read them."""

    array: ndarray
    transposed: int  # cuBLAS's "operation": 0, in C order; 1, in the order of columns
    leading: int  # elements from a row (column) to the next
    stride: int  # elements from a matrix to the next


def matmul(x: ndarray, y: ndarray) -> ndarray:
    """The product of two matrices, or of batches that are broadcast, of one dtype; of float32 as exactly as
    `set_float32_matmul_precision` says. Vectors count as one row (x) or one column (y).
    """
    if x.dtype.char not in _KINDS or x.dtype != y.dtype:
        return cupy.matmul(x, y)
    if y.ndim == 1:
        return matmul(x, y[:, None])[..., 0]
    if x.ndim == 1:
        return matmul(x[None], y)[..., 0, :]
    (rows, inner), (height, columns) = x.shape[-2:], y.shape[-2:]
    if inner != height:
        raise ValueError(f"matmul: a matrix of {inner} columns times one of {height} rows")
    batch = x.shape[:-2]
    if y.ndim > 2 or x.ndim > 2:
        if y.ndim == 2 and x.flags.c_contiguous:  # one matrix for all: one product
            return matmul(x.reshape(-1, inner), y).reshape(*batch, rows, columns)
        batch = np.broadcast_shapes(batch, y.shape[:-2])
    out = ndarray((*batch, rows, columns), x.dtype)
    if not out.size:
        return out
    if not inner:
        out.fill(0)
        return out
    _product(_readable(x, batch), _readable(y, batch), out, rows, columns, inner)
    return out


@functools.cache
def _cublas() -> Any:
    """CuPy's module, which loads the library."""
    from cupy_backends.cuda.libs import cublas

    return cublas


def _product(x: _Matrices, y: _Matrices, out: ndarray, rows: int, columns: int, inner: int) -> None:
    cublas = _cublas()
    kind, compute, one, zero = _arithmetic(out.dtype)
    count = out.size // (rows * columns)
    if max(rows, columns, inner, x.leading, y.leading, count) > _LARGEST:
        raise RuntimeError(f"matmul: cuBLAS takes sizes below 2**31, not a result of shape {out.shape}")
    handle = device.get_cublas_handle()
    if count == 1:
        cublas.gemmEx(
            handle, y.transposed, x.transposed, columns, rows, inner, one, y.array.data.ptr, kind, y.leading,
            x.array.data.ptr, kind, x.leading, zero, out.data.ptr, kind, columns, compute, -1,
        )  # fmt: skip
        return
    cublas.gemmStridedBatchedEx(
        handle, y.transposed, x.transposed, columns, rows, inner, one, y.array.data.ptr, kind, y.leading, y.stride,
        x.array.data.ptr, kind, x.leading, x.stride, zero, out.data.ptr, kind, columns, rows * columns, count, compute, -1,
    )  # fmt: skip


def _arithmetic(dtype: np.dtype) -> tuple[int, int, int, int]:
    """cuBLAS's numbers for a dtype and for how exact products are, and the addresses of one and zero."""
    kind, compute, one, zero = _KINDS[dtype.char]
    if dtype.char == "f" and settings.products.allow_tf32:
        compute = _TF32
    return kind, compute, one, zero


class Repeated(NamedTuple):
    """Products c = a b, or c += a b, of several a with one b; the rows of c, of `columns` each, lie one after the other.

    Attributes:
        leading: elements from a row of a to the next.
        transposed: whether b lies in the order of columns, `leading_b` elements from one to the next; else so from a row to the next.
    """

    dtype: np.dtype
    columns: int
    inner: int
    leading: int
    leading_b: int
    transposed: bool
    adds: bool

    def calls(self, rows: Sequence[int], a: Sequence[int], b: int, c: Sequence[int]) -> Iterator[None]:
        """An iterator, each step of which launches one product, on the current device and stream.

        Args:
            rows, a, c: of each product, how many rows a and c have and where they are.
        """
        kind, compute, one, zero = _arithmetic(self.dtype)
        before = device.get_cublas_handle(), int(self.transposed), 0, self.columns
        return map(
            _cublas().gemmEx, *map(repeat, before), rows, repeat(self.inner), repeat(one), repeat(b), repeat(kind),
            repeat(self.leading_b), a, repeat(kind), repeat(self.leading), repeat(one if self.adds else zero), c,
            repeat(kind), repeat(self.columns), repeat(compute), repeat(-1),
        )  # fmt: skip


def _readable(x: ndarray, batch: tuple[int, ...]) -> _Matrices:
    """The matrices where they lie, if cuBLAS can read them there, else copied."""
    size, (rows, columns) = x.itemsize, x.shape[-2:]
    if x.ndim == 2 and _is_aligned(x):
        flags = x.flags
        if flags.c_contiguous:
            return _Matrices(x, 0, columns, 0)
        if flags.f_contiguous:
            return _Matrices(x, 1, rows, 0)
    down, across = x.strides[-2:]
    stride = _one_stride(x, batch)
    if stride is not None and stride % size == 0 and _is_aligned(x):
        if (across == size or columns == 1) and (down >= columns * size or rows == 1) and down % size == 0:
            return _Matrices(x, 0, down // size if rows > 1 else columns, stride // size)
        if (down == size or rows == 1) and (across >= rows * size or columns == 1) and across % size == 0:
            return _Matrices(x, 1, across // size if columns > 1 else rows, stride // size)
    copy = cupy.ascontiguousarray(
        x if x.shape[:-2] == batch or x.ndim == 2 else cupy.broadcast_to(x, (*batch, rows, columns))
    )
    return _Matrices(copy, 0, columns, rows * columns if copy.ndim > 2 else 0)


def _is_aligned(x: ndarray) -> bool:
    return not x.data.ptr % x.itemsize


def _one_stride(x: ndarray, batch: tuple[int, ...]) -> int | None:
    """The bytes from one matrix of a broadcast batch to the next, if they are the same all through."""
    found: int | None = None
    lengths = (1,) * (len(batch) - x.ndim + 2) + x.shape[:-2]
    steps = (0,) * (len(batch) - x.ndim + 2) + x.strides[:-2]
    count = 1  # matrices inside of the axis that is looked at
    for length, own, step in zip(reversed(batch), reversed(lengths), reversed(steps), strict=True):
        if length == 1:
            continue
        step = step if own > 1 else 0
        if found is None:
            found = step
        elif step != found * count:
            return None
        count *= length
    return found or 0
