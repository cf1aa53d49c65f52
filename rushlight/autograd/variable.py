"""`Variable`, PyTorch's name of old for a tensor that autograd records: it makes Tensors, and is what Tensors are."""

from __future__ import annotations

from typing import Any

from rushlight.tensor import Tensor


class _Meta(type):
    """Lets `isinstance(tensor, Variable)` hold, as in PyTorch."""

    def __instancecheck__(cls, other: object) -> bool:
        return isinstance(other, Tensor)


class Variable(metaclass=_Meta):
    """`Variable(data)` is a Tensor on the memory of `data`."""

    def __new__(cls, data: Any = None, requires_grad: bool = False, volatile: bool = False) -> Any:
        tensor = data if isinstance(data, Tensor) else None
        if tensor is None:
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        return tensor.detach().requires_grad_(requires_grad)
