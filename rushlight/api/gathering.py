"""Reading by index: `gather`, `take`, what a mask selects, where elements are not zero."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api.forms import of_values, shown_as
from rushlight.api.views import common_shape
from rushlight.ops import copies, elementwise, index as ops
from rushlight.ops.bounds import require_range
from rushlight.ops.create import beside
from rushlight.tensor import Tensor, _checked_dim, wrap


def require_index(name: str, index: Any) -> Tensor:
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}(): argument 'index' must be Tensor, not {type(index).__name__}")
    if index._array.dtype not in (np.int64, np.int32) and index._array.size:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index, but got {index.dtype}")
    return index


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on: reads along `dim` by an index of the result's shape.

    Raises:
        RuntimeError: an index out of range, or of another number of dimensions.
    """
    require_index("gather", index)
    axis = _checked_dim(dim, input.ndim)
    if not index._array.size:
        return input.reshape(-1)[:0].reshape(index.shape)
    if index.ndim != input.ndim and input.ndim * index.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for i, (n, m) in enumerate(zip(index.shape, input.shape, strict=False)):
        if i != axis and n > m:
            raise RuntimeError(
                f"Size does not match at dimension {i} expected index {list(index.shape)} to be no larger than self "
                f"{list(input.shape)} apart from dimension {axis}"
            )
    check_range("gather", index, input.shape[axis] if input.ndim else 1, axis)
    if index._array.dtype.kind not in "iu":
        index = copies.cast(index, dtype=np.dtype(np.int64))
    if input.ndim * index.ndim == 0:
        return ops.gather(input.reshape(-1), index.reshape(-1), axis=0).reshape(index.shape)
    return ops.gather(input, index, axis=axis)


def check_range(name: str, index: Tensor, size: int, axis: int) -> None:
    """Raises PyTorch's error for an index that is not within a dimension."""
    require_range(
        name, index, 0, size,
        lambda wrong: RuntimeError(f"index {wrong} is out of bounds for dimension {axis} with size {size} ({name})"),
    )  # fmt: skip


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of a dimension that a vector of indices names."""
    require_index("index_select", index)
    axis = _checked_dim(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    size = input.shape[axis] if input.ndim else 1
    require_range("index_select", index, 0, size, lambda _: IndexError("index out of range in self"))
    if not input.ndim:
        return ops.take(input.reshape(1), index.reshape(-1), axis=0).reshape(())
    return ops.take(input, index.reshape(-1), axis=axis)


@shown_as("TakeBackward0")
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened input at the indices, in the shape of the indices. Negative ones count from the end.

    Raises:
        IndexError: an index out of range.
    """
    require_long("take", index)
    if index.numel() and not input.numel():
        raise IndexError("take(): tried to take from an empty tensor")
    require_flat_range("take", index, input.numel())
    return ops.take(input.reshape(-1), index, axis=0)


def require_long(name: str, index: Tensor) -> None:
    if index._array.dtype != np.int64:
        kind = dtypes.legacy_name(index)
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {kind}")


def require_flat_range(name: str, index: Tensor, size: int) -> None:
    """Raises PyTorch's error for an index outside of a flattened tensor."""
    require_range(
        name, index, -size, size,
        lambda wrong: IndexError(f"out of range: tried to access index {wrong} on a tensor of {size} elements."),
    )  # fmt: skip


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with broadcasting; without `dim`, in the flattened input. Indices wrap around."""
    if indices._array.dtype != np.int64:
        kind = dtypes.legacy_name(indices)
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {kind}")
    if dim is None:
        return take_along_dim(input.reshape(-1), indices.reshape(-1), 0)
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    axis = _checked_dim(dim, input.ndim)
    flat = [tuple([1 if i == axis else n for i, n in enumerate(x.shape)]) for x in (input, indices)]
    shape = list(np.broadcast_shapes(*flat))
    shape[axis] = input.shape[axis]
    full = input.expand(shape)
    shape[axis] = indices.shape[axis]
    return ops.gather(full, elementwise.remainder(indices.expand(shape), max(input.shape[axis], 1)), axis=axis)


@shown_as("MaskedSelectBackward0")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, in one dimension."""
    if mask._array.dtype != np.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    if input.ndim == mask.ndim == 0:
        input = input.reshape(1)
    shape = common_shape(input, mask)
    return ops.index_get(input.expand(shape), mask.expand(shape), spec=(("array", 0),))


@of_values
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of elements that are not zero: (count, dimensions), or a tuple of one index vector a dimension."""
    found = np.nonzero(np.atleast_1d(input._host_values("nonzero()")))
    if as_tuple:
        return tuple([beside(input, at) for at in found])
    return beside(input, np.stack(found).T if input.ndim else np.empty((len(found[0]), 0), np.int64))


def argwhere(input: Tensor) -> Tensor:
    """The indices of elements that are not zero: (count, dimensions)."""
    return nonzero(input)


@of_values
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first `size` rows of `nonzero`, with rows of `fill_value` where there are not as many."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    rows = nonzero(input)._host_values("nonzero_static()")[:size]
    out = np.full((size, input.ndim), fill_value, np.int64)
    out[: len(rows)] = rows
    return beside(input, out)


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates, in an array of a shape, of indices into it flattened; they wrap around.

    Raises:
        TypeError: indices that are no integers. ValueError: a negative size.
    """
    if indices._array.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"'shape' cannot have negative values, but got {shape}")
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    quotients = [elementwise.floor_divide(indices, step) for step in strides]
    return tuple([elementwise.remainder(q, n) for q, n in zip(quotients, shape, strict=True)])
