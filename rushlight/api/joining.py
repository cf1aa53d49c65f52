"""Several tensors as one: one after another, side by side, on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight import dtypes
from rushlight.api.cutting import narrow
from rushlight.api.forms import numpy_names
from rushlight.api.views import expand, reshape, unsqueeze
from rushlight.ops import views as ops
from rushlight.ops.copies import cast
from rushlight.tensor import Tensor, _checked_dim


def _joined(name: str, tensors: Any) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, Sequence):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    tensors = list(tensors)
    if not tensors:
        if name == "stack":
            raise RuntimeError("stack expects a non-empty TensorList")
        raise ValueError(f"{name}(): expected a non-empty list of Tensors")
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    if len({x._array.dtype for x in tensors}) > 1:
        target = dtypes.result_type_of_kinds(*[(x.dtype, x.ndim) for x in tensors]).numpy
        tensors = [x if x._array.dtype == target else cast(x, dtype=target) for x in tensors]
    return tensors


@numpy_names
def cat(tensors: Any, dim: int = 0) -> Tensor:
    """The tensors one after another along a dimension.

    Raises:
        RuntimeError: their other sizes differ.
    """
    tensors = _joined("torch.cat", tensors)
    for i, x in enumerate(tensors):
        if x.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    first = next((x for x in tensors if x._array.shape != (0,)), tensors[0])
    axis = _checked_dim(dim, first.ndim)
    if first.ndim > 1:  # PyTorch lets vectors without elements join anything
        nothing = (*first.shape[:axis], 0, *first.shape[axis + 1 :])
        tensors = [reshape(x, nothing) if x._array.shape == (0,) and 0 not in nothing[:axis] + nothing[axis + 1 :] else x for x in tensors]  # fmt: skip
    for i, x in enumerate(tensors):
        if x.ndim != first.ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {first.ndim} and {x.ndim}")
        for a, (m, n) in enumerate(zip(first.shape, x.shape, strict=True)):
            if a != axis and m != n:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size {m} but got size {n} for "
                    f"tensor number {i} in the list."
                )
    return ops.concat(*tensors, axis=axis)


concat = concatenate = cat


@numpy_names
def stack(tensors: Any, dim: int = 0) -> Tensor:
    """The tensors, all of one shape, along a new dimension."""
    tensors = _joined("stack", tensors)
    for i, x in enumerate(tensors):
        if x.shape != tensors[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0].shape)} at entry 0 and "
                f"{list(x.shape)} at entry {i}"
            )
    return ops.stack(*tensors, axis=_checked_dim(dim, tensors[0].ndim + 1))


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
        return ops.clone(input)
    parts = [x for x in (prepend, input, append) if x is not None]
    x = cat(parts, axis) if len(parts) > 1 else input
    for _ in range(min(n, x.shape[axis])):
        count = x.shape[axis] - 1
        later, earlier = narrow(x, axis, 1, count), narrow(x, axis, 0, count)
        x = later ^ earlier if x.dtype is dtypes.bool else later - earlier
    return x
