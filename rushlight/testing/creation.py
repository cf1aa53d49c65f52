"""`make_tensor`: random tensors of any dtype, as inputs of tests."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import rushlight as torch
from rushlight.tensor import Tensor

_FLOATS = (
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex32,
    torch.complex64,
    torch.complex128,
)
_INTEGERS = (
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64,
)  # fmt: skip


def make_tensor(
    *shape: Any, dtype: Any, device: Any, low: float | None = None, high: float | None = None,
    requires_grad: bool = False, noncontiguous: bool = False, exclude_zero: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor of numbers uniform on [low, high).

    Args:
        shape: the sizes, or one sequence of them.
        dtype: the dtype.
        device: the device.
        low: the lower bound; default -9 (0 for booleans), and at least what the dtype holds.
        high: the upper bound; default 9 (10 for integers, 2 for booleans), and at most what the dtype holds.
        requires_grad: whether operations on it are recorded.
        noncontiguous: every other element of a tensor that is twice as long.
        exclude_zero: put the least positive number in place of zeros (1 for integers).
        memory_format: of the result.

    Raises:
        ValueError: bounds that are no interval of the dtype, or options that exclude each other.

    Example:
        >>> make_tensor((2, 3), dtype=torch.int64, device="cpu").shape
        torch.Size([2, 3])
    """
    sizes = tuple(shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape)
    if noncontiguous and memory_format is not None:
        raise ValueError(
            f"The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got {noncontiguous=} "
            f"and {memory_format=}"
        )
    if requires_grad and dtype not in _FLOATS:
        raise ValueError(
            f"`requires_grad=True` is not supported for boolean and integral dtypes, but got dtype={dtype!r}"
        )
    noncontiguous = noncontiguous and math.prod(sizes) > 1
    if noncontiguous:
        sizes = (*sizes[:-1], 2 * sizes[-1])
    result = _filled(sizes, dtype, device, low, high)
    if noncontiguous:
        result = result[..., 1::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        result[result.eq(0)] = torch.finfo(dtype).tiny if dtype in _FLOATS else 1
    return result.requires_grad_(requires_grad) if dtype in _FLOATS else result


def _filled(shape: tuple[int, ...], dtype: Any, device: Any, low: float | None, high: float | None) -> Tensor:
    limits: tuple[float, float]
    default: tuple[float, float]
    if dtype is torch.bool:
        limits, default = (0, 2), (0, 2)
    elif dtype in _INTEGERS:
        info = torch.iinfo(dtype)
        limits, default = (info.min, info.max + (dtype is not torch.int64)), (-9, 10)
    elif dtype in _FLOATS:
        limits, default = (torch.finfo(dtype).min, torch.finfo(dtype).max), (-9, 9)
    else:
        raise TypeError(f"The requested dtype '{dtype}' is not supported by torch.testing.make_tensor().")
    low, high = _bounds(low, high, limits, default, dtype)
    if dtype not in _FLOATS:
        return torch.randint(math.ceil(low), math.ceil(high), shape, device=device, dtype=dtype)
    result = torch.empty(shape, device=device, dtype=dtype)
    parts = torch.view_as_real(result) if result.is_complex() else result
    if high - low >= torch.finfo(dtype).max:  # the width itself is no number of this dtype
        parts.uniform_(low / 2, high / 2).mul_(2)
    else:
        parts.uniform_(low, high)
    return result


def _bounds(low: Any, high: Any, limits: tuple[Any, Any], default: tuple[Any, Any], dtype: Any) -> tuple[Any, Any]:
    low, high = default[0] if low is None else low, default[1] if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and dtype in _FLOATS:
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is deprecated since 2.1 "
            "and will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=4,
        )
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < limits[0] or low >= limits[1]:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {dtype} only supports "
            f"[{limits[0]}, {limits[1]})"
        )
    return min(max(low, limits[0]), limits[1]), min(max(high, limits[0]), limits[1])
