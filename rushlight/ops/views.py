"""Views, which share memory, and rearrangements, which copy.

Arguments are normal here: full shapes, non-negative axes. PyTorch's spellings are in `rushlight.api.views`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.arrays.numpy import affine_positions
from rushlight.arrays.symbolic import normalize_index
from rushlight.ops.broadcasting import sum_to_shape
from rushlight.ops.define import op


@op(view=True, waist="reshape", grad_name="View")
def reshape(xp, x, *, shape):
    """A view, where NumPy can give one; else a copy. `api.views` tells the two apart."""
    return xp.reshape(x, shape)


reshape.derivative(x=lambda xp, grad, x_shape: xp.reshape(grad, x_shape))


@op(grad_name="UnsafeView", wide=False, linear=True)
def reshape_copy(xp, x, *, shape):
    """A reshape that has to copy."""
    return xp.reshape(x, shape)


reshape_copy.derivative(x=lambda xp, grad, x_shape: xp.reshape(grad, x_shape))


@op(view=True, waist="permute_dims", grad_name="Permute")
def permute(xp, x, *, axes):
    return xp.permute_dims(x, axes)


permute.derivative(x=lambda xp, grad, axes: xp.permute_dims(grad, tuple(int(i) for i in np.argsort(axes))))


@op(view=True, grad_name="Transpose")
def transpose(xp, x, *, axis0, axis1):
    return xp.permute_dims(x, swapped(x.ndim, axis0, axis1))


@op(view=True, grad_name="T")
def t(xp, x):
    """The transpose of a matrix; a vector as it is."""
    return xp.permute_dims(x, tuple(reversed(range(x.ndim))))


t.derivative(x=lambda xp, grad: xp.permute_dims(grad, tuple(reversed(range(len(grad.shape))))))


def swapped(ndim: int, axis0: int, axis1: int) -> tuple[int, ...]:
    axes = list(range(ndim))
    axes[axis0], axes[axis1] = axis1, axis0
    return tuple(axes)


transpose.derivative(x=lambda xp, grad, axis0, axis1: xp.permute_dims(grad, swapped(len(grad.shape), axis0, axis1)))


@op(view=True, waist="broadcast_to", grad_name="Expand")
def expand(xp, x, *, shape):
    return xp.broadcast_to(x, shape)


expand.derivative(x=lambda xp, grad, x_shape: sum_to_shape(xp, grad, x_shape))


@op(view=True, grad_name="Squeeze")
def squeeze(xp, x, *, axes):
    """Without the given axes of size 1."""
    return xp.reshape(x, tuple([n for i, n in enumerate(x.shape) if i not in axes]))


squeeze.derivative(x=lambda xp, grad, x_shape: xp.reshape(grad, x_shape))


@op(view=True, grad_name="Unsqueeze")
def unsqueeze(xp, x, *, axis):
    return xp.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


unsqueeze.derivative(x=lambda xp, grad, x_shape: xp.reshape(grad, x_shape))


def embed(xp: Any, grad: Any, shape: tuple[int, ...], index: Any) -> Any:
    """Zeros of a shape, with `grad` where a basic index points: the derivative of slicing."""
    return xp.slice_assign(xp.full(shape, 0, grad.dtype), grad, index=index)


@op(view=True, waist="slice", grad_name="Slice")
def slice_(xp, x, *, index):
    """Basic indexing: `index` is a tuple of ints, slices, None and Ellipsis."""
    return xp.slice(x, index)


slice_.derivative(x=lambda xp, grad, x_shape, index: embed(xp, grad, x_shape, index))


@op(view=True, grad_name="Select")
def select(xp, x, *, axis, position):
    return xp.slice(x, _at(axis, position))


def _at(axis: int, position: int) -> tuple:
    """The index of one position along an axis. With `...` NumPy gives a view even where no dimension is left."""
    return (*(slice(None),) * axis, position, Ellipsis)


select.derivative(x=lambda xp, grad, x_shape, axis, position: embed(xp, grad, x_shape, _at(axis, position)))


# ---------------------------------------------------------------- views that no slicing gives


@op(view=True, waist="affine_view", grad_name="AsStrided")
def affine_view(xp, x, *, shape, start, steps):
    """out[i, j, ...] = x[start + i * steps[0] + j * steps[1] + ...]."""
    return xp.affine_view(x, shape=shape, start=start, steps=steps)


def _spread(xp: Any, grad: Any, x_shape: tuple[int, ...], view: dict[str, Any], overlaps: bool) -> Any:
    """Zeros of a shape with `grad` added where an affine view shows them: the derivative of the view."""
    zeros, at = xp.full((math.prod(x_shape),), 0, grad.dtype), affine_positions(x_shape, **view)
    flat = xp.index_put(zeros, xp.reshape(grad, (at.size,)), at, spec=(("array", 0),), accumulate=overlaps)
    return xp.reshape(flat, x_shape)


affine_view.derivative(
    x=lambda xp, grad, x_shape, shape, start, steps: _spread(
        xp, grad, x_shape, {"shape": shape, "start": start, "steps": steps}, True
    )
)


def _unit(ndim: int, *axes: int, step: int = 1) -> tuple[int, ...]:
    """A step along one axis, or along several at once."""
    return tuple([step if i in axes else 0 for i in range(ndim)])


def _diagonal_view(shape: tuple[int, ...], offset: int, axis0: int, axis1: int) -> dict[str, Any]:
    ndim, rows, columns = len(shape), shape[axis0] - max(-offset, 0), shape[axis1] - max(offset, 0)
    kept = [i for i in range(ndim) if i not in (axis0, axis1)]
    return {
        "shape": (*[shape[i] for i in kept], max(0, min(rows, columns))),
        "start": tuple([max(-offset, 0) if i == axis0 else max(offset, 0) if i == axis1 else 0 for i in range(ndim)]),
        "steps": (*[_unit(ndim, i) for i in kept], _unit(ndim, axis0, axis1)),
    }


@op(view=True, grad_name="Diagonal")
def diagonal(xp, x, *, offset, axis0, axis1):
    """The elements at (i, i + offset) of two axes, along a new last axis."""
    return xp.affine_view(x, **_diagonal_view(x.shape, offset, axis0, axis1))


diagonal.derivative(
    x=lambda xp, grad, x_shape, offset, axis0, axis1: _spread(
        xp, grad, x_shape, _diagonal_view(x_shape, offset, axis0, axis1), False
    )
)


def _windows_view(shape: tuple[int, ...], axis: int, size: int, step: int) -> dict[str, Any]:
    ndim = len(shape)
    if not ndim:
        return {"shape": (size,), "start": (), "steps": ((),)}
    count = (shape[axis] - size) // step + 1
    return {
        "shape": (*shape[:axis], count, *shape[axis + 1 :], size),
        "start": (0,) * ndim,
        "steps": (*[_unit(ndim, i, step=step if i == axis else 1) for i in range(ndim)], _unit(ndim, axis)),
    }


@op(view=True, grad_name="Unfold")
def unfold(xp, x, *, axis, size, step):
    """Windows of `size` elements along an axis, every `step` elements; their elements are a new last axis."""
    return xp.affine_view(x, **_windows_view(x.shape, axis, size, step))


unfold.derivative(
    x=lambda xp, grad, x_shape, axis, size, step: _spread(
        xp, grad, x_shape, _windows_view(x_shape, axis, size, step), step < size
    )
)


# ---------------------------------------------------------------- rearrangements


@op(waist="slice_assign", grad_name="SliceScatter", wide=False, linear=True)
def slice_scatter(xp, x, value, *, index):
    """A copy of x with the region of a basic index replaced."""
    return xp.slice_assign(x, value, index=index)


slice_scatter.derivative(
    x=lambda xp, grad, value_shape, value_dtype, index: xp.slice_assign(
        grad, xp.full(value_shape, 0, value_dtype), index=index
    ),
    value=lambda xp, grad, value_shape, index: sum_to_shape(xp, xp.slice(grad, index), value_shape),
)


@op(grad_name="Clone", wide=False, linear=True)
def clone(xp, x):
    return xp.astype(x, x.dtype)


clone.derivative(x=lambda xp, grad: grad)


@op(waist="contiguous", grad_name="Clone", wide=False, linear=True)
def contiguous(xp, x):
    """A copy whose elements lie in order."""
    return xp.contiguous(x)


contiguous.derivative(x=lambda xp, grad: grad)


@op(view=True, grad_name="Alias")
def alias(xp, x):
    """The tensor itself, as a view."""
    return xp.reshape(x, x.shape)


alias.derivative(x=lambda xp, grad: grad)


@op(grad_name="Flip", wide=False, linear=True)
def flip(xp, x, *, axes):
    index = tuple([slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim)])
    return xp.astype(xp.slice(x, index), x.dtype)


flip.derivative(
    x=lambda xp, grad, axes: xp.slice(
        grad, tuple([slice(None, None, -1) if i in axes else slice(None) for i in range(len(grad.shape))])
    )
)


@op(grad_name="Cat", wide=False, linear=True)
def concat(xp, *arrays, axis):
    return xp.concat(arrays, axis=axis)


def _pieces(xp: Any, grad: Any, arrays_shape: tuple, axis: int) -> list[Any]:
    pieces, start = [], 0
    for shape in arrays_shape:
        pieces.append(xp.slice(grad, (slice(None),) * axis + (slice(start, start + shape[axis]),)))
        start += shape[axis]
    return pieces


concat.derivative(arrays=_pieces)


@op(grad_name="Stack", wide=False, linear=True)
def stack(xp, *arrays, axis):
    shape = arrays[0].shape
    return xp.concat([xp.reshape(a, (*shape[:axis], 1, *shape[axis:])) for a in arrays], axis=axis)


stack.derivative(
    arrays=lambda xp, grad, arrays_shape, axis: [xp.slice(grad, _at(axis, i)) for i in range(len(arrays_shape))]
)


def _triangle(xp: Any, x: Any, diagonal: int, upper: bool) -> Any:
    """The upper or lower triangle of the last two axes; zeros elsewhere."""
    mask = np.tri(*x.shape[-2:], diagonal - 1 if upper else diagonal, dtype=bool)
    return xp.where(~mask if upper else mask, x, xp.full((), 0, x.dtype))


@op(grad_name="Triu", wide=False, linear=True)
def triu(xp, x, *, diagonal):
    """The upper triangle of the last two axes; zeros elsewhere."""
    return _triangle(xp, x, diagonal, True)


triu.derivative(x=lambda xp, grad, diagonal: _triangle(xp, grad, diagonal, True))


@op(grad_name="Tril", wide=False, linear=True)
def tril(xp, x, *, diagonal):
    """The lower triangle of the last two axes; zeros elsewhere."""
    return _triangle(xp, x, diagonal, False)


tril.derivative(x=lambda xp, grad, diagonal: _triangle(xp, grad, diagonal, False))


def indexed_shape(shape: tuple[int, ...], index: Any) -> tuple[int, ...]:
    """The shape that a basic index gives."""
    return normalize_index(shape, index)[2]
