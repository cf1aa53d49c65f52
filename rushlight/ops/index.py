"""Indexing by arrays: reading (`x[i, j]`, gather) and its derivative, writing and adding.

An index is given as `spec`, a tuple of slices, None and placeholders ("array", i), and the index arrays as inputs.
"""

from __future__ import annotations

from typing import Any

from rushlight.ops.broadcasting import sum_to_shape
from rushlight.ops.define import op
from rushlight.ops.namespaces import counted


@op(waist="index_get", grad_name="Index", wide=False, linear=True)
def index_get(xp, x, *arrays, spec):
    return xp.index_get(x, *arrays, spec=spec)


@op(waist="index_put", grad_name="IndexPut", wide=False, linear=True)
def index_put(xp, x, values, *arrays, spec, accumulate):
    """A copy of x with the indexed elements replaced by `values`, or with `values` added to them."""
    return xp.index_put(x, values, *arrays, spec=spec, accumulate=accumulate)


@op(waist="take_along_axis", grad_name="Gather", wide=False, linear=True)
def gather(xp, x, index, *, axis):
    """out[..., i, ...] = x[..., index[..., i, ...], ...]; index may be smaller than x along the other axes."""
    return xp.take_along_axis(_cut(xp, x, index.shape, axis), index, axis=axis)


def _cut(xp: Any, x: Any, shape: tuple[int, ...], axis: int) -> Any:
    """x without what lies beyond the index's extent along the other axes."""
    if all(n == x.shape[i] for i, n in enumerate(shape) if i != axis):
        return x
    return xp.slice(x, tuple([slice(None) if i == axis else slice(0, n) for i, n in enumerate(shape)]))


def grid(xp: Any, shape: tuple[int, ...], index: Any, axis: int) -> tuple[tuple, list[Any]]:
    """An advanced index (spec, arrays) for what `gather` reads: index along `axis`, its own position elsewhere."""
    arrays = []
    for i, n in enumerate(shape):
        if i == axis:
            arrays.append(index)
        else:
            arrays.append(xp.reshape(counted(xp, n), (n,) + (1,) * (len(shape) - i - 1)))
    return tuple(("array", i) for i in range(len(shape))), arrays


def _gather_gradient(xp: Any, grad: Any, index: Any, x_shape: tuple[int, ...], axis: int) -> Any:
    spec, arrays = grid(xp, index.shape, index, axis)
    zeros = xp.full(x_shape, 0, grad.dtype)
    return xp.index_put(zeros, grad, *arrays, spec=spec, accumulate=True)


gather.derivative(x=_gather_gradient)


@op(waist="take", grad_name="IndexSelect", wide=False, linear=True)
def take(xp, x, indices, *, axis):
    """x at the indices along an axis."""
    return xp.take(x, indices, axis=axis)


def _take_gradient(xp: Any, grad: Any, indices: Any, x_shape: tuple[int, ...], axis: int) -> Any:
    spec = (slice(None),) * axis + (("array", 0),)
    return xp.index_put(xp.full(x_shape, 0, grad.dtype), grad, indices, spec=spec, accumulate=True)


take.derivative(x=_take_gradient)


# index_get and index_put have any number of inputs: their formulas give the gradients of all of them.


def _index_get_gradients(xp: Any, grad: Any, x_shape: tuple, arrays: tuple, spec: tuple) -> list[Any]:
    zeros = xp.full(x_shape, 0, grad.dtype)
    return [xp.index_put(zeros, grad, *arrays, spec=spec, accumulate=True)] + [None] * len(arrays)


def _index_put_gradients(
    xp: Any, grad: Any, values_shape: tuple, arrays: tuple, spec: tuple, accumulate: bool
) -> list[Any]:
    at = sum_to_shape(xp, xp.index_get(grad, *arrays, spec=spec), values_shape)
    if not accumulate:
        grad = xp.index_put(grad, xp.full(values_shape, 0, grad.dtype), *arrays, spec=spec, accumulate=False)
    return [grad, at] + [None] * len(arrays)


index_get.op.derivative_of_all(_index_get_gradients)
index_put.op.derivative_of_all(_index_put_gradients)
