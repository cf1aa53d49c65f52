"""The same elements elsewhere: turned around, repeated, cut to triangles, laid out on diagonals. All of these copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight.api.creation import new_zeros
from rushlight.api.cutting import diagonal, narrow
from rushlight.api.forms import of_values, shown_as
from rushlight.api.joining import cat, meshgrid, stack
from rushlight.api.views import _several, expand, reshape, transpose
from rushlight.ops import create, index as index_ops, views as ops
from rushlight.ops.inplace import write
from rushlight.tensor import Tensor, _checked_dim, wrap


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


@shown_as("RollBackward0")
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements moved along the dimensions; what leaves at the end comes in at the start."""
    if isinstance(shifts, Sequence) and not shifts:
        raise RuntimeError("`shifts` required")
    if dims is None or isinstance(dims, Sequence) and not dims:
        return reshape(roll(reshape(input, -1), shifts, 0), input.shape)
    if not input.ndim:
        given = dims[0] if isinstance(dims, Sequence) else dims
        raise IndexError(f"Dimension specified as {given} but tensor has no dimensions")
    shifts, dims = (tuple(x) if isinstance(x, Sequence) else (x,) for x in (shifts, dims))
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    for shift, dim in zip(shifts, dims, strict=True):
        axis = _checked_dim(dim, input.ndim)
        size = input._array.shape[axis]
        at = -shift % size if size else 0
        input = cat([narrow(input, axis, at, size - at), narrow(input, axis, 0, at)], axis)
    return input


@shown_as("RepeatBackward0")
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
    return ops.triu(input, diagonal=diagonal)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices, zeros above `diagonal`."""
    _require_matrix("tril", input)
    return ops.tril(input, diagonal=diagonal)


def _require_matrix(name: str, input: Tensor) -> None:
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


@shown_as("Rot90Backward0")
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by 90 degrees k times, from the first of two dimensions towards the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == input.ndim:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    first, second = (_checked_dim(d, input.ndim) for d in dims)
    if k % 4 == 1:
        return transpose(flip(input, second), first, second)
    if k % 4 == 2:
        return flip(input, (first, second))
    if k % 4 == 3:
        return transpose(flip(input, first), first, second)
    return ops.clone(input)


def repeat_interleave(input: Tensor, *args: Any, repeats: Any = None, dim: int | None = None, output_size: int | None = None) -> Tensor:  # fmt: skip
    """Each element (or slice of a dimension) repeated in place; `repeats` alone gives the positions that does.

    Raises:
        RuntimeError: negative repeats, or not as many as there are elements.
    """
    if args:
        repeats, dim, output_size = (*args, *(repeats, dim, output_size)[len(args) :])
    if repeats is None:
        return _positions(input, output_size)
    if isinstance(repeats, int) and repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    x = reshape(input, -1) if dim is None else input
    axis = _checked_dim(dim or 0, x.ndim)
    if not x.ndim:
        x = reshape(x, 1)
    size = x.shape[axis]
    if isinstance(repeats, int):
        return index_ops.take(x, np.repeat(np.arange(size), repeats), axis=axis)
    if not isinstance(repeats, Tensor):
        repeats = create.tensor(repeats, dtype=create.dtypes.int64)
    if repeats.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if repeats.numel() == 1:
        repeats = expand(reshape(repeats, -1), size)
    elif repeats.numel() != size:
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{repeats.numel()} and input.size(0) = {size}"
        )
    return index_ops.take(x, _positions(repeats, output_size), axis=axis)


@of_values
def _positions(repeats: Tensor, output_size: int | None) -> Tensor:
    """0 repeats[0] times, 1 repeats[1] times, ..."""
    if repeats.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    counts = repeats._host_values("repeat_interleave()")
    if counts.dtype not in (np.int32, np.int64):
        raise create.dtypes.no_kernel("repeat_interleave_cpu", repeats)
    if (counts < 0).any():
        raise RuntimeError("repeats can not be negative")
    positions = np.repeat(np.arange(counts.size, dtype=counts.dtype), counts)
    if output_size is not None and output_size != positions.size:
        raise RuntimeError("allocated size does not match required size")
    return create.beside(repeats, positions)


# ---------------------------------------------------------------- diagonals


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Of a vector the matrix with it on a diagonal; of a matrix its diagonal, a copy."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    return ops.clone(ops.diagonal(input, offset=diagonal, axis0=0, axis1=1))


@shown_as("DiagEmbedBackward0")
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros with the input's last dimension on the diagonals of two new ones."""
    ndim = input.ndim + 1
    axis0, axis1 = _checked_dim(dim1, ndim), _checked_dim(dim2, ndim)
    if axis0 == axis1:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    *shape, size = input.shape
    for axis in sorted((axis0, axis1)):
        shape.insert(axis, size + abs(offset))
    out = new_zeros(input, shape)
    write(diagonal(out, offset, axis0, axis1), input, "diag_embed")
    return out


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with the elements of a tensor on a diagonal."""
    return diag_embed(reshape(input, -1), offset)


# ---------------------------------------------------------------- all ways to choose


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All ways to choose r elements of a vector, in order, one in each row."""
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return create.empty(0, dtype=input.dtype, device=input.device)
    grids = np.stack(np.meshgrid(*[np.arange(input.numel())] * r, indexing="ij"), -1).reshape(-1, r)
    steps = np.diff(grids, axis=1)
    chosen = grids[np.all(steps >= 0 if with_replacement else steps > 0, axis=1)]
    return index_ops.take(input, chosen, axis=0)


def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations of one element of each vector, one in each row; of one vector itself."""
    tensors = tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    for x in tensors:
        if x.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return reshape(stack(meshgrid(*tensors), -1), -1, len(tensors))
