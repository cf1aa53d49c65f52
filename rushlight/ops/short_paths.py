"""The short paths of an operation's call: on plain arrays of one kind and dtype, with nobody following.

Each is a closure, built for the operation's number of inputs and a kind of array (its namespace `xp`), that calls the kind's
own function and makes the result's Tensor and node in place. NumPy's are made with the operation; those of GPUs when the
operation first meets an array of one, which `Next` leads to. Whatever is unusual goes to the long path.

These are on every hot path: a change wants `benchmarks/micro.py` before and after.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight.arrays import kinds, numpy as numpy_arrays
from rushlight.arrays.quiet import quiet_value, reset_quiet, set_quiet
from rushlight.autograd.history import note_view
from rushlight.autograd.modes import modes
from rushlight.ops import observers
from rushlight.ops.large import LARGE
from rushlight.ops.namespaces import wrapped
from rushlight.ops.nodes import binary_recorder, unary_recorder
from rushlight.ops.operands import or_type_error
from rushlight.ops.precision import FLOAT32, NUMBERS
from rushlight.tensor import Tensor

if TYPE_CHECKING:
    from rushlight.ops.define import Op

_new = object.__new__


class Next:
    """Where a short path sends arrays of another kind than its own: `call` is the short path of GPUs, or the long one."""

    __slots__ = ("call",)

    def __init__(self, op: Op, xp: Any):
        def long(*inputs: Any, **attrs: Any) -> Any:
            return op.general(inputs, attrs or None)

        def first(*inputs: Any, **attrs: Any) -> Any:
            if kinds.GPU is None:
                return op.general(inputs, attrs or None)
            self.call = short_path(op, kinds.GPU)
            return self.call(*inputs, **attrs)

        self.call: Callable[..., Any] = first if xp is numpy_arrays else long


def short_path(op: Op, xp: Any = numpy_arrays) -> Callable[..., Any]:
    """The function that users call, on arrays of NumPy; or the same on those of GPUs."""
    plain = not (op.variadic or op.attributes or op.view) and len(op.outputs) == 1
    if plain and len(op.inputs) == 2 and not op.elementwise:
        return _pair(op, xp)
    if len(op.inputs) == 1 and not op.variadic and len(op.outputs) == 1:
        return _unary_with_attributes(op, xp) if op.attributes or op.view else _unary(op, xp)
    if op.elementwise and len(op.inputs) == 2 and not op.attributes:
        return _binary(op, xp)
    return _nary(op, xp)


# ---------------------------------------------------------------- what differs between the kinds


def function_on(op: Op, xp: Any) -> Callable[..., Any]:
    """The kind's own function, of an operation that is nothing but that."""
    function = getattr(xp, op.direct_name)
    return getattr(function, "plain", function)  # of those that take other operands, too


def _function(op: Op, xp: Any) -> Callable[..., Any]:
    """What computes on one or two arrays."""
    forward = op.forward
    if op.direct is not None:
        return function_on(op, xp)
    if xp is numpy_arrays and op.is_fused and len(op.inputs) == 1:
        return forward.of_one
    if xp is not numpy_arrays and op.elementwise:
        return lambda *arrays: op.on_gpu(xp, arrays)
    if len(op.inputs) == 1:
        return lambda x: forward(xp, x)
    return lambda x, y: forward(xp, x, y)


def _function_with_attributes(op: Op, xp: Any) -> Callable[..., Any]:
    """What computes on an array, given a dictionary of attributes."""
    forward = op.forward
    if xp is numpy_arrays and op.is_fused:
        return forward.of_one
    if xp is not numpy_arrays and op.elementwise:
        return lambda x, attrs: op.on_gpu(xp, (x,), attrs)
    return lambda x, attrs: forward(xp, x, **attrs)


def _large(xp: Any) -> int:
    """From how many elements on an elementwise operation is for `op.on_large`."""
    return LARGE if xp is numpy_arrays else sys.maxsize


def _elsewhere(xp: Any) -> Callable[..., bool] | None:
    """Tells whether arrays are on another device than the current one; None where there is only one."""
    return None if xp is numpy_arrays or xp.num_devices() == 1 else xp.are_elsewhere


# ---------------------------------------------------------------- the closures


def _unary(op: Op, xp: Any) -> Any:
    general, further, compute = op.general, Next(op, xp), _function(op, xp)
    kind, large, elsewhere = xp.ndarray, _large(xp), _elsewhere(xp)
    slow, record, elementwise = op.slow, unary_recorder(op), op.elementwise

    def call(x: Tensor) -> Tensor:
        try:
            a = x._array
        except AttributeError:
            if x.__class__ in NUMBERS:
                message = f"{op.name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}"
                raise TypeError(message) from None
            return or_type_error(general((x,)), op, (x,))
        if a.__class__ is not kind:
            return further.call(x)
        if observers.count or (a.dtype is not FLOAT32 and a.dtype.char in slow) or elsewhere and elsewhere(a):
            return general((x,))
        token = set_quiet(quiet_value)
        try:
            out = compute(a) if a.size < large or not elementwise else op.on_large((a,))
        except (ValueError, TypeError) as error:
            raise op.explained(error, (a,)) from None
        finally:
            reset_quiet(token)
        if out.__class__ is not kind:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if x._needs_grad and modes.grad and op.differentiable:
            record(result, x, a, out)
        return result

    return call


def _unary_with_attributes(op: Op, xp: Any) -> Any:
    general, further, compute = op.general, Next(op, xp), _function_with_attributes(op, xp)
    kind, large, elsewhere = xp.ndarray, _large(xp), _elsewhere(xp)
    slow, record, elementwise, view = op.slow, unary_recorder(op), op.elementwise, op.view

    def call(x: Any, **attrs: Any) -> Any:
        try:
            a = x._array
        except AttributeError:
            return or_type_error(general((x,), attrs), op, (x,))
        if a.__class__ is not kind:
            return further.call(x, **attrs)
        if observers.count or elsewhere and elsewhere(a):
            return general((x,), attrs)
        dtype = a.dtype
        if dtype is not FLOAT32 and (dtype.char in slow or elementwise and dtype.kind != "f"):
            return general((x,), attrs)
        token = set_quiet(quiet_value)
        try:
            out = op.on_large((a,), attrs) if elementwise and a.size >= large else compute(a, attrs)
        except (ValueError, TypeError) as error:
            raise op.explained(error, (a,)) from None
        finally:
            reset_quiet(token)
        if out.__class__ is not kind:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if view:
            note_view(result, x, op, attrs)
        if x._needs_grad and modes.grad and op.differentiable:
            record(result, x, a, out, attrs)
        return result

    return call


def _binary(op: Op, xp: Any) -> Any:
    general, further, compute = op.general, Next(op, xp), _function(op, xp)
    kind, large, elsewhere, on_cpu = xp.ndarray, _large(xp), _elsewhere(xp), xp is numpy_arrays
    slow, record = op.slow, binary_recorder(op)

    def of_number(x: Any, y: Any) -> Any:
        """A Python number and a tensor, in this order; anything else takes the long path."""
        b = getattr(y, "_array", None)
        if x.__class__ is not float and x.__class__ is not int:
            return general((x, y))
        if b.__class__ is not kind:
            return further.call(x, y)
        if observers.count or b.dtype.char not in "fd" or elsewhere and elsewhere(b):
            return general((x, y))
        if not on_cpu:
            x = float(x)
        token = set_quiet(quiet_value)
        try:
            out = compute(x, b) if b.size < large else op.on_large((x, b))
        finally:
            reset_quiet(token)
        result = wrapped(out)
        if y._needs_grad and modes.grad and op.differentiable:
            op.record(result, (x, y), (x, b), None)
        return result

    def call(x: Any, y: Any) -> Any:
        other = y.__class__
        try:
            a = x._array
            b = y if other is float or other is int else y._array
        except AttributeError:
            return of_number(x, y)
        if a.__class__ is not kind:
            return further.call(x, y)
        dtype = a.dtype
        if b is y:  # a number
            if observers.count or dtype.char not in "fd" or elsewhere and elsewhere(a):
                return general((x, y))
            if not on_cpu:  # CuPy has rules of its own for integers beyond 64 bits
                b = y = float(y)
            y_needs_grad = False
        else:
            if (
                dtype is not b.dtype
                or b.__class__ is not kind
                or observers.count
                or (dtype is not FLOAT32 and dtype.char in slow)
                or elsewhere
                and elsewhere(a, b)
            ):
                return general((x, y))
            y_needs_grad = y._needs_grad
        token = set_quiet(quiet_value)
        try:
            out = compute(a, b) if a.size < large else op.on_large((a, b))
        except (ValueError, TypeError) as error:
            raise op.explained(error, (a, b)) from None
        finally:
            reset_quiet(token)
        if out.__class__ is not kind:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if (y_needs_grad or x._needs_grad) and modes.grad and op.differentiable:
            record(result, x, y, a, b, out, y_needs_grad)
        return result

    return call


def _pair(op: Op, xp: Any) -> Any:
    """For two tensors of one dtype that are not elements of each other: a matrix product."""
    general, further, compute = op.general, Next(op, xp), _function(op, xp)
    kind, elsewhere = xp.ndarray, _elsewhere(xp)
    slow, record = op.slow, binary_recorder(op)

    def call(x: Any, y: Any) -> Any:
        try:
            a, b = x._array, y._array
        except AttributeError:
            return or_type_error(general((x, y)), op, (x, y))
        if a.__class__ is not kind:
            return further.call(x, y)
        dtype = a.dtype
        if (
            observers.count
            or b.__class__ is not kind
            or (dtype is not FLOAT32 and dtype.char in slow)
            or (b.dtype is not dtype and b.dtype.char in slow)
            or elsewhere
            and elsewhere(a, b)
        ):
            return general((x, y))
        token = set_quiet(quiet_value)
        try:
            out = compute(a, b)
        except (ValueError, TypeError) as error:
            raise op.explained(error, (a, b)) from None
        finally:
            reset_quiet(token)
        if out.__class__ is not kind:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if (x._needs_grad or y._needs_grad) and modes.grad and op.differentiable:
            record(result, x, y, a, b, out, y._needs_grad)
        return result

    return call


def _nary(op: Op, xp: Any) -> Any:
    forward, general, further, record = op.forward, op.general, Next(op, xp), op.record_plain
    kind, large, elsewhere, on_cpu = xp.ndarray, _large(xp), _elsewhere(xp), xp is numpy_arrays
    slow, several, elementwise, view = op.slow, len(op.outputs) > 1, op.elementwise, op.view
    first = op.promote_from

    def call(*inputs: Any, **attrs: Any) -> Any:
        if observers.count or several:
            return or_type_error(general(inputs, attrs), op, inputs)
        needs_grad, arrays = False, []
        for x in inputs:
            try:
                a = x._array
            except AttributeError:
                return or_type_error(general(inputs, attrs), op, inputs)
            if a.__class__ is not kind:
                return general(inputs, attrs) if arrays else further.call(*inputs, **attrs)
            dtype = a.dtype
            if dtype is not FLOAT32 and dtype.char in slow:
                return general(inputs, attrs)
            arrays.append(a)
            if x._needs_grad:
                needs_grad = True
        if elementwise:
            if dtype.kind != "f":
                return general(inputs, attrs)
            for b in arrays[first:]:
                if b.dtype is not dtype:
                    return general(inputs, attrs)
        if elsewhere and elsewhere(*arrays):
            return general(inputs, attrs)
        token = set_quiet(quiet_value)
        try:
            if elementwise and (a.size >= large or arrays[0].size >= large):
                out = op.on_large(tuple(arrays), attrs)
            elif elementwise and not on_cpu:
                out = op.on_gpu(xp, tuple(arrays), attrs)
            else:
                out = forward(xp, *arrays, **attrs)
        except (ValueError, TypeError) as error:
            raise op.explained(error, tuple(arrays)) from None
        finally:
            reset_quiet(token)
        if out.__class__ is not kind:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if view:
            note_view(result, inputs[0], op, attrs)
        if needs_grad and modes.grad and op.differentiable:
            record(result, inputs, arrays, attrs)
        return result

    return call
