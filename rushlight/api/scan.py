"""Running sums, products and extremes in PyTorch's spelling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight import return_types
from rushlight.api.forms import in_place_form, numpy_names
from rushlight.api.reduce import cast_for_sum, in_dtype, refuse_kinds, zero_index
from rushlight.ops import index as index_ops, scan as ops
from rushlight.tensor import Tensor, _checked_dim


def _along(scan: Callable[..., Tensor], input: Tensor, dim: int) -> Tensor:
    """The scan along a dimension; a tensor without dimensions is its own."""
    axis = _checked_dim(dim, input.ndim)
    return scan(input, axis=axis) if input.ndim else input.clone()


@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums along `dim`; integers are summed as int64."""
    return in_dtype(dtype, _along(ops.cumsum, cast_for_sum(input, dtype), dim))


@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running products along `dim`; of integers as int64."""
    return in_dtype(dtype, _along(ops.cumprod, cast_for_sum(input, dtype), dim))


def _scan_in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    name, in_place = function.__name__, in_place_form(function)

    @numpy_names
    def call(self: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
        if self.numel() and self.ndim:
            refuse_kinds("b", f"{name}_out_cpu", self)
        if dtype is not None and dtype is not self.dtype:
            raise RuntimeError(
                f"Bad in-place call: input tensor dtype {self.dtype} and output tensor dtype {dtype} should match"
            )
        return in_place(self, dim, dtype=self.dtype)

    call.__name__ = call.__qualname__ = name + "_"
    call.__doc__ = f"In-place form of `{name}`: writes the result into the tensor itself and returns it."
    return call


cumsum_, cumprod_ = _scan_in_place(cumsum), _scan_in_place(cumprod)


@numpy_names
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log(cumsum(exp(input))) along `dim`, without overflow."""
    if input.ndim:
        refuse_kinds("iub", "logcumsumexp_out_cpu", input)
    return _along(ops.logcumsumexp, input, dim)


def _extreme_so_far(input: Tensor, dim: int, arg: Callable[..., Tensor], result: Any) -> Any:
    refuse_kinds("c", f"{result.__name__}_cpu", input)
    axis = _checked_dim(dim, input.ndim)
    if input.ndim == 0:
        return result(input.clone(), zero_index(input))
    indices = arg(input, axis=axis)
    return result(index_ops.gather(input, indices, axis=axis), indices)


@numpy_names
def cummax(input: Tensor, dim: int) -> Any:
    """(the largest element so far along `dim`, its index: the latest of equal ones)."""
    return _extreme_so_far(input, dim, ops.cumulative_argmax, return_types.cummax)


@numpy_names
def cummin(input: Tensor, dim: int) -> Any:
    """(the smallest element so far along `dim`, its index: the latest of equal ones)."""
    return _extreme_so_far(input, dim, ops.cumulative_argmin, return_types.cummin)
