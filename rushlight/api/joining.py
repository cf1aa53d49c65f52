"""Joining and cutting composed of `cat`, `stack`, `split` and views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight import dtypes
from rushlight.api.views import cat, expand, narrow, reshape, split, unsqueeze
from rushlight.ops.views import clone
from rushlight.tensor import Tensor, _checked_dim


def _each(function: Any, tensors: tuple[Any, ...]) -> Any:
    """The function of one tensor, or of each of several."""
    if len(tensors) == 1:
        given = tensors[0]
        return function(given) if isinstance(given, Tensor) else tuple([function(x) for x in given])
    return tuple([function(x) for x in tensors])


def _at_least_1d(x: Tensor) -> Tensor:
    return reshape(x, 1) if x.ndim == 0 else x


def _at_least_2d(x: Tensor) -> Tensor:
    return reshape(x, 1, 1) if x.ndim == 0 else unsqueeze(x, 0) if x.ndim == 1 else x


def _at_least_3d(x: Tensor) -> Tensor:
    x = _at_least_2d(x)
    return unsqueeze(x, -1) if x.ndim == 2 else x


def atleast_1d(*tensors: Any) -> Any:
    """With one dimension if there was none."""
    return _each(_at_least_1d, tensors)


def atleast_2d(*tensors: Any) -> Any:
    """With leading dimensions of size 1 up to two dimensions."""
    return _each(_at_least_2d, tensors)


def atleast_3d(*tensors: Any) -> Any:
    """With dimensions of size 1 up to three dimensions."""
    return _each(_at_least_3d, tensors)


def _require_some(name: str, tensors: Sequence[Tensor]) -> None:
    if not len(tensors):
        raise RuntimeError(f"{name} expects a non-empty TensorList")


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: along the second dimension, vectors along their first."""
    _require_some("hstack", tensors)
    tensors = atleast_1d(list(tensors))
    return cat(tensors, 0 if tensors and tensors[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One below the other: along the first dimension, vectors as rows."""
    _require_some("vstack", tensors)
    return cat(atleast_2d(list(tensors)), 0)


row_stack = vstack


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other: along the third dimension."""
    _require_some("dstack", tensors)
    return cat(atleast_3d(list(tensors)), 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Vectors as columns, matrices side by side."""
    return cat([reshape(x, -1, 1) if x.ndim < 2 else x for x in tensors], 1)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """For vectors of coordinates the coordinates of every point of their grid.

    Raises:
        RuntimeError: more than one dimension, or an `indexing` other than "ij" and "xy".
    """
    vectors = list(tensors[0]) if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else list(tensors)
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for x in vectors:
        if x.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {x.ndim}D")
    swapped = indexing == "xy" and len(vectors) > 1
    if swapped:
        vectors[:2] = vectors[1::-1]
    shape = [x.numel() for x in vectors]
    grids = [
        expand(reshape(x, [-1 if i == at else 1 for i in range(len(shape))]), shape) for at, x in enumerate(vectors)
    ]
    if swapped:
        grids[:2] = grids[1::-1]
    return tuple(grids)


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """A number of pieces whose sizes differ by one at most, or pieces cut at indices."""
    if input.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    axis = _checked_dim(dim, input.ndim)
    size = input.shape[axis]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        if indices_or_sections <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {indices_or_sections}")
        small, larger = divmod(size, indices_or_sections)
        return split(input, [small + (i < larger) for i in range(indices_or_sections)], axis)
    bounds = [slice(None, at).indices(size)[1] for at in indices_or_sections]
    pieces = zip([0, *bounds], [*bounds, size], strict=True)
    return tuple([narrow(input, axis, low, max(high - low, 0)) for low, high in pieces])


def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Differences of neighbours along a dimension, n times over."""
    if input.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    axis = _checked_dim(dim, input.ndim)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n == 0:
        return clone(input)
    parts = [x for x in (prepend, input, append) if x is not None]
    x = cat(parts, axis) if len(parts) > 1 else input
    for _ in range(min(n, x.shape[axis])):
        count = x.shape[axis] - 1
        later, earlier = narrow(x, axis, 1, count), narrow(x, axis, 0, count)
        x = later ^ earlier if x.dtype is dtypes.bool else later - earlier
    return x
