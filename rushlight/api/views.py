"""Views and rearrangements in PyTorch's spelling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import dtypes
from rushlight.api.reduce import axes_of
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd.modes import modes
from rushlight.ops import create, define, views as ops
from rushlight.ops.define import cast
from rushlight.ops.inplace import check_writable, write
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
        if known == 0:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {shape} because the unspecified dimension size -1 "
                "can be any value and is ambiguous"
            )
        if total % known:
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
    if array.dtype == dtype.numpy:
        return ops.alias(self)
    if array.dtype.itemsize != itemsize and array.ndim == 0:
        raise RuntimeError(f"self.dim() cannot be 0 to view {self.dtype} as {dtype} (different element sizes)")
    if array.dtype.itemsize < itemsize and array.shape[-1] * array.dtype.itemsize % itemsize:
        raise RuntimeError(
            f"self.size(-1) must be divisible by {itemsize // array.dtype.itemsize} to view {self.dtype} as {dtype} "
            f"(different element sizes), but got {array.shape[-1]}"
        )
    try:
        result = wrap(array.view(dtype.numpy))
    except ValueError as error:
        raise RuntimeError(
            f"self.stride(-1) must be 1 to view {self.dtype} as {dtype} (different element sizes): {error}"
        ) from None
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


def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions swapped."""
    if input.ndim < 2:
        raise RuntimeError(
            f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {input.ndim}-D tensor."
        )
    return transpose(input, -2, -1)


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


def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """`expand` to a shape given as a sequence."""
    return expand(input, size)


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
        complaints = [define._broadcast_complaint(a, b) for a, b in itertools.combinations(shapes, 2)]
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
    return ops.select(input, axis=axis, position=index.__index__() % size)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` elements of a dimension from `start` on."""
    if input.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    axis = _checked_dim(dim, input.ndim)
    if isinstance(start, Tensor) and (start.ndim or start._array.dtype.kind not in "iu"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    size, start = input._array.shape[axis], start.__index__()
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
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = _checked_dim(dim, input.ndim)
    return tuple([ops.select(input, axis=axis, position=i) for i in range(input._array.shape[axis])])


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive pieces: of one size (the last may be smaller) or of the sizes given.

    Raises:
        RuntimeError: the sizes do not add up to that of the dimension.
    """
    if tensor.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
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
    if input.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    total = input._array.shape[_checked_dim(dim, input.ndim)]
    return split(input, -(-total // chunks), dim) if total else split(input, [0] * chunks, dim)


unsafe_split, unsafe_chunk = split, chunk


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


def flip(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """Elements in reverse order along the dimensions; a copy."""
    axes = [_checked_dim(d, input.ndim) for d in _several("flip", args, dims)]
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"dim {axes[-1]} appears multiple times in the list of dims")
    return ops.flip(input, axes=tuple(axes) if input.ndim else ())


def fliplr(input: Tensor) -> Tensor:
    """`flip` of the second dimension."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """`flip` of the first dimension."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements moved along the dimensions; what leaves at the end comes in at the start."""
    if dims is None or isinstance(dims, Sequence) and not dims:
        return reshape(roll(reshape(input, -1), shifts, 0), input.shape)
    shifts, dims = (tuple(x) if isinstance(x, Sequence) else (x,) for x in (shifts, dims))
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    for shift, dim in zip(shifts, dims, strict=True):
        axis = _checked_dim(dim, input.ndim)
        size = input._array.shape[axis]
        at = -shift % size if size else 0
        input = cat([narrow(input, axis, at, size - at), narrow(input, axis, 0, at)], axis)
    return input


def repeat(self: Tensor, *args: Any, repeats: Any = None) -> Tensor:
    """Copies of the tensor laid side by side along each dimension; new ones come first."""
    repeats = _several("repeat", args, repeats)
    if len(repeats) < self.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    shape = (1,) * (len(repeats) - self.ndim) + tuple(self.shape)
    interleaved = [n for pair in zip((1,) * len(shape), shape, strict=True) for n in pair]
    spread = [n for pair in zip(repeats, shape, strict=True) for n in pair]
    if any(r < 0 for r in repeats):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats are {list(repeats)}")
    whole = [r * n for r, n in zip(repeats, shape, strict=True)]
    result = reshape(expand(reshape(self, interleaved), spread), whole)
    return result if result._view is None else ops.clone(result)


def tile(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """`repeat`, with missing leading repeats taken as 1."""
    repeats = _several("tile", args, dims)
    return repeat(input, [1] * (input.ndim - len(repeats)) + repeats)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices, zeros below `diagonal`."""
    _require_matrix("triu", input)
    return ops.triangle(input, diagonal=diagonal, upper=True)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices, zeros above `diagonal`."""
    _require_matrix("tril", input)
    return ops.triangle(input, diagonal=diagonal, upper=False)


def _require_matrix(name: str, input: Tensor) -> None:
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


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


def _as_written(name: str, function: Any) -> Any:
    """The form that writes the function's result, of the same shape, into the tensor."""

    def in_place(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return write(self, function(self, *args, **kwargs), name)

    in_place.__name__ = in_place.__qualname__ = name
    in_place.__doc__ = f"In-place form of `{name[:-1]}`."
    return in_place


def _as_reshaped(name: str, function: Any) -> Any:
    """The form that makes the tensor itself the view that the function gives."""

    def in_place(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        check_writable(self, modes.grad)
        view = function(self, *args, **kwargs)
        self._array, self._node, self._output, self._cell = view._array, view._node, view._output, view._cell
        if self._view is not None:
            self._view = view._view
        self._cell[0] += 1
        if self._view is not None:
            self._view.seen = self._cell[0]
        return self

    in_place.__name__ = in_place.__qualname__ = name
    in_place.__doc__ = f"In-place form of `{name[:-1]}`: the tensor itself gets the new shape."
    return in_place


tril_, triu_ = _as_written("tril_", tril), _as_written("triu_", triu)
squeeze_, unsqueeze_ = _as_reshaped("squeeze_", squeeze), _as_reshaped("unsqueeze_", unsqueeze)
transpose_, t_ = _as_reshaped("transpose_", transpose), _as_reshaped("t_", t)
swapaxes_, swapdims_ = _as_reshaped("swapaxes_", transpose), _as_reshaped("swapdims_", transpose)


def _options(self: Tensor, options: dict[str, Any]) -> dict[str, Any]:
    """`dtype` and `device` of this tensor unless given, and `requires_grad`."""
    return {
        "dtype": options.get("dtype") or self.dtype, "device": options.get("device") or self.device,
        "requires_grad": options.get("requires_grad", False),
    }  # fmt: skip


def new_zeros(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """Zeros of this tensor's dtype."""
    return create.zeros(*(size or (options["size"],)), **_options(self, options))


def new_ones(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """Ones of this tensor's dtype."""
    return create.ones(*(size or (options["size"],)), **_options(self, options))


def new_empty(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """A tensor of this tensor's dtype whose values are not set."""
    return create.empty(*(size or (options["size"],)), **_options(self, options))


def new_full(self: Tensor, size: Any, fill_value: Any, **options: Any) -> Tensor:
    """One value, in this tensor's dtype."""
    return create.full(create.shape_of((size,)), fill_value, **_options(self, options))


def new_tensor(self: Tensor, data: Any, **options: Any) -> Tensor:
    """`tensor(data)` in this tensor's dtype."""
    return create.tensor(data, **_options(self, options))
