"""Shapes of operands that are repeated to fit each other: what is wrong with them, and the way back."""

from __future__ import annotations

from typing import Any


def broadcast_complaint(a: tuple, b: tuple) -> str | None:
    ndim = max(len(a), len(b))
    for i in range(1, min(len(a), len(b)) + 1):
        m, n = a[-i], b[-i]
        if m != n and m != 1 and n != 1:
            return (
                f"The size of tensor a ({m}) must match the size of tensor b ({n}) "
                f"at non-singleton dimension {ndim - i}"
            )
    return None


def sum_to_shape(xp: Any, grad: Any, shape: tuple[int, ...]) -> Any:
    """Undoes broadcasting: sums a gradient over the dimensions in which its operand was repeated."""
    extra = len(grad.shape) - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and grad.shape[i + extra] != 1)
    if axes:
        grad = xp.sum(grad, axis=axes)
    return grad if grad.shape == shape else xp.reshape(grad, shape)
