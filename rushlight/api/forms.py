"""The other forms of a function: with `out=`, and in place.

One mechanism each, for functions composed of operations: the result is computed, checked and written.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.arrays.kinds import Abstract, share_memory
from rushlight.autograd.modes import modes, no_grad
from rushlight.ops import namespaces
from rushlight.ops.inplace import check_castable, check_writable, write
from rushlight.tensor import Tensor


def of_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a function that reads its arguments' values, and has no derivative, be called inside transforms."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for x in (*args, *kwargs.values()):
            if isinstance(getattr(x, "_array", None), Abstract):
                return namespaces.transforms().of_values(call, args, kwargs)
        return function(*args, **kwargs)

    return call


def holds(condition: Tensor) -> bool:
    """Whether a condition is true for all elements; inside `vmap`, of all examples."""
    if isinstance(condition._array, Abstract):
        condition = namespaces.transforms().of_all_examples(condition)
    return bool(condition.all())


def _tensors_among(values: Any) -> list[Tensor]:
    found = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found.extend(item for item in value if isinstance(item, Tensor))
    return found


# Functions that read their inputs while they write: `out` must not lie in the same memory.
APART = frozenset(
    {"cat", "concat", "concatenate", "gather", "index_select", "kthvalue", "masked_select", "stack", "take"}
)


def _require_apart(target: Tensor, inputs: list[Tensor]) -> None:
    for x in inputs:
        arrays = target._array, x._array
        if share_memory(*arrays):
            raise RuntimeError(
                "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single "
                "memory location. Please clone() the tensor before performing the operation."
            )


EXACT = frozenset({"amax", "amin", "aminmax", "gather"})  # functions whose `out` must have the dtype of the result
_C_NAMES = {"float32": "float", "float64": "double", "int64": "long int", "int32": "int"}


def _require_dtype(target: Tensor, value: Tensor, name: str) -> None:
    given, wanted = target.dtype.name, value.dtype.name
    if given == wanted:
        return
    if name in ("amax", "amin"):
        names = dtypes.LEGACY_NAMES
        raise RuntimeError(
            f"Expected the dtype for input and out to match, but got {names[wanted]} for input's dtype and "
            f"{names[given]} for out's dtype."
        )
    raise RuntimeError(
        f"Expected out tensor to have dtype {_C_NAMES.get(wanted, wanted)}, but got {_C_NAMES.get(given, given)} instead"
    )


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
        for target in targets:
            check_writable(target, False)
            if name in APART:
                _require_apart(target, _tensors_among([*args, *kwargs.values()]))
        with no_grad():
            result = function(*args, **kwargs)
            for target, value in zip(targets, [result] if isinstance(result, Tensor) else result, strict=True):
                if name in EXACT:
                    _require_dtype(target, value, name)
                _write_out(target, value, name)
        return out if isinstance(out, Tensor) else _like(result, targets)

    operation = getattr(function, "op", None)
    return call if operation is None or operation.attributes else _with_names(function, call, len(operation.inputs))


def _with_names(function: Callable[..., Any], written: Callable[..., Any], num_inputs: int) -> Callable[..., Any]:
    """`with_out` of an operation: fixed parameters have names, and a call takes half the time of one by `*args`."""
    if num_inputs == 1:

        def of_one(input: Any, *, out: Any = None) -> Any:
            return function(input) if out is None else written(input, out=out)

        return functools.update_wrapper(of_one, function)

    def of_two(input: Any, other: Any, *, out: Any = None) -> Any:
        return function(input, other) if out is None else written(input, other, out=out)

    return functools.update_wrapper(of_two, function)


def created_with_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """`with_out` for functions that make new tensors: they make them in the dtype of `out`.

    Raises:
        RuntimeError: another dtype is asked for.
    """
    into = with_out(function)

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, dtype=dtype, **kwargs)
        if dtype is not None and dtypes.as_numpy(dtype) != out._array.dtype:
            names = dtypes.LEGACY_NAMES
            given = names[dtypes.from_numpy(dtypes.as_numpy(dtype)).name]
            raise RuntimeError(f"dtype {given} does not match dtype of out parameter ({names[out.dtype.name]})")
        return into(*args, dtype=out.dtype, out=out, **kwargs)

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
        recorded = modes.grad and (
            isinstance(self._array, Abstract)
            or any(t._needs_grad for t in _tensors_among([self, *args, *kwargs.values()]))
        )
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


def numpy_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with NumPy's names of arguments as well: `axis` for `dim`, `keepdims` for `keepdim`."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            if "axis" in kwargs:
                kwargs["dim"] = kwargs.pop("axis")
            if "keepdims" in kwargs:
                kwargs["keepdim"] = kwargs.pop("keepdims")
        return function(*args, **kwargs)

    return call


def shown_as(name: str) -> Callable[..., Any]:
    """For a function composed of operations: its results' `grad_fn` shows this name, as PyTorch's does."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            for part in result if result.__class__ is tuple else (result,):
                if part._node is not None and not any(part is x for x in args):
                    part._node.__class__ = _renamed(part._node.__class__, name)
            return result

        return call

    return decorate


@functools.cache
def _renamed(node_class: type, name: str) -> type:
    return type(name, (node_class,), {"__slots__": ()})
