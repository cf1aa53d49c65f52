"""Parts of a tensor, as views: one index, a range, pieces, diagonals, windows, any strides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy import ndarray

from rushlight.api.forms import shown_as
from rushlight.api.views import permute, reshape
from rushlight.ops import views as ops
from rushlight.tensor import Tensor, _checked_dim


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one index of a dimension, without that dimension."""
    if input.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = _checked_dim(dim, input.ndim)
    size = input._array.shape[axis]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {axis}"
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


@shown_as("UnbindBackward0")
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension."""
    if input.ndim == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = _checked_dim(dim, input.ndim)
    return tuple([ops.select(input, axis=axis, position=i) for i in range(input._array.shape[axis])])


@shown_as("SplitBackward0")
def split(
    tensor: Tensor, split_size_or_sections: Any = None, dim: int = 0, *, split_size: int | None = None
) -> tuple[Tensor, ...]:
    """Views of consecutive pieces: of one size (the last may be smaller) or of the sizes given.

    Raises:
        RuntimeError: the sizes do not add up to that of the dimension.
    """
    if tensor.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    axis = _checked_dim(dim, tensor.ndim)
    total = tensor._array.shape[axis]
    split_size_or_sections = split_size_or_sections if split_size is None else split_size
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size == 0 and total:
            raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {total}")
        if size < 0:
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
        sizes = [min(size, total - i) for i in range(0, total, size or 1)] or [0]
    else:
        sizes = [int(n) for n in split_size_or_sections]
        if any(n < 0 for n in sizes):
            raise RuntimeError(
                f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={sizes}"
            )
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


@shown_as("SplitWithSizesBackward0")
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive pieces of the sizes given."""
    return split(input, list(split_sizes), dim)


unsafe_split_with_sizes = split_with_sizes


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of consecutive pieces of one size; the last may be smaller."""
    if input.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    total = input._array.shape[_checked_dim(dim, input.ndim)]
    return split(input, -(-total // chunks), dim) if total else split(input, [0] * chunks, dim)


unsafe_split, unsafe_chunk = split, chunk


def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, *, indices: Any = None, sections: int | None = None,
    tensor_indices_or_sections: Tensor | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """A number of pieces whose sizes differ by one at most, or pieces cut at indices."""
    named = [x for x in (indices, sections, tensor_indices_or_sections) if x is not None]
    indices_or_sections = named[0] if named else indices_or_sections
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


def _cut_along(name: str, input: Tensor, axis: int, least: int, given: Any) -> tuple[Tensor, ...]:
    """`hsplit` and its like: `tensor_split` along a fixed dimension, into equal pieces if their number is given."""
    if input.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {input.ndim} "
            "dimensions!"
        )
    size = input.shape[axis]
    if isinstance(given, int) and (given == 0 or size % given):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {axis}, but the size of the dimension {size} is not "
            f"divisible by the split_size {given}!"
        )
    return tensor_split(input, given, axis)


def hsplit(input: Tensor, *args: Any, sections: int | None = None, indices: Any = None) -> tuple[Tensor, ...]:
    """Pieces along the second dimension, of vectors along their first."""
    return _cut_along("hsplit", input, int(input.ndim > 1), 1, _sections("hsplit", args, sections, indices))


def vsplit(input: Tensor, *args: Any, sections: int | None = None, indices: Any = None) -> tuple[Tensor, ...]:
    """Pieces along the first dimension of at least two."""
    return _cut_along("vsplit", input, 0, 2, _sections("vsplit", args, sections, indices))


def dsplit(input: Tensor, *args: Any, sections: int | None = None, indices: Any = None) -> tuple[Tensor, ...]:
    """Pieces along the third dimension."""
    return _cut_along("dsplit", input, 2, 3, _sections("dsplit", args, sections, indices))


def _sections(name: str, args: tuple[Any, ...], sections: int | None, indices: Any) -> Any:
    given = args[0] if len(args) == 1 else args or (indices if sections is None else sections)
    if not isinstance(given, (int, Sequence)) or isinstance(given, str):
        raise TypeError(f"{name}() received an invalid combination of arguments - got (Tensor, {type(given).__name__})")
    return given if isinstance(given, int) else list(given)


# ---------------------------------------------------------------- diagonals, windows, any strides


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements at (i, i + offset) of two dimensions, along a new last dimension."""
    axis0, axis1 = _checked_dim(dim1, input.ndim), _checked_dim(dim2, input.ndim)
    if axis0 == axis1:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return ops.diagonal(input, offset=offset, axis0=axis0, axis1=axis1)


def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` elements along a dimension, every `step` elements; their elements are a new last dimension."""
    axis = _checked_dim(dimension, self.ndim)
    largest = self.shape[axis] if self.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > largest:
        raise RuntimeError(f"maximum size for tensor at dimension {axis} is {largest} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return ops.unfold(self, axis=axis, size=size, step=step)


def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """A view of the tensor's memory by sizes, strides and the place of the first element.

    Raises:
        RuntimeError: it would lead outside of the memory, or strides are negative.
    """
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(n < 0 for n in stride):
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}")
    offset = input.storage_offset() if storage_offset is None else storage_offset
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    last = offset + sum(step * (n - 1) for n, step in zip(size, stride, strict=True)) if 0 not in size else offset - 1
    memory = _memory(input)
    first = memory.storage_offset()
    if (offset < first or last >= first + memory.numel()) and input._base is not None:
        memory, first = _memory(input._base), 0
    if last >= first + memory.numel():
        itemsize = input.element_size()
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and itemsize {itemsize} "
            f"requiring a storage size of {(last + 1) * itemsize} are out of bounds for storage of size "
            f"{(first + memory.numel()) * itemsize}"
        )
    start = (min(offset - first, memory.numel()),)
    return ops.affine_view(memory, shape=size, start=start, steps=tuple([(step,) for step in stride]))


def _memory(x: Tensor) -> Tensor:
    """All the elements that lie between a tensor's first and last in memory, as a vector: of itself, or of its base."""
    array = x._array
    if isinstance(array, ndarray) and not array.flags.c_contiguous:
        order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
        if array.transpose(order).flags.c_contiguous:
            return reshape(permute(x, order), -1)
        if x._base is not None:
            return _memory(x._base)
        raise RuntimeError(
            "as_strided: the elements of this tensor, whose memory is NumPy's, lie apart from each other"
        )
    return reshape(x, -1)
