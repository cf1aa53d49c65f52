"""The other forms of a function: with `out=`, and in place.

One mechanism each, for functions composed of operations: the result is computed, checked and written.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from rushlight import dtypes
from rushlight.autograd.modes import modes, no_grad
from rushlight.ops.inplace import check_castable, check_writable, write
from rushlight.tensor import Tensor


def _tensors_among(values: Any) -> list[Tensor]:
    found = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found.extend(item for item in value if isinstance(item, Tensor))
    return found


def with_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with one more argument, `out`: a tensor (or several) that gets the result and is returned.

    A tensor without elements takes the result's shape; one of another shape does too, with a warning.

    Raises:
        RuntimeError: an argument or `out` requires gradients, or the result's dtype cannot be cast to out's.
    """
    name = function.__name__

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        targets = [out] if isinstance(out, Tensor) else out
        if not isinstance(targets, (list, tuple)) or not all(isinstance(t, Tensor) for t in targets):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
        if modes.grad and any(t._needs_grad for t in _tensors_among([*args, *kwargs.values(), *targets])):
            raise RuntimeError(
                f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
                "arguments requires grad."
            )
        with no_grad():
            result = function(*args, **kwargs)
            for target, value in zip(targets, [result] if isinstance(result, Tensor) else result, strict=True):
                _write_out(target, value, name)
        return out if isinstance(out, Tensor) else _like(result, targets)

    return call


def _like(result: Any, targets: Any) -> Any:
    """The targets in the kind of tuple that the function gives."""
    return type(result)(*targets) if hasattr(result, "_fields") else type(result)(targets)


def _write_out(target: Tensor, value: Tensor, name: str) -> None:
    check_castable(value.dtype, target.dtype)
    if target.shape != value.shape:
        if target.numel():
            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(target.shape)}, which does "
                f"not match the required output shape {list(value.shape)}. This behavior is deprecated, and in a "
                "future release outputs will not be resized unless they have zero elements. You can explicitly reuse "
                "an out tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
                stacklevel=4,
            )
        target._array = value.to(target.dtype).clone()._array
        return
    write(target, value, name)


def in_place_form(function: Callable[..., Any], name: str | None = None) -> Callable[..., Tensor]:
    """The form that writes the function's result into its first argument and returns that.

    Raises:
        RuntimeError: the result has another shape, or a dtype that cannot be cast to the tensor's.
    """
    name = name or function.__name__ + "_"

    def call(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        check_writable(self, modes.grad)
        recorded = modes.grad and any(t._needs_grad for t in _tensors_among([self, *args, *kwargs.values()]))
        source = self.clone() if recorded else self  # formulas may keep what is about to be overwritten
        result = function(source, *args, **kwargs)
        if result._array.shape != self._array.shape:
            raise RuntimeError(
                f"output with shape {list(self.shape)} doesn't match the broadcast shape {list(result.shape)}"
            )
        check_castable(dtypes.from_numpy(result._array.dtype), dtypes.from_numpy(self._array.dtype))
        return write(self, result, name)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"In-place form of `{function.__name__}`: writes the result into the tensor itself and returns it."
    return call
