"""Questions about tensors and dtypes that need no computing."""

from __future__ import annotations

from typing import Any

from rushlight import dtypes
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
