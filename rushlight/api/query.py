"""Questions about tensors and dtypes that need no computing."""

from __future__ import annotations

from typing import Any

from rushlight import dtypes
from rushlight.api.memory import TypedStorage, UntypedStorage
from rushlight.tensor import Tensor


def is_tensor(obj: Any) -> bool:
    """Whether something is a tensor."""
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> int:
    """How many elements a tensor has."""
    return input.numel()


def is_floating_point(input: Tensor) -> bool:
    """Whether a tensor's dtype is a floating-point one."""
    return input.is_floating_point()


def is_complex(input: Tensor) -> bool:
    """Whether a tensor's dtype is complex."""
    return input.is_complex()


def is_nonzero(input: Tensor) -> bool:
    """Whether the only element of a tensor is not zero.

    Raises:
        RuntimeError: another number of elements.
    """
    if input.numel() != 1:
        raise RuntimeError(f"Boolean value of Tensor with {'no values' if not input.numel() else 'more than one value'} is ambiguous")  # fmt: skip
    return bool(input.item())


def can_cast(from_: dtypes.dtype, to: dtypes.dtype) -> bool:
    """Whether a result of one dtype may be written into a tensor of another."""
    return dtypes.can_cast(from_, to)


def result_type(tensor1: Any, tensor2: Any) -> dtypes.dtype:
    """The dtype that an operation on these operands, tensors or Python numbers, gives."""
    kinds = [(x.dtype, x.ndim) if isinstance(x, Tensor) else type(x) for x in (tensor1, tensor2)]
    return dtypes.result_type_of_kinds(*kinds)


def is_signed(input: Tensor) -> bool:
    """Whether a tensor's dtype has negative numbers."""
    return input.is_signed()


def is_inference(input: Tensor) -> bool:
    """Whether a tensor was made in inference mode."""
    return input.is_inference()


def is_distributed(input: Tensor) -> bool:
    """Whether a tensor is spread over machines: none is."""
    return input.is_distributed()


def is_storage(obj: Any) -> bool:
    """Whether something is the memory of a tensor."""
    return isinstance(obj, (UntypedStorage, TypedStorage))


def get_device(input: Tensor) -> int:
    """The number of the GPU of a tensor; -1 on the CPU."""
    return input.get_device()


def typename(obj: Any) -> str:
    """The name of an object's type, of a tensor such as "torch.FloatTensor"."""
    if isinstance(obj, Tensor):
        return obj.type()
    kind = obj if isinstance(obj, type) else type(obj)
    module = getattr(obj, "__module__", None) or kind.__module__
    return f"{module}.{getattr(obj, '__qualname__', kind.__qualname__)}".removeprefix("builtins.")
