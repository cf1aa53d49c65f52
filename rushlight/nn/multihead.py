"""Attention of several heads between linear maps: `nn.functional.multi_head_attention_forward`.

The steps: map queries, keys and values; give each head its part; add keys that are not in the input; put all masks
into one that is added to the scores; attend; map the result.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from rushlight import dtypes
from rushlight.api.joining import cat
from rushlight.api.linalg import baddbmm, linear, matmul
from rushlight.nn.attention import scaled_dot_product_attention
from rushlight.nn.dropout import dropout
from rushlight.nn.padding import pad
from rushlight.ops import create
from rushlight.ops.elementwise import add, mul, where
from rushlight.ops.reduce import softmax
from rushlight.tensor import Tensor


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None, average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attention of `num_heads` heads side by side (Vaswani et al., 2017), with the weights if asked for.

    Args:
        embed_dim_to_check: E, the size of queries and of the result.
        in_proj_weight, in_proj_bias: (3 E, E), (3 E): the maps of queries, keys and values, one on the other.
        q_proj_weight, k_proj_weight, v_proj_weight: in the weight's place, with `use_separate_proj_weight`.
        bias_k, bias_v: (1, 1, E): one more key and value; `add_zero_attn` adds one of zeros.
        dropout_p: of the weights, in training.
        key_padding_mask: (N, S): True for keys that nobody may look at, or what is added to scores.
        attn_mask: (L, S) or (N num_heads, L, S): True where a query may not look at a key, or what is added to scores.
        static_k, static_v: (N num_heads, S, E / num_heads): in place of mapped keys and values.
        average_attn_weights: whether the weights' mean over the heads is returned.
        is_causal: a hint that `attn_mask` is the causal one.

    Shape:
        query (L, N, E), key and value (S, N, ...), all perhaps without N; the result as query, the weights (N, L, S).

    Raises:
        AssertionError, RuntimeError: shapes that do not fit.
    """
    is_batched = _check_dimensions(query, key, value, key_padding_mask, attn_mask, num_heads)
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    if is_causal and attn_mask is None:
        raise AssertionError("Need attn_mask if specifying the is_causal hint.")
    if key_padding_mask is not None and attn_mask is not None and key_padding_mask.dtype is not attn_mask.dtype:
        warnings.warn(
            "Support for mismatched key_padding_mask and attn_mask is deprecated. Use same type for both instead.",
            stacklevel=2,
        )
    is_hint_enough = is_causal and key_padding_mask is None and not need_weights
    padding = _additive("key_padding_mask", key_padding_mask, query.dtype)
    mask = None if is_hint_enough else _additive("attn_mask", attn_mask, query.dtype)
    dropout_p = dropout_p if training else 0.0

    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else in_proj_weight
    q, k, v = _mapped(query, key, value, weights, in_proj_bias)
    if not is_batched:
        q, k, v = q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1)
        padding = None if padding is None else padding.unsqueeze(0)
    length, batch, embedding = q.shape
    _check_mask(mask, batch * num_heads, length, k.shape[0])
    k, v = _head_parts("k", k, num_heads, static_k), _head_parts("v", v, num_heads, static_v)  # (N num_heads, S, head)
    k, v, more = _with_more_keys(
        k, v, bias_k, bias_v, batch, static_k is not None or static_v is not None, add_zero_attn
    )
    mask = _one_mask(mask, padding, more, batch, num_heads, k.shape[1])

    q = _head_parts("q", q, num_heads, None)
    attend = _attention_and_weights if need_weights else _attention
    shares: Tensor | None
    attended, shares = attend(q, k, v, mask, dropout_p, is_hint_enough, batch)
    out = linear(attended.transpose(0, 1).reshape(length * batch, embedding), out_proj_weight, out_proj_bias)
    out = out.reshape(length, batch, out.shape[1])
    if shares is not None:  # (N, num_heads, L, S)
        shares = shares.mean(1) if average_attn_weights else shares
    if is_batched:
        return out, shares
    return out.squeeze(1), None if shares is None else shares.squeeze(0)


# ---------------------------------------------------------------- the steps


def _mapped(query: Tensor, key: Tensor, value: Tensor, weights: Any, bias: Tensor | None) -> Any:
    """Queries, keys and values by their linear maps."""
    if weights is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    if isinstance(weights, Tensor):
        if query is key and key is value:  # one product in place of three
            return linear(query, weights, bias).chunk(3, -1)
        weights = weights.chunk(3)
    for name, weight in zip("qkv", weights, strict=True):
        if weight is None:
            raise AssertionError(f"use_separate_proj_weight is True but {name}_proj_weight is None")
    biases = (None,) * 3 if bias is None else bias.chunk(3)
    return [linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]


def _head_parts(name: str, x: Tensor, num_heads: int, static: Tensor | None) -> Tensor:
    """(N num_heads, T, head) from (T, N, E)."""
    time, batch, embedding = x.shape
    if static is not None:
        for axis, wanted in ((0, batch * num_heads), (2, embedding // num_heads)):
            if static.shape[axis] != wanted:
                raise AssertionError(f"expecting static_{name}.size({axis}) of {wanted}, but got {static.shape[axis]}")
        return static
    return x.reshape(time, batch * num_heads, embedding // num_heads).transpose(0, 1)


def _with_more_keys(
    k: Tensor, v: Tensor, bias_k: Tensor | None, bias_v: Tensor | None, batch: int, is_static: bool, add_zeros: bool
) -> tuple[Tensor, Tensor, int]:
    """Keys and values behind which stand learned ones and zeros, if asked for; and how many were added."""
    more_k, more_v = [], []
    if (bias_k is None) != (bias_v is None):
        raise AssertionError(
            "bias_k is set but bias_v is None" if bias_v is None else "bias_v is set but bias_k is None"
        )
    if bias_k is not None and bias_v is not None:
        if is_static:
            raise AssertionError("bias cannot be added to static key.")
        num_heads = k.shape[0] // max(batch, 1)
        more_k.append(_head_parts("k", bias_k.expand(1, batch, -1), num_heads, None))
        more_v.append(_head_parts("v", bias_v.expand(1, batch, -1), num_heads, None))
    if add_zeros:
        nothing = create.zeros((k.shape[0], 1, k.shape[2]), dtype=k.dtype, device=k.device)
        more_k.append(nothing)
        more_v.append(nothing)
    return (cat([k, *more_k], 1), cat([v, *more_v], 1), len(more_k)) if more_k else (k, v, 0)


def _one_mask(
    mask: Tensor | None, padding: Tensor | None, more: int, batch: int, num_heads: int, num_keys: int
) -> Tensor | None:
    """What is added to scores, (N num_heads or 1, L or 1, S), of both masks; nothing for keys that were added."""
    if mask is not None:
        mask = mask.unsqueeze(0) if mask.ndim == 2 else mask
        mask = pad(mask, (0, more)) if more else mask
    if padding is None:
        return mask
    padding = pad(padding, (0, more)) if more else padding
    if padding.shape != (batch, num_keys):
        raise AssertionError(
            f"Expected key_padded_mask.shape to be {(batch, num_keys)}, but got {tuple(padding.shape)}"
        )
    padding = padding.reshape(batch, 1, 1, num_keys).expand(-1, num_heads, -1, -1).reshape(-1, 1, num_keys)
    return padding if mask is None else add(mask, padding)


def _attention_and_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool, batch: int
) -> tuple[Tensor, Tensor]:
    scaled = mul(q, math.sqrt(1.0 / q.shape[2]))
    scores = matmul(scaled, k.mT) if mask is None else baddbmm(mask, scaled, k.mT)
    weights = softmax(scores, axis=2)
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p)
    return matmul(weights, v), weights.reshape(batch, -1, *weights.shape[1:])


def _attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool, batch: int
) -> tuple[Tensor, None]:
    q, k, v = (x.reshape(batch, -1, *x.shape[1:]) for x in (q, k, v))  # (N, num_heads, T, head)
    if mask is not None:
        mask = mask.unsqueeze(0) if mask.shape[0] == 1 else mask.reshape(batch, -1, mask.shape[1], k.shape[2])
    attended = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
    return attended.reshape(-1, *attended.shape[2:]), None


# ---------------------------------------------------------------- checks


def _additive(name: str, mask: Tensor | None, dtype: dtypes.dtype) -> Tensor | None:
    """A mask as what is added to scores."""
    if mask is None or mask.is_floating_point():
        return mask
    if mask.dtype is not dtypes.bool:
        raise AssertionError(f"only bool and floating types of {name} are supported")
    return where(mask, -math.inf, create.zeros((), dtype=dtype, device=mask.device))


def _check_mask(mask: Tensor | None, num_maps: int, length: int, num_keys: int) -> None:
    if mask is None:
        return
    wanted = (length, num_keys) if mask.ndim == 2 else (num_maps, length, num_keys)
    if mask.shape != wanted:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {wanted}.")


def _check_dimensions(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None, num_heads: int
) -> bool:
    """Whether the inputs are batched, once all agree on that."""
    if query.ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
        )
    d = query.ndim
    kind = f"For {'batched' if d == 3 else 'unbatched'} ({d}-D) `query`, expected"
    if key.ndim != d or value.ndim != d:
        raise AssertionError(
            f"{kind} `key` and `value` to be {d}-D but found {key.ndim}-D and {value.ndim}-D tensors respectively"
        )
    if padding is not None and padding.ndim != d - 1:
        raise AssertionError(
            f"{kind} `key_padding_mask` to be `None` or {d - 1}-D but found {padding.ndim}-D tensor instead"
        )
    if mask is not None:
        if mask.ndim not in (2, 3):
            raise AssertionError(f"{kind} `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead")
        wanted = (num_heads, query.shape[0], key.shape[0])
        if d == 2 and mask.ndim == 3 and mask.shape != wanted:
            raise AssertionError(f"Expected `attn_mask` shape to be {wanted} but got {mask.shape}")
    return d == 3


def _check_sizes(
    query: Tensor, key: Tensor, value: Tensor, embed_dim: int, num_heads: int, are_maps_separate: bool
) -> None:
    if query.shape[-1] != embed_dim:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim}, but got {query.shape[-1]}")
    if embed_dim % num_heads:
        raise AssertionError(f"embed_dim {embed_dim} not divisible by num_heads {num_heads}")
    if are_maps_separate and key.shape[:-1] != value.shape[:-1]:
        raise AssertionError(f"key's sequence and batch dims {key.shape[:-1]} do not match value's {value.shape[:-1]}")
    if not are_maps_separate and key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
