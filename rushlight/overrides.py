"""`torch.overrides`: classes that take over PyTorch's functions by `__torch_function__`, which is not followed here."""

from __future__ import annotations

from typing import Any

from rushlight.tensor import Tensor


def is_tensor_like(inp: Any) -> bool:
    """Whether something is a tensor; that it says how functions apply to it makes it none here."""
    return isinstance(inp, Tensor)


def has_torch_function(relevant_args: Any) -> bool:
    """Whether an argument takes over functions: none does."""
    return False


has_torch_function_unary = has_torch_function


def has_torch_function_variadic(*relevant_args: Any) -> bool:
    """The same of several arguments."""
    return False
