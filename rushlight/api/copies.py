"""The copying forms of views: `x_copy(...)` is a copy of the view, `x_scatter(input, src, ...)` one of the whole with
`src` where the view would be.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rushlight import dtypes
from rushlight.api import cutting, views
from rushlight.api.creation import new_zeros
from rushlight.api.forms import shown_as
from rushlight.arrays.kinds import Abstract
from rushlight.ops.create import zeros
from rushlight.ops.elementwise import where
from rushlight.ops.inplace import write
from rushlight.ops.views import alias, clone, slice_
from rushlight.tensor import Tensor, _checked_dim


def slice_view(input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """Every `step`-th element of a dimension from `start` to before `end`."""
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return slice_(input, index=(slice(None),) * _checked_dim(dim, input.ndim) + (slice(start, end, step), Ellipsis))


def _copying(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The view's copying form: a copy, or a tuple of copies."""

    @functools.wraps(function)
    def copied(*args: Any, **kwargs: Any) -> Any:
        view = function(*args, **kwargs)
        return clone(view) if isinstance(view, Tensor) else tuple([clone(part) for part in view])

    copied.__name__ = copied.__qualname__ = name
    copied.__doc__ = f"{function.__doc__} A copy."
    return copied


alias_copy, detach_copy = _copying(alias, "alias_copy"), _copying(views.detach, "detach_copy")
as_strided_copy = _copying(cutting.as_strided, "as_strided_copy")
diagonal_copy = _copying(cutting.diagonal, "diagonal_copy")
expand_copy, view_copy = _copying(views.expand, "expand_copy"), _copying(views.view, "view_copy")
select_copy = _copying(cutting.select, "select_copy")
permute_copy, t_copy = _copying(views.permute, "permute_copy"), _copying(views.t, "t_copy")
transpose_copy = _copying(views.transpose, "transpose_copy")
slice_copy, unfold_copy = _copying(slice_view, "slice_copy"), _copying(cutting.unfold, "unfold_copy")
split_copy, unbind_copy = _copying(cutting.split, "split_copy"), _copying(cutting.unbind, "unbind_copy")
split_with_sizes_copy = _copying(cutting.split_with_sizes, "split_with_sizes_copy")
squeeze_copy, unsqueeze_copy = _copying(views.squeeze, "squeeze_copy"), _copying(views.unsqueeze, "unsqueeze_copy")


@shown_as("NarrowCopyBackward0")
def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A copy of `length` elements of a dimension from `start` on."""
    if dim >= input.ndim > 0:
        raise RuntimeError("Expected dim < static_cast<int64_t>(self_sizes.size()) to be true, but got false.")
    if length < 0 and input.ndim:
        raise RuntimeError(
            f"start ({start}) + length ({length}) exceeds dimension size ({input.shape[_checked_dim(dim, input.ndim)]})."
        )
    return clone(cutting.narrow(input, dim, start, length))


def _scattered(input: Tensor, src: Tensor, view_of: Callable[[Tensor], Tensor], name: str) -> Tensor:
    """A copy of the input whose view is `src`."""
    is_inside = isinstance(src._array, Abstract)  # a transform may have more of `src` than there is room for in a copy
    out = new_zeros(src, tuple(input.shape), dtype=input.dtype) if is_inside else clone(input)
    view = view_of(out)
    if view.shape != src.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(view.shape)}"
        )
    write(view, src, name)
    if not is_inside:
        return out
    place = zeros(tuple(input.shape), dtype=dtypes.bool, device=input.device)
    view_of(place).fill_(True)
    return where(place, out, input)


@shown_as("DiagonalScatterBackward0")
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of the input with `src` on a diagonal."""
    return _scattered(input, src, lambda x: cutting.diagonal(x, offset, dim1, dim2), "diagonal_scatter")


@shown_as("SelectScatterBackward0")
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of the input with `src` at one index of a dimension."""
    return _scattered(input, src, lambda x: cutting.select(x, dim, index), "select_scatter")


@shown_as("SliceScatterBackward0")
def slice_scatter(input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:  # fmt: skip
    """A copy of the input with `src` in a slice of a dimension."""
    return _scattered(input, src, lambda x: slice_view(x, dim, start, end, step), "slice_scatter")


@shown_as("AsStridedScatterBackward0")
def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A copy of the input with `src` where `as_strided` would look."""
    return _scattered(input, src, lambda x: cutting.as_strided(x, size, stride, storage_offset), "as_strided_scatter")
