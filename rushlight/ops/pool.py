"""Sums and maxima of windows: what pooling, padding and interpolation are made of."""

from __future__ import annotations

import math
from typing import Any

from rushlight.arrays import pooling
from rushlight.ops.activation import stepwise
from rushlight.ops.define import op
from rushlight.ops.fused import native

pooling.use(native("pooling", "max_windows"), native("pooling", "put_at"))


@op(waist="resample", linear=True, native_half=True)
def resample(xp, x, *, rules):
    """Weighted sums along the last axes, by the rules of `arrays.taps`, one for each axis."""
    return xp.resample(x, rules=rules)


def _transposed(xp: Any, grad: Any, rules: tuple) -> Any:
    return xp.resample(grad, rules=tuple([rule and rule.transposed for rule in rules]))


resample.derivative(x=_transposed)


@op(grad_name="AvgPool", linear=True, native_half=True)
def average(xp, x, *, rules):
    """`resample`, for functions whose gradient depends on x in PyTorch."""
    return xp.resample(x, rules=rules)


average.derivative(x=lambda xp, grad, x, rules: stepwise(xp, _transposed(xp, grad, rules), x))


# ---------------------------------------------------------------- maxima


@op(outputs=("values", "indices"), waist="max_windows", grad_name="MaxPoolWithIndices", wide=False)
def max_windows(xp, x, *samples, rules):
    """The maxima of windows along the last axes, and their flat indices there."""
    return xp.max_windows(x, *samples, rules=rules)


@op(waist="put_at", grad_name="MaxUnpool", linear=True)
def put_at(xp, values, indices, *, size, accumulate):
    """Zeros of a size along the last axes with values at flat indices."""
    return xp.put_at(values, indices, size=size, accumulate=accumulate)


def _max_windows_gradients(xp: Any, grads: Any, x: Any, indices: Any, rules: tuple, samples: tuple) -> list[Any]:
    size = tuple(x.shape[len(x.shape) - len(rules) :])
    back = xp.put_at(grads[0], indices, size=size, accumulate=any(rule.overlaps for rule in rules))
    return [stepwise(xp, back, x), *[None for _ in samples]]


def _read_at(xp: Any, grad: Any, indices: Any, size: tuple[int, ...]) -> Any:
    """What is at flat indices of the last axes: the transpose of `put_at`."""
    shape = tuple(indices.shape)
    leading = shape[: len(shape) - len(size)]
    here, there = ((*leading, math.prod(lengths)) for lengths in (shape[len(leading) :], size))
    read = xp.take_along_axis(xp.reshape(grad, there), xp.reshape(indices, here), axis=len(leading))
    return xp.reshape(read, shape)


max_windows.op.derivative_of_all(_max_windows_gradients)
put_at.derivative(values=lambda xp, grad, indices, size: _read_at(xp, grad, indices, size))


@op(grad_name="ReadAt", wide=False, linear=True)
def read_at(xp, x, indices, *, size):
    """What is at flat indices of the last axes."""
    return _read_at(xp, x, indices, size)


read_at.derivative(x=lambda xp, grad, indices, size: xp.put_at(grad, indices, size=size, accumulate=True))
