"""Attention of several heads."""

from __future__ import annotations

from typing import Any

from rushlight.nn import functional as F, init
from rushlight.nn.module import Module
from rushlight.nn.modules.linear import Linear
from rushlight.nn.parameter import Parameter
from rushlight.ops.create import empty
from rushlight.tensor import Tensor


class NonDynamicallyQuantizableLinear(Linear):
    """`Linear`: the name that PyTorch gives the last map of attention."""


class MultiheadAttention(Module):
    """Attention of several heads side by side, between linear maps (Vaswani et al., 2017).

    Args:
        embed_dim: the size E of queries and results; each head has E / num_heads of it.
        dropout: of the weights, in training.
        bias: whether the maps have one.
        add_bias_kv, add_zero_attn: whether a learned key and value, and one of zeros, are added.
        kdim, vdim: the sizes of keys and values, if others than E.
        batch_first: whether inputs are (N, L, E) instead of (L, N, E).

    Shape and the arguments of a call: as `nn.functional.multi_head_attention_forward`'s.

    Example:
        >>> import rushlight as torch
        >>> x = torch.zeros(5, 2, 8)
        >>> out, weights = torch.nn.MultiheadAttention(8, 2)(x, x, x)
        >>> out.shape, weights.shape
        (torch.Size([5, 2, 8]), torch.Size([2, 5, 5]))
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} "
                "instead"
            )
        if embed_dim % num_heads:
            raise AssertionError("embed_dim must be divisible by num_heads")
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn

        def register(name: str, is_present: bool, *shape: int) -> None:
            self.register_parameter(name, Parameter(empty(shape, device=device, dtype=dtype)) if is_present else None)

        are_alike = self._qkv_same_embed_dim
        order = ("q_proj_weight", embed_dim), ("k_proj_weight", self.kdim), ("v_proj_weight", self.vdim)
        if are_alike:
            register("in_proj_weight", True, 3 * embed_dim, embed_dim)
        for name, size in order:
            register(name, not are_alike, embed_dim, size)
        if not are_alike:
            register("in_proj_weight", False)
        register("in_proj_bias", bias, 3 * embed_dim)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        register("bias_k", add_bias_kv, 1, 1, embed_dim)
        register("bias_v", add_bias_kv, 1, 1, embed_dim)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        swaps = self.batch_first and query.ndim == 3
        if swaps:
            query, key, value = _time_first(query, key, value)
        out, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k,
            self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training,
            key_padding_mask, need_weights, attn_mask, not self._qkv_same_embed_dim, self.q_proj_weight,
            self.k_proj_weight, self.v_proj_weight, average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip
        return (out.transpose(0, 1) if swaps else out), weights


def _time_first(*inputs: Tensor) -> list[Tensor]:
    """(L, N, E) from (N, L, E); what is one tensor stays one, which saves products."""
    swapped = {id(x): x.transpose(0, 1) for x in inputs}
    return [swapped[id(x)] for x in inputs]
