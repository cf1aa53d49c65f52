"""PyTorch's functions of one and two operands: which may be Python numbers, and their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.ops.create import tensor
from rushlight.ops.precision import NUMBERS
from rushlight.tensor import Tensor

BOTH, SECOND, FIRST = (
    "(Tensor input, Tensor other, *, Tensor out = None)",
    "(Tensor input, Number other, *, Tensor out = None)",
    "(Number self, Tensor other, *, Tensor out = None)",
)


def _named(function: Callable[..., Tensor], operation: Any, name: str) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    function.__doc__, function.op = operation.__doc__, operation.op  # type: ignore[attr-defined]
    return function


def not_a_tensor(name: str, **operands: Any) -> TypeError:
    """PyTorch's error for the first of a function's operands that is no tensor."""
    position, argument = next((i, key) for i, key in enumerate(operands) if not isinstance(operands[key], Tensor))
    given = type(operands[argument]).__name__
    return TypeError(f"{name}(): argument '{argument}' (position {position + 1}) must be Tensor, not {given}")


def invalid_combination(name: str, given: tuple, *signatures: str) -> TypeError:
    """PyTorch's error for arguments that fit none of a function's signatures."""
    kinds = ", ".join("Tensor" if isinstance(value, Tensor) else type(value).__name__ for value in given)
    listed = "\n".join(f" * {signature}" for signature in signatures)
    return TypeError(
        f"{name}() received an invalid combination of arguments - got ({kinds}), but expected one of:\n{listed}\n"
    )


def of_one(operation: Any) -> Callable[..., Tensor]:
    """The function of one tensor, which may be given by name."""

    def function(input: Tensor) -> Tensor:
        return operation(input)

    return _named(function, operation, operation.op.name)


def of_tensors(operation: Any, name: str = "") -> Callable[..., Tensor]:
    """The function of two tensors; numbers are refused."""
    name = name or operation.op.name

    def function(input: Tensor, other: Tensor) -> Tensor:
        if input.__class__ in NUMBERS or other.__class__ in NUMBERS:
            raise not_a_tensor(name, input=input, other=other)
        return operation(input, other)

    return _named(function, operation, name)


def of_a_tensor(operation: Any, name: str = "") -> Callable[..., Tensor]:
    """The function of a tensor and a tensor or a number."""
    name = name or operation.op.name

    def function(input: Tensor, other: Any) -> Tensor:
        if input.__class__ in NUMBERS:
            raise invalid_combination(name, (input, other), BOTH, SECOND)
        return operation(input, other)

    return _named(function, operation, name)


def of_any(operation: Any, name: str = "") -> Callable[..., Tensor]:
    """The function of two operands, one of which may be a number."""
    name = name or operation.op.name

    def function(input: Any, other: Any) -> Tensor:
        if input.__class__ in NUMBERS and other.__class__ in NUMBERS:
            raise invalid_combination(name, (input, other), BOTH, FIRST, SECOND)
        return operation(input, other)

    return _named(function, operation, name)


def tensor_among(input: Any, other: Any) -> tuple[Any, Any]:
    """The operands; of two numbers the first becomes a tensor."""
    if input.__class__ in NUMBERS and other.__class__ in NUMBERS:
        input = tensor(input)
    return input, other


def of_numbers(operation: Any) -> Callable[..., Tensor]:
    """The function of two operands, each a tensor or a number."""

    def function(input: Any, other: Any) -> Tensor:
        if input.__class__ in NUMBERS:
            input, other = tensor_among(input, other)
        return operation(input, other)

    return _named(function, operation, operation.op.name)
