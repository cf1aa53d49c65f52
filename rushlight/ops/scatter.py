"""Writing by index where several values meet at one place: their product, the greatest or the least of them.

Replacing and adding are `ops.index.index_put`. An index is given as there.
"""

from __future__ import annotations

from typing import Any

from rushlight.ops.define import op


@op(waist="index_reduce")
def index_reduce(xp, x, values, *arrays, spec, reduce):
    """A copy of x whose indexed elements are multiplied by `values`, or become the greater or the lesser of the two."""
    return xp.index_reduce(x, values, *arrays, spec=spec, reduce=reduce)


def _count(xp: Any, which: Any, like: Any, arrays: tuple, spec: tuple) -> Any:
    """How many of the values for which `which` holds go to each element, in the dtype of `like`."""
    zeros = xp.full(like.shape, 0, like.dtype)
    return xp.index_put(zeros, xp.astype(which, like.dtype), *arrays, spec=spec, accumulate=True)


def _shared_evenly(xp: Any, grad: Any, x: Any, values: Any, arrays: tuple, spec: tuple, out: Any) -> tuple[Any, Any]:
    """The gradients of a greatest or least: all that are equal to it get the same part."""
    x_is_it = xp.equal(x, out)
    values_are_it = xp.equal(values, xp.index_get(out, *arrays, spec=spec))
    part = grad / (xp.astype(x_is_it, grad.dtype) + _count(xp, values_are_it, grad, arrays, spec))
    of_values = xp.index_get(part, *arrays, spec=spec)
    return part * xp.astype(x_is_it, grad.dtype), of_values * xp.astype(values_are_it, grad.dtype)


def _of_product(xp: Any, grad: Any, x: Any, values: Any, arrays: tuple, spec: tuple, out: Any) -> tuple[Any, Any]:
    """The gradients of a product: for each factor, the product of the others.

    That is the product over the factor, unless the factor is 0: then it is the product of the values that are not 0, if
    this is the only one that is, and else 0.
    """
    is_zero = xp.equal(values, 0)
    without_zeros = xp.where(is_zero, xp.full((), 1, values.dtype), values)
    others = xp.index_get(xp.index_reduce(x, without_zeros, *arrays, spec=spec, reduce="prod"), *arrays, spec=spec)
    is_alone = xp.equal(xp.index_get(_count(xp, is_zero, x, arrays, spec), *arrays, spec=spec), 1)
    of_zero = xp.where(is_alone, others, xp.full((), 0, x.dtype))
    of_values = xp.where(is_zero, of_zero, xp.index_get(out, *arrays, spec=spec) / without_zeros)
    ones = xp.full(x.shape, 1, x.dtype)
    of_x = grad * xp.index_reduce(ones, values, *arrays, spec=spec, reduce="prod")
    return of_x, xp.index_get(grad, *arrays, spec=spec) * of_values


def _gradients(xp: Any, grad: Any, x: Any, values: Any, arrays: tuple, out: Any, spec: tuple, reduce: str) -> list[Any]:
    if reduce == "prod":
        pair = _of_product(xp, grad, x, values, arrays, spec, out)
    else:
        pair = _shared_evenly(xp, grad, x, values, arrays, spec, out)
    return [*pair, *[None] * len(arrays)]


index_reduce.op.derivative_of_all(_gradients)
