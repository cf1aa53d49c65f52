"""Parameter and Buffer: tensors that a module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any

from rushlight.tensor import Tensor, wrap


class Parameter(Tensor):
    """A tensor that is a module's parameter: assigned to an attribute of a module, `parameters()` lists it.

    Args:
        data: its value; the memory is shared. Default: empty.
        requires_grad: whether gradients reach it.

    Raises:
        RuntimeError: gradients are asked for, of integers.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.Parameter(torch.ones(2))
        Parameter containing:
        tensor([1., 1.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        parameter = wrap(_array_of(data, "Parameter"), cls)
        if requires_grad and not (parameter.is_floating_point() or parameter.is_complex()):
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        parameter._needs_grad = bool(requires_grad)
        return parameter

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """A copy of the values; the gradient is left behind."""
        if id(self) in memo:
            return memo[id(self)]
        result = wrap(self._array.copy(), type(self))
        result._needs_grad = self._needs_grad
        memo[id(self)] = result
        return result

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that is a module's buffer: part of its state, but not trained.

    Args:
        data: its value; the memory is shared. Default: empty.
        persistent: whether `state_dict()` has it.

    Example:
        >>> import rushlight as torch
        >>> module = torch.nn.Module()
        >>> module.count = torch.nn.Buffer(torch.zeros(1))
        >>> list(module.state_dict())
        ['count']
    """

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        buffer = wrap(_array_of(data, "Buffer"), cls)
        buffer.persistent = persistent
        return buffer


def _array_of(data: Tensor | None, name: str) -> Any:
    if data is None:
        from rushlight.ops.create import empty

        return empty(0)._array
    if not isinstance(data, Tensor):
        raise TypeError(f"{name}(): argument 'data' (position 1) must be Tensor, not {type(data).__name__}")
    return data._array
