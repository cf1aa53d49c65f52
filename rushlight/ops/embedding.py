"""Rows of a table."""

from __future__ import annotations

from typing import Any

from rushlight.ops.define import op


@op(grad_name="Embedding", linear=True)
def embedding(xp, weight, indices, *, padding_idx=-1, by_frequency=False):
    """Rows of the table `weight`, one for each index; the row `padding_idx` gets no gradient.

    By frequency, the gradient of a row is over the number of times it was asked for.
    """
    return xp.take(weight, indices, axis=0)


def _embedding_gradient(
    xp: Any, grad: Any, indices: Any, weight_shape: Any, padding_idx: int, by_frequency: bool
) -> Any:
    spec = (("array", 0),)
    if padding_idx >= 0:
        is_padding = xp.equal(indices, padding_idx)
        grad = xp.where(xp.reshape(is_padding, (*indices.shape, 1)), 0.0, grad)
    if by_frequency:
        ones = xp.full(indices.shape, 1, grad.dtype)
        counts = xp.index_put(xp.full(weight_shape[:1], 0, grad.dtype), ones, indices, spec=spec, accumulate=True)
        grad = grad / xp.reshape(xp.take(counts, indices, axis=0), (*indices.shape, 1))
    zeros = xp.full(weight_shape, 0, grad.dtype)
    return xp.index_put(zeros, grad, indices, spec=spec, accumulate=True)


embedding.derivative(weight=_embedding_gradient)
