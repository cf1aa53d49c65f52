"""Views and rearrangements in PyTorch's spelling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import devices, dtypes
from rushlight.arrays import symbolic as symbolic_arrays
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.ops import define, views as ops
from rushlight.ops.create import shape_of
from rushlight.ops.define import cast
from rushlight.ops.inplace import write
from rushlight.tensor import Tensor, _checked_dim, wrap


def _target_shape(input: Tensor, size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of a reshape, with -1 worked out.

    Raises:
        RuntimeError: the number of elements does not fit, or there are several -1.
    """
    if len(size) == 1 and not isinstance(size[0], int):
        size = tuple(size[0]) if isinstance(size[0], (Sequence, Tensor)) else size
    shape, total = [n.__index__() for n in size], input._array.size
    if -1 in shape:
        if shape.count(-1) > 1:
            raise RuntimeError("only one dimension can be inferred")
        known = math.prod(n for n in shape if n != -1)
        if known == 0:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {shape} because the unspecified dimension size -1 "
                "can be any value and is ambiguous"
            )
        if total % known:
            raise RuntimeError(f"shape '{shape}' is invalid for input of size {total}")
        shape[shape.index(-1)] = total // known
    elif math.prod(shape) != total or any(n < 0 for n in shape):
        raise RuntimeError(f"shape '{shape}' is invalid for input of size {total}")
    return tuple(shape)


def _shares_when_reshaped(array: Any, shape: tuple[int, ...]) -> bool:
    """Whether NumPy can give that shape without copying."""
    if type(array) is not ndarray or array.flags.c_contiguous or array.size == 0:
        return True
    reshaped = array.reshape(shape)
    return np.may_share_memory(reshaped, array)


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape: a view where that is possible, else a copy. One size may be -1."""
    target = _target_shape(input, shape)
    if _shares_when_reshaped(input._array, target):
        return ops.reshape(input, shape=target)
    return ops.reshape_copy(input, shape=target)


def view(self: Tensor, *shape: Any) -> Tensor:
    """A view in another shape, or of the same memory in another dtype.

    Raises:
        RuntimeError: the strides do not allow it without copying.
    """
    if len(shape) == 1 and isinstance(shape[0], dtypes.dtype):
        return _view_dtype(self, shape[0])
    target = _target_shape(self, shape)
    if not _shares_when_reshaped(self._array, target):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return ops.reshape(self, shape=target)


def _view_dtype(self: Tensor, dtype: dtypes.dtype) -> Tensor:
    result = wrap(self._array.view(dtype.numpy))
    define.note_view(result, self, ops.alias.op, None)
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
    return reshape(input, (-1,))


def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order."""
    dims = tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    if len(dims) != input.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(dims)}"
        )
    axes = tuple([_checked_dim(d, input.ndim) for d in dims])
    if len(set(axes)) != len(axes):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return ops.permute(input, axes=axes)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions swapped."""
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
    return ops.transpose(input, axis0=0, axis1=1) if input.ndim == 2 else ops.alias(input)


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved from the source to the destination positions, the others in their order."""
    source = (source,) if isinstance(source, int) else source
    destination = (destination,) if isinstance(destination, int) else destination
    n = input.ndim
    sources = [_checked_dim(d, n) for d in source]
    order = [d for d in range(n) if d not in sources]
    for at, d in sorted(zip([_checked_dim(d, n) for d in destination], sources, strict=True)):
        order.insert(at, d)
    return permute(input, order)


moveaxis = movedim


def expand(self: Tensor, *sizes: Any) -> Tensor:
    """Dimensions of size 1 repeated without copying; -1 leaves a size as it is; new ones come first.

    Raises:
        RuntimeError: a size that is not 1 would have to change.
    """
    sizes = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes
    shape = self._array.shape
    if len(sizes) < len(shape):
        raise RuntimeError(
            f"expand(torch.FloatTensor{{{list(shape)}}}, size={list(sizes)}): the number of sizes provided ({len(sizes)}) "
            f"must be greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    extra = len(sizes) - len(shape)
    target = []
    for i, n in enumerate(sizes):
        own = shape[i - extra] if i >= extra else 1
        n = int(n)
        if n == -1 and i < extra:
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing dimension {i}"
            )
        if n != -1 and own != n and own != 1:
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({own}) at non-singleton dimension "
                f"{i}.  Target sizes: {list(sizes)}.  Tensor sizes: {list(shape)}"
            )
        target.append(own if n == -1 else n)
    return ops.expand(self, shape=tuple(target))


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`expand` to the other's shape."""
    return expand(self, other.shape)


broadcast_to = expand


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All tensors expanded to their common shape."""
    shape = np.broadcast_shapes(*(x._array.shape for x in tensors))
    return tuple([expand(x, shape) for x in tensors])


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without dimensions of size 1: all of them, or those named that have that size."""
    shape = input._array.shape
    if dim is None:
        axes = tuple([i for i, n in enumerate(shape) if n == 1])
    else:
        dims = (dim,) if isinstance(dim, int) else dim
        axes = tuple([a for a in (_checked_dim(d, len(shape)) for d in dims) if shape and shape[a] == 1])
    return ops.squeeze(input, axes=axes)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 at `dim`."""
    return ops.unsqueeze(input, axis=_checked_dim(dim, input._array.ndim + 1))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one index of a dimension, without that dimension."""
    if input.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = _checked_dim(dim, input.ndim)
    size = input._array.shape[axis]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    return ops.select(input, axis=axis, position=int(index) % size)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` elements of a dimension from `start` on."""
    if input.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    axis = _checked_dim(dim, input.ndim)
    size, start = input._array.shape[axis], int(start)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= start <= size:
        raise IndexError(f"start out of range (expected to be in range of [{-size}, {size}], but got {start})")
    start = start + size if start < 0 else start
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return ops.slice_(input, index=(slice(None),) * axis + (slice(start, start + length),))


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension."""
    if input.ndim == 0:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    axis = _checked_dim(dim, input.ndim)
    return tuple([ops.select(input, axis=axis, position=i) for i in range(input._array.shape[axis])])


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive pieces: of one size (the last may be smaller) or of the sizes given.

    Raises:
        RuntimeError: the sizes do not add up to that of the dimension.
    """
    axis = _checked_dim(dim, tensor.ndim)
    total = tensor._array.shape[axis]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or size == 0 and total:
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
        sizes = [min(size, total - i) for i in range(0, total, size or 1)] or [0]
    else:
        sizes = [int(n) for n in split_size_or_sections]
        if sum(sizes) != total:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {total} (input tensor's size at dimension "
                f"{dim}), but got split_sizes={sizes}"
            )
    pieces, start = [], 0
    for size in sizes:
        pieces.append(ops.slice_(tensor, index=(slice(None),) * axis + (slice(start, start + size),)))
        start += size
    return tuple(pieces)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of consecutive pieces of one size; the last may be smaller."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    total = input._array.shape[_checked_dim(dim, input.ndim)]
    return split(input, max(1, -(-total // chunks)), dim)


def _joined(name: str, tensors: Any) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, Sequence):
        raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}")
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError(f"{name}(): expected a non-empty list of Tensors")
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    if len({x._array.dtype for x in tensors}) > 1:
        target = dtypes.result_type_of_kinds(*[(x.dtype, x.ndim) for x in tensors]).numpy
        tensors = [x if x._array.dtype == target else cast(x, dtype=target) for x in tensors]
    return tensors


def cat(tensors: Any, dim: int = 0) -> Tensor:
    """The tensors one after another along a dimension.

    Raises:
        RuntimeError: their other sizes differ.
    """
    tensors = _joined("torch.cat", tensors)
    tensors = [x for x in tensors if x._array.shape != (0,)] or tensors[:1]
    first = tensors[0]
    if first.ndim == 0:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    axis = _checked_dim(dim, first.ndim)
    for i, x in enumerate(tensors[1:], 1):
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


def flip(input: Tensor, *dims: Any) -> Tensor:
    """Elements in reverse order along the dimensions; a copy."""
    dims = tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    return ops.flip(input, axes=tuple([_checked_dim(d, input.ndim) for d in dims]))


def repeat(self: Tensor, *repeats: Any) -> Tensor:
    """Copies of the tensor laid side by side along each dimension; new ones come first."""
    repeats = tuple(repeats[0]) if len(repeats) == 1 and isinstance(repeats[0], Sequence) else repeats
    if len(repeats) < self.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    shape = (1,) * (len(repeats) - self.ndim) + tuple(self.shape)
    interleaved = [n for pair in zip((1,) * len(shape), shape, strict=True) for n in pair]
    spread = [n for pair in zip(repeats, shape, strict=True) for n in pair]
    return reshape(expand(reshape(self, interleaved), spread), [r * n for r, n in zip(repeats, shape, strict=True)])


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices, zeros below `diagonal`."""
    return ops.triangle(input, diagonal=diagonal, upper=True)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices, zeros above `diagonal`."""
    return ops.triangle(input, diagonal=diagonal, upper=False)


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy that autograd follows."""
    return ops.clone(input)


def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself if its elements lie in order in memory, else a copy where they do."""
    array = self._array
    return self if type(array) is SymbolicArray or array.flags.c_contiguous else ops.clone(self)


def detach(input: Tensor) -> Tensor:
    """`Tensor.detach` as a function."""
    return input.detach()


# ---------------------------------------------------------------- dtype and device


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The tensor in another dtype or on another device; itself if nothing changes and `copy` is not set.

    Args: `to(dtype)`, `to(device, dtype)` or `to(other)`, and `non_blocking`, `copy`.
    """
    dtype, device, copy = kwargs.get("dtype"), kwargs.get("device"), kwargs.get("copy", False)
    for argument in args:
        if isinstance(argument, dtypes.dtype):
            dtype = argument
        elif isinstance(argument, (str, devices.device)):
            device = argument
        elif isinstance(argument, Tensor):
            dtype, device = argument.dtype, argument.device
    if device is not None:
        wanted = devices.require(device).type
        if wanted == "meta" and self.device.type != "meta":
            return wrap(symbolic_arrays.meta(self._array.shape, self._array.dtype))
        if wanted == "cpu" and self.device.type == "meta":
            raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    numpy_dtype = self._array.dtype if dtype is None else dtypes.as_numpy(dtype)
    if numpy_dtype == self._array.dtype:
        return ops.clone(self) if copy else self
    return converted(self, numpy_dtype)


def converted(x: Tensor, numpy_dtype: np.dtype) -> Tensor:
    """A cast that autograd follows, where the new dtype can have gradients."""
    if numpy_dtype.kind in "iub" and x._needs_grad:
        x = x.detach()
    return cast(x, dtype=numpy_dtype)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """In the other's dtype."""
    return to(self, other.dtype)


def _in_dtype(name: str, dtype: dtypes.dtype) -> Any:
    def method(self: Tensor) -> Tensor:
        return to(self, dtype)

    method.__name__ = name
    method.__doc__ = f"`to({dtype})`."
    return method


half, float, double, bfloat16 = (
    _in_dtype(n, d)
    for n, d in (
        ("half", dtypes.float16), ("float", dtypes.float32), ("double", dtypes.float64), ("bfloat16", dtypes.bfloat16)
    )
)  # fmt: skip
int, long, short, char, byte, bool = (
    _in_dtype(n, d)
    for n, d in (
        ("int", dtypes.int32), ("long", dtypes.int64), ("short", dtypes.int16), ("char", dtypes.int8),
        ("byte", dtypes.uint8), ("bool", dtypes.bool),
    )
)  # fmt: skip


def cpu(self: Tensor) -> Tensor:
    """On the CPU."""
    return to(self, "cpu")


# ---------------------------------------------------------------- in place


def copy_(self: Tensor, src: Any, non_blocking: Any = False) -> Tensor:
    """Writes `src`, broadcast and cast, into this tensor."""
    return write(self, src, "copy_")


def fill_(self: Tensor, value: Any) -> Tensor:
    """Writes one value everywhere."""
    return write(self, value, "fill_")


def zero_(self: Tensor) -> Tensor:
    """Writes zeros."""
    return write(self, 0, "zero_")


def new_zeros(self: Tensor, *size: Any, dtype: Any = None, **_: Any) -> Tensor:
    """Zeros of this tensor's dtype."""
    from rushlight.ops.create import zeros

    return zeros(*size, dtype=dtype or self.dtype)


def new_ones(self: Tensor, *size: Any, dtype: Any = None, **_: Any) -> Tensor:
    """Ones of this tensor's dtype."""
    from rushlight.ops.create import ones

    return ones(*size, dtype=dtype or self.dtype)


def new_full(self: Tensor, size: Any, fill_value: Any, dtype: Any = None, **_: Any) -> Tensor:
    """One value, in this tensor's dtype."""
    from rushlight.ops.create import full

    return full(shape_of((size,)), fill_value, dtype=dtype or self.dtype)


def new_tensor(self: Tensor, data: Any, dtype: Any = None, **_: Any) -> Tensor:
    """`tensor(data)` in this tensor's dtype."""
    from rushlight.ops.create import tensor

    return tensor(data, dtype=dtype or self.dtype)
