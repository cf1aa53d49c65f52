"""Shapes and axes in PyTorch's spelling: the same elements seen in another shape or order of dimensions.

Parts of a tensor are in `cutting`, elements put elsewhere in `rearranging`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import dtypes
from rushlight.api.memory import contiguous
from rushlight.api.reduce import axes_of, sum as sum_over
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd.history import note_view
from rushlight.ops import broadcasting, views as ops
from rushlight.tensor import Size, Tensor, _checked_dim, wrap


def _several(name: str, given: tuple[Any, ...], named: Any = None) -> list[int]:
    """Ints given one by one, as one sequence, or by a keyword.

    Raises:
        TypeError: something that is no int.
    """
    items = named if named is not None else given
    if len(given) == 1 and isinstance(given[0], (Sequence, np.ndarray)) and not isinstance(given[0], str):
        items = given[0]
    try:
        return [n.__index__() for n in items]
    except AttributeError:
        wrong = next(n for n in items if not hasattr(n, "__index__"))
        raise TypeError(f"{name}(): sizes and dimensions must be ints, but found {type(wrong).__name__}") from None


def _target_shape(input: Tensor, shape: list[int]) -> tuple[int, ...]:
    """The shape of a reshape, with -1 worked out.

    Raises:
        RuntimeError: the number of elements does not fit, or there are several -1.
    """
    total = input._array.size
    for n in shape:
        if n < -1:
            raise RuntimeError(f"invalid shape dimension {n}")
    if -1 in shape:
        if shape.count(-1) > 1:
            raise RuntimeError("only one dimension can be inferred")
        known = math.prod(n for n in shape if n != -1)
        if known == 0 == total:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {shape} because the unspecified dimension size -1 "
                "can be any value and is ambiguous"
            )
        if known == 0 or total % known:
            raise RuntimeError(f"shape '{shape}' is invalid for input of size {total}")
        shape[shape.index(-1)] = total // known
    elif math.prod(shape) != total:
        raise RuntimeError(f"shape '{shape}' is invalid for input of size {total}")
    return tuple(shape)


def _shares_when_reshaped(array: Any, shape: tuple[int, ...]) -> bool:
    """Whether NumPy can give that shape without copying."""
    if type(array) is not ndarray or array.flags.c_contiguous or array.size == 0:
        return True
    reshaped = array.reshape(shape)
    return np.may_share_memory(reshaped, array)


def reshape(input: Tensor, *args: Any, shape: Any = None) -> Tensor:
    """The same elements in another shape: a view where that is possible, else a copy. One size may be -1."""
    target = _target_shape(input, _several("reshape", args, shape))
    if _shares_when_reshaped(input._array, target):
        return ops.reshape(input, shape=target)
    return ops.reshape_copy(input, shape=target)


def view(self: Tensor, *args: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """A view in another shape, or of the same memory in another dtype.

    Raises:
        RuntimeError: the strides do not allow it without copying.
    """
    dtype = args[0] if len(args) == 1 and isinstance(args[0], dtypes.dtype) else dtype
    if dtype is not None:
        return _view_dtype(self, dtype)
    target = _target_shape(self, _several("view", args, size))
    if not _shares_when_reshaped(self._array, target):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return ops.reshape(self, shape=target)


def _view_dtype(self: Tensor, dtype: dtypes.dtype) -> Tensor:
    array, itemsize = self._array, dtype.itemsize
    mine, other = dtypes.legacy_name(self), dtypes.legacy_name(dtype)
    if array.dtype == dtype.numpy:
        return ops.alias(self)
    if array.dtype.itemsize != itemsize and array.ndim == 0:
        raise RuntimeError(f"self.dim() cannot be 0 to view {mine} as {other} (different element sizes)")
    if array.dtype.itemsize < itemsize and array.shape[-1] * array.dtype.itemsize % itemsize:
        raise RuntimeError(
            f"self.size(-1) must be divisible by {itemsize // array.dtype.itemsize} to view {mine} as {other} "
            f"(different element sizes), but got {array.shape[-1]}"
        )
    try:
        result = wrap(array.view(dtype.numpy))
    except ValueError:
        raise RuntimeError(
            f"self.stride(-1) must be 1 to view {mine} as {other} (different element sizes), but got {self.stride(-1)}"
        ) from None
    note_view(result, self, ops.alias.op, None)
    return result


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """A view in the other's shape."""
    return view(self, other.shape)


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """`reshape` to the other's shape."""
    return reshape(self, other.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from `start_dim` to `end_dim` as one."""
    if input.ndim == 0:
        return reshape(input, (1,))
    start, end = _checked_dim(start_dim, input.ndim), _checked_dim(end_dim, input.ndim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end:
        return input
    size = input._array.shape
    return reshape(input, (*size[:start], math.prod(size[start : end + 1]), *size[end + 1 :]))


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension as several; one of their sizes may be -1."""
    axis, shape = _checked_dim(dim, input.ndim), input._array.shape
    if not input.ndim:
        raise RuntimeError("unflatten got an unexpected error:\nDimension specified as 0 but tensor has no dimensions")
    sizes = list(sizes)
    if -1 in sizes:
        known = -math.prod(sizes)
        if known and shape[axis] % known == 0:
            sizes[sizes.index(-1)] = shape[axis] // known
    if math.prod(sizes) != shape[axis]:
        raise RuntimeError(
            f"unflatten: Provided sizes {sizes} don't multiply up to the size of dim {axis} ({shape[axis]}) in the input tensor"
        )
    return view(input, (*shape[:axis], *sizes, *shape[axis + 1 :]))


def ravel(input: Tensor) -> Tensor:
    """One dimension."""
    return reshape(contiguous(input), -1)


def permute(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """The dimensions in another order."""
    dims = _several("permute", args, dims)
    if len(dims) != input.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(dims)}"
        )
    axes = tuple([_checked_dim(d, input.ndim) for d in dims])
    if len(set(axes)) != len(axes):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return ops.permute(input, axes=axes)


def transpose(input: Tensor, dim0: Any, dim1: int | None = None) -> Tensor:
    """Two dimensions swapped. A tuple is NumPy's way, by which opt_einsum calls: all of them in that order."""
    if dim1 is None and not isinstance(dim0, int):
        return permute(input, dim0)
    ndim = input._array.ndim
    if ndim == 0:
        _checked_dim(dim0, 0), _checked_dim(dim1, 0)
        return ops.alias(input)
    return ops.transpose(input, axis0=_checked_dim(dim0, ndim), axis1=_checked_dim(dim1, ndim))


swapaxes = swapdims = transpose


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a vector as it is.

    Raises:
        RuntimeError: more than two dimensions.
    """
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return ops.t(input)


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved from the source to the destination positions, the others in their order."""
    source = (source,) if isinstance(source, int) else source
    destination = (destination,) if isinstance(destination, int) else destination
    n = input.ndim
    if len(source) != len(destination):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(source)} dims) should contain the same number "
            f"of dims as destination ({list(destination)} dims)"
        )
    sources, destinations = ([_checked_dim(d, n) for d in dims] for dims in (source, destination))
    for name, given, dims in (("source", source, sources), ("destination", destination, destinations)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(given)})")
    if n == 0:
        return ops.alias(input)
    order = [d for d in range(n) if d not in sources]
    for at, d in sorted(zip(destinations, sources, strict=True)):
        order.insert(at, d)
    return permute(input, order)


moveaxis = movedim


def expand(self: Tensor, *args: Any, size: Any = None, implicit: bool = False) -> Tensor:
    """Dimensions of size 1 repeated without copying; -1 leaves a size as it is; new ones come first.

    Raises:
        RuntimeError: a size that is not 1 would have to change.
    """
    sizes, shape = _several("expand", args, size), self._array.shape
    if len(sizes) < len(shape):
        raise RuntimeError(
            f"expand(torch.FloatTensor{{{list(shape)}}}, size={list(sizes)}): the number of sizes provided ({len(sizes)}) "
            f"must be greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    extra = len(sizes) - len(shape)
    target = []
    for i, n in enumerate(sizes):
        own = shape[i - extra] if i >= extra else 1
        if n < 0 and i < extra:
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing dimension {i}"
            )
        if n < -1 or n != -1 and own not in (n, 1):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({own}) at non-singleton dimension "
                f"{i}.  Target sizes: {list(sizes)}.  Tensor sizes: {list(shape)}"
            )
        target.append(own if n == -1 else n)
    return ops.expand(self, shape=tuple(target))


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`expand` to the other's shape."""
    return expand(self, other.shape)


def broadcast_to(input: Tensor, *args: Any, size: Any = None) -> Tensor:
    """`expand` to a shape."""
    return expand(input, *args, size=size)


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes have together.

    Raises:
        RuntimeError: they do not broadcast.
    """
    try:
        return Size(np.broadcast_shapes(*shapes))
    except ValueError:
        raise RuntimeError(
            f"Shape mismatch: objects cannot be broadcast to a single shape: {', '.join(str(list(s)) for s in shapes)}"
        ) from None


def common_shape(*tensors: Tensor) -> tuple[int, ...]:
    """`broadcast_shapes` of tensors, with the text that operations on them have."""
    shapes = [x._array.shape for x in tensors]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        complaints = [broadcasting.broadcast_complaint(a, b) for a, b in itertools.combinations(shapes, 2)]
        raise RuntimeError(next(filter(None, complaints))) from None


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """All tensors expanded to their common shape."""
    tensors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    shape = common_shape(*tensors)
    return tuple([expand(x, shape) for x in tensors])


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without dimensions of size 1: all of them, or those named that have that size."""
    shape = input._array.shape
    if dim is None:
        axes = tuple([i for i, n in enumerate(shape) if n == 1])
    else:
        axes = axes_of(dim, len(shape)) if not isinstance(dim, Sequence) or dim else ()
        axes = tuple([a for a in axes or () if shape[a] == 1])
    return ops.squeeze(input, axes=axes)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 at `dim`."""
    return ops.unsqueeze(input, axis=_checked_dim(dim, input._array.ndim + 1))


def detach(input: Tensor) -> Tensor:
    """`Tensor.detach` as a function."""
    return input.detach()


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: conjugates are computed, not marked."""
    return input


def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: negation is computed, not marked."""
    return input


def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The sums over what `expand` to this tensor's shape would repeat.

    Raises:
        RuntimeError: the size does not expand to this tensor's.
    """
    target, shape = tuple(_several("sum_to_size", size)), self._array.shape
    extra = len(shape) - len(target)
    if extra < 0 or any(n not in (1, shape[i + extra]) for i, n in enumerate(target)):
        raise RuntimeError(f"size {{{list(target)}}} is not expandable to size {{{list(shape)}}}.")
    if not target:
        return sum_over(self)
    if target == shape:
        return self
    repeated = tuple([i for i, n in enumerate(shape) if i < extra or target[i - extra] != n])
    return reshape(sum_over(self, repeated) if repeated else self, target)
