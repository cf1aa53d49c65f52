"""How near vectors are: what `rushlight.nn.functional` offers under the same names."""

from __future__ import annotations

import numpy as np

from rushlight import dtypes
from rushlight.api.linalg_norm import vector_norm
from rushlight.api.views import broadcast_tensors
from rushlight.autograd.modes import no_grad
from rushlight.ops.arithmetic import add, div, mul, sub
from rushlight.ops.autocast import with_autocast
from rushlight.ops.create import beside
from rushlight.tensor import Tensor


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (|x1| |x2|) along `dim`, where lengths below `eps` count as `eps`.

    Raises:
        RuntimeError: neither input is floating point.
    """
    dtype = dtypes.promote_types(x1.dtype, x2.dtype)
    if not dtype.is_floating_point:
        kind = dtypes.legacy_name(dtype)
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {kind}")
    x1, x2 = broadcast_tensors(x1.to(dtype), x2.to(dtype))
    return mul(_unit(x1, dim, eps), _unit(x2, dim, eps)).sum(dim)


def _unit(x: Tensor, dim: int, eps: float) -> Tensor:
    length = vector_norm(x, 2, dim, True).clone()
    with no_grad():
        length.clamp_(min=eps)  # the gradient is not cut off
    return div(x, length)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of `x1 - x2 + eps` along the last dimension."""
    return vector_norm(add(sub(x1, x2), eps), p, -1, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norms of the differences of all pairs of rows: (0, 1), (0, 2), ..., (1, 2), ...

    Raises:
        RuntimeError: not a matrix, or a negative p.
    """
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = np.triu_indices(input.shape[0], 1)
    difference = sub(input[beside(input, first)], input[beside(input, second)])
    return vector_norm(difference, p, 1) if p else difference.sign().abs().sum(1)  # whose gradient is 0, not None


with_autocast(globals())
