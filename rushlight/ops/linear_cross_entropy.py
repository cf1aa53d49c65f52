"""The cross entropy of a linear map's results, some rows at a time: all logits are never there at once."""

from __future__ import annotations

from typing import Any

from rushlight.ops.define import op
from rushlight.ops.namespaces import counted


@op(outputs=("loss", "of_x", "of_matrix", "of_bias"), grad_name="LinearCrossEntropyBatchChunked")
def linear_cross_entropy(xp, x, matrix, bias, target, weights, *, rows):
    """sum_i weights[i] (log sum_c exp(logits[i, c]) - logits[i, target[i]]), logits = x matrix^T + bias, and its gradients.

    `target` holds classes that are in range. Gradients are computed on the way, while `rows` rows of logits are there,
    and are constants from then on: there is no second derivative.
    """
    loss, of_x, of_matrix, of_bias = 0.0, [], 0.0, 0.0
    for start in range(0, x.shape[0], rows):
        part = (slice(start, min(start + rows, x.shape[0])),)
        here = xp.slice(x, part)
        value, difference = _of_rows(xp, here, matrix, bias, xp.slice(target, part), xp.slice(weights, part))
        loss = loss + value
        of_x.append(xp.matmul(difference, matrix))
        of_matrix = of_matrix + xp.matmul(xp.permute_dims(difference, (1, 0)), here)
        of_bias = of_bias + xp.sum(difference, axis=0)
    return loss, xp.concat(tuple(of_x), axis=0), of_matrix, of_bias


def _of_rows(xp: Any, x: Any, matrix: Any, bias: Any, target: Any, weights: Any) -> tuple[Any, Any]:
    """The loss of some rows, and its gradient by the logits: weights times softmax less 1 at the target."""
    logits = xp.matmul(x, xp.permute_dims(matrix, (1, 0))) + bias
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    e = xp.exp(shifted)
    totals = xp.sum(e, axis=1)
    picked = xp.index_get(shifted, counted(xp, x.shape[0]), target, spec=(("array", 0), ("array", 1)))
    is_target = xp.equal(xp.reshape(target, (-1, 1)), counted(xp, matrix.shape[0]))
    p = e / xp.reshape(totals, (-1, 1))
    return xp.sum((xp.log(totals) - picked) * weights), xp.where(is_target, p - 1, p) * xp.reshape(weights, (-1, 1))


def _scaled(xp: Any, grads: tuple, gradient: Any) -> Any:
    return None if grads[0] is None else gradient * grads[0]


linear_cross_entropy.derivative(
    x=lambda xp, grads, of_x: _scaled(xp, grads, of_x),
    matrix=lambda xp, grads, of_matrix: _scaled(xp, grads, of_matrix),
    bias=lambda xp, grads, of_bias: _scaled(xp, grads, of_bias),
)
