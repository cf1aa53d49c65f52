"""Attention (Vaswani et al., 2017): what `rushlight.nn.functional` offers under the same names."""

from __future__ import annotations

import math

import numpy as np

from rushlight import dtypes
from rushlight.api.linalg import matmul
from rushlight.nn.dropout import dropout
from rushlight.ops.autocast import with_autocast
from rushlight.ops.elementwise import add, mul, ne, where
from rushlight.ops.reduce import attention_weights, softmax
from rushlight.tensor import Tensor


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(scale query key^T + mask) value. A query that may look at nothing gets 0.

    Args:
        attn_mask: what is added, or, of booleans, whether a query (row) may look at a key (column).
        dropout_p: of the weights, whether in training or not.
        is_causal: whether query i looks at keys 0 ... i only.
        scale: by default 1 / sqrt(E).
        enable_gqa: whether groups of heads of queries share a head of keys and values (Ainslie et al., 2023).

    Shape:
        query (..., L, E), key (..., S, E), value (..., S, D), mask (..., L, S); the result (..., L, D).

    Raises:
        RuntimeError: a mask beside `is_causal`, or other dtypes or shapes.
    """
    _check_attention(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        key, value = _for_heads(key, query), _for_heads(value, query)
    dtype, scale = query.dtype, 1 / math.sqrt(query.shape[-1] or math.nan) if scale is None else scale
    if dtype.itemsize == 2:  # rounded once, at the end
        query, key, value = query.float(), key.float(), value.float()
    if attn_mask is None and key.shape[-2]:
        weights = attention_weights(matmul(query, key.mT), scale=scale, causal=is_causal)
    else:
        scores = matmul(mul(query, scale), key.mT)
        weights = softmax(scores, axis=scores.ndim - 1) if attn_mask is None else _masked_softmax(scores, attn_mask)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return matmul(weights, value).to(dtype)


def _masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """The softmax of masked scores; rows without any are 0."""
    is_boolean = mask.dtype is dtypes.bool
    scores = where(mask, scores, -math.inf) if is_boolean else add(scores, mask)
    axis = scores.ndim - 1
    allowed: Tensor = mask if is_boolean else ne(mask, -math.inf)
    has_any = allowed.any(-1, keepdim=True)
    if isinstance(has_any._array, np.ndarray) and has_any._array.all():  # on a GPU, asking would wait
        return softmax(scores, axis=axis)
    return where(has_any, softmax(where(has_any, scores, 0.0), axis=axis), 0.0)  # no NaN, in the gradient either


def _for_heads(x: Tensor, query: Tensor) -> Tensor:
    """Keys or values, each head repeated for the heads of queries that share it."""
    heads, wanted = x.shape[-3], query.shape[-3]
    if heads == wanted:
        return x
    if not heads or wanted % heads:
        raise RuntimeError(
            "Number of heads in key and value must divide the number of heads in query when enable_gqa is set, but got "
            f"{heads} and {wanted}"
        )
    x = x.unsqueeze(-3)
    shape = (*x.shape[:-3], wanted // heads, *x.shape[-2:])
    return x.expand(shape).reshape(*shape[:-4], wanted, *shape[-2:])


def _check_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool) -> None:
    if not query.dtype == key.dtype == value.dtype:
        names = ", ".join(f"{name}.dtype: {x.dtype}" for name, x in (("query", query), ("key", key), ("value", value)))
        raise RuntimeError(f"Expected query, key, and value to have the same dtype, but got {names}")
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{query.ndim}, key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    if mask is not None:
        if is_causal:
            raise RuntimeError("Explicit attn_mask should not be set when is_causal=True")
        if mask.dtype is not dtypes.bool and mask.dtype is not query.dtype and mask.dtype is not dtypes.float32:
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
                f"{mask.dtype} and  query.dtype: {query.dtype} instead."
            )


with_autocast(globals())
