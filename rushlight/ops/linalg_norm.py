"""Norms of vectors, with PyTorch's choice of a derivative where there is none: 0 at the zero vector, equal parts for ties."""

from __future__ import annotations

import math
from typing import Any

from rushlight.ops.define import op
from rushlight.ops.reduce import kept


@op(wirtinger=True, grad_name="LinalgVectorNorm")
def vector_norm(xp, x, *, order=2.0, axis=None, keepdims=False):
    """(sum |x|^order)^(1/order); of order 0 how many are not 0, of order +-inf the largest or smallest |x|."""
    options = {"axis": axis, "keepdims": keepdims}
    if order == 2 and x.dtype.kind != "c":
        return xp.sqrt(xp.sum(x * x, **options))
    size = xp.abs(x)
    if order == 0:
        return xp.sum(xp.astype(xp.not_equal(size, 0), size.dtype), **options)
    if order == 1:
        return xp.sum(size, **options)
    if math.isinf(order):
        return (xp.max if order > 0 else xp.min)(size, **options)
    if order == 2:
        return xp.sqrt(xp.sum(size * size, **options))
    return xp.sum(size**order, **options) ** (1 / order)


def _gradient(xp: Any, grad: Any, x: Any, out: Any, axis: Any, order: float) -> Any:
    """grad x |x|^(order - 2) / out^(order - 1), taken apart so that nothing is divided by 0."""
    grad, out, size = kept(xp, grad, x.shape, axis), kept(xp, out, x.shape, axis), xp.abs(x)
    if order == 0:
        return None
    if order == 1:
        return _direction(xp, x, size) * grad
    if math.isinf(order):
        reached = xp.astype(xp.logical_or(xp.equal(size, out), xp.isnan(size)), size.dtype)
        return _direction(xp, x, size) * (reached * (grad / xp.sum(reached, axis=axis, keepdims=True)))
    if order == 2:
        return grad * _quotient(xp, x, out)
    if order < 1:
        return _direction(xp, x, size) * (_power(xp, size, order - 1) * (grad * out ** (1 - order)))
    scale = _quotient(xp, grad, out ** (order - 1))
    if order < 2:
        return _direction(xp, x, size) * (_power(xp, size, order - 1) * scale)
    return x * (size ** (order - 2) * scale)


def _direction(xp: Any, x: Any, size: Any) -> Any:
    """x / |x|, and 0 at 0."""
    return x / xp.where(xp.equal(size, 0), 1.0, size) if x.dtype.kind == "c" else xp.sign(x)


def _quotient(xp: Any, x: Any, y: Any) -> Any:
    """x / y, and 0 where y is 0."""
    return xp.where(xp.equal(y, 0), 0.0, x / y)


def _power(xp: Any, x: Any, exponent: float) -> Any:
    """x^exponent, and 0 at 0."""
    return xp.where(xp.equal(x, 0), 0.0, x**exponent)


vector_norm.derivative(x=_gradient)
