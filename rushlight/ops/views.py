"""Views, which share memory, and rearrangements, which copy.

Arguments are normal here: full shapes, non-negative axes. PyTorch's spellings are in `rushlight.api.views`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.arrays.symbolic import normalize_index
from rushlight.ops.define import op, sum_to_shape


@op(view=True, waist="reshape", grad_name="View")
def reshape(xp, x, *, shape):
    """A view, where NumPy can give one; else a copy. `api.views` tells the two apart."""
    return xp.reshape(x, shape)


reshape.derivative(x=lambda xp, grad, x_shape: xp.reshape(grad, x_shape))


@op(grad_name="UnsafeView", wide=False)
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


@op(waist="slice_assign", grad_name="SliceScatter", wide=False)
def slice_scatter(xp, x, value, *, index):
    """A copy of x with the region of a basic index replaced."""
    return xp.slice_assign(x, value, index=index)


slice_scatter.derivative(
    x=lambda xp, grad, value_shape, value_dtype, index: xp.slice_assign(
        grad, xp.full(value_shape, 0, value_dtype), index=index
    ),
    value=lambda xp, grad, value_shape, index: sum_to_shape(xp, xp.slice(grad, index), value_shape),
)


@op(grad_name="Clone", wide=False)
def clone(xp, x):
    return xp.astype(x, x.dtype)


clone.derivative(x=lambda xp, grad: grad)


@op(view=True, grad_name="Alias")
def alias(xp, x):
    """The tensor itself, as a view."""
    return xp.reshape(x, x.shape)


alias.derivative(x=lambda xp, grad: grad)


@op(grad_name="Flip", wide=False)
def flip(xp, x, *, axes):
    index = tuple([slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim)])
    return xp.astype(xp.slice(x, index), x.dtype)


flip.derivative(
    x=lambda xp, grad, axes: xp.slice(
        grad, tuple([slice(None, None, -1) if i in axes else slice(None) for i in range(len(grad.shape))])
    )
)


@op(grad_name="Cat", wide=False)
def concat(xp, *arrays, axis):
    return xp.concat(arrays, axis=axis)


def _pieces(xp: Any, grad: Any, arrays_shape: tuple, axis: int) -> list[Any]:
    pieces, start = [], 0
    for shape in arrays_shape:
        pieces.append(xp.slice(grad, (slice(None),) * axis + (slice(start, start + shape[axis]),)))
        start += shape[axis]
    return pieces


concat.derivative(arrays=_pieces)


@op(grad_name="Stack", wide=False)
def stack(xp, *arrays, axis):
    shape = arrays[0].shape
    return xp.concat([xp.reshape(a, (*shape[:axis], 1, *shape[axis:])) for a in arrays], axis=axis)


stack.derivative(
    arrays=lambda xp, grad, arrays_shape, axis: [xp.slice(grad, _at(axis, i)) for i in range(len(arrays_shape))]
)


@op(grad_name="Triu", wide=False)
def triangle(xp, x, *, diagonal, upper):
    """The upper or lower triangle of the last two axes; zeros elsewhere."""
    return xp.where(_triangle_mask(x.shape[-2:], diagonal, upper), x, xp.full((), 0, x.dtype))


def _triangle_mask(shape: tuple[int, ...], diagonal: int, upper: bool) -> np.ndarray:
    mask = np.tri(*shape, diagonal - 1 if upper else diagonal, dtype=bool)
    return ~mask if upper else mask


triangle.derivative(
    x=lambda xp, grad, diagonal, upper: xp.where(
        _mask_like(xp, grad, diagonal, upper), grad, xp.full((), 0, grad.dtype)
    )
)


def _mask_like(xp: Any, grad: Any, diagonal: int, upper: bool) -> Any:
    mask = _triangle_mask(grad.shape[-2:], diagonal, upper)
    return mask


def indexed_shape(shape: tuple[int, ...], index: Any) -> tuple[int, ...]:
    """The shape that a basic index gives."""
    return normalize_index(shape, index)[2]
