"""New arrays, as the standard spells them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import rushlight as torch
from rushlight import dtypes
from rushlight.dtypes import dtype as DType
from rushlight.tensor import Tensor

Shape = int | tuple[int, ...]


def _shape(shape: Shape) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def asarray(obj: Any, /, *, dtype: DType | None = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """An array of a number, nested sequences, an array, or an object with DLPack or a buffer."""
    return torch.asarray(obj, dtype=dtype, device=device, copy=copy)


def arange(
    start: float, /, stop: float | None = None, step: float = 1, *, dtype: DType | None = None, device: Any = None
) -> Tensor:
    """start, start + step, ... before `stop`; nothing if `step` leads away from it."""
    start, stop = (0, start) if stop is None else (start, stop)
    if dtype is None:
        is_integer = all(isinstance(x, int) for x in (start, stop, step))
        dtype = dtypes.int64 if is_integer else dtypes.get_default_dtype()
    count = max(math.ceil((stop - start) / step), 0)
    if not count:
        return torch.empty(0, dtype=dtype, device=device)
    if not isinstance(start, int) or not isinstance(step, int):
        return torch.from_numpy((start + step * np.arange(count)).astype(dtype.numpy)).to(device or "cpu")
    return torch.from_numpy(np.arange(start, stop, step).astype(dtype.numpy)).to(device or "cpu")


def empty(shape: Shape, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    return torch.empty(_shape(shape), dtype=dtype, device=device)


def empty_like(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    return torch.empty_like(x, dtype=dtype, device=device)


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: DType | None = None, device: Any = None
) -> Tensor:
    """Ones on the diagonal k."""
    dtype = dtype or dtypes.get_default_dtype()
    return torch.from_numpy(np.eye(n_rows, n_cols, k, dtype=dtype.numpy)).to(device or "cpu")


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    return torch.from_dlpack(x, device=device, copy=copy)


def full(shape: Shape, fill_value: Any, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    return torch.full(_shape(shape), fill_value, dtype=dtype, device=device)


def full_like(x: Tensor, /, fill_value: Any, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    return torch.full_like(x, fill_value, dtype=dtype, device=device)


def linspace(
    start: complex, stop: complex, /, num: int, *, dtype: DType | None = None, device: Any = None,
    endpoint: bool = True,
) -> Tensor:  # fmt: skip
    """`num` equally spaced numbers from `start` to `stop`, which is left out unless `endpoint`."""
    if dtype is None:
        dtype = dtypes.get_default_dtype()
        dtype = dtype.to_complex() if isinstance(start, complex) or isinstance(stop, complex) else dtype
    return torch.from_numpy(np.linspace(start, stop, num, endpoint, dtype=dtype.numpy)).to(device or "cpu")


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> tuple[Tensor, ...]:
    """The coordinates of every point of a grid, of vectors of coordinates."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"indexing must be 'xy' or 'ij', not {indexing!r}")
    return tuple(torch.meshgrid(*arrays, indexing=indexing)) if arrays else ()


def ones(shape: Shape, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    return torch.ones(_shape(shape), dtype=dtype, device=device)


def ones_like(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    return torch.ones_like(x, dtype=dtype, device=device)


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    return torch.tril(x, k)


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    return torch.triu(x, k)


def zeros(shape: Shape, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    return torch.zeros(_shape(shape), dtype=dtype, device=device)


def zeros_like(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    return torch.zeros_like(x, dtype=dtype, device=device)
