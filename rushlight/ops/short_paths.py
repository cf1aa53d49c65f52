"""The short paths of an operation's call: on plain NumPy arrays of one dtype, with nobody following.

Each is a closure, built for the operation's number of inputs, that calls NumPy's function itself and makes the result's
Tensor and node in place. These are on every hot path: a change wants `benchmarks/micro.py` before and after. Whatever is
unusual goes to the long path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from rushlight.arrays import numpy as numpy_arrays
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


def unary(op: Op) -> Any:
    forward, general = op.forward, op.general
    compute = op.direct or (forward.of_one if op.is_fused else lambda x: forward(numpy_arrays, x))
    slow, record, elementwise = op.slow, unary_recorder(op), op.elementwise

    def call(x: Tensor) -> Tensor:
        try:
            a = x._array
        except AttributeError:
            if x.__class__ in NUMBERS:
                message = f"{op.name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}"
                raise TypeError(message) from None
            return or_type_error(general((x,)), op, (x,))
        if a.__class__ is not ndarray or observers.count or (a.dtype is not FLOAT32 and a.dtype.char in slow):
            return general((x,))
        token = set_quiet(quiet_value)
        try:
            out = compute(a) if a.size < LARGE or not elementwise else op.on_large((a,))
        except TypeError as error:
            raise op.explained(error, (a,)) from None
        finally:
            reset_quiet(token)
        if out.__class__ is not ndarray:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if x._needs_grad and modes.grad and op.differentiable:
            record(result, x, a, out)
        return result

    return call


def unary_with_attributes(op: Op) -> Any:
    forward, general, record, view = op.forward, op.general, unary_recorder(op), op.view
    slow, elementwise = op.slow, op.elementwise
    compute = forward.of_one if op.is_fused else lambda x, attrs: forward(numpy_arrays, x, **attrs)

    def call(x: Any, **attrs: Any) -> Any:
        try:
            a = x._array
        except AttributeError:
            return or_type_error(general((x,), attrs), op, (x,))
        if a.__class__ is not ndarray or observers.count:
            return general((x,), attrs)
        dtype = a.dtype
        if dtype is not FLOAT32 and (dtype.char in slow or elementwise and dtype.kind != "f"):
            return general((x,), attrs)
        token = set_quiet(quiet_value)
        try:
            out = op.on_large((a,), attrs) if elementwise and a.size >= LARGE else compute(a, attrs)
        except (ValueError, TypeError) as error:
            raise op.explained(error, (a,)) from None
        finally:
            reset_quiet(token)
        if out.__class__ is not ndarray:
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


def binary(op: Op) -> Any:
    compute, general = op.direct or (lambda x, y: op.forward(numpy_arrays, x, y)), op.general
    slow, record = op.slow, binary_recorder(op)

    def of_number(x: Any, y: Any) -> Any:
        """A Python number and a tensor, in this order; anything else takes the long path."""
        kind, b = x.__class__, getattr(y, "_array", None)
        if (
            (kind is not float and kind is not int)
            or b.__class__ is not ndarray
            or observers.count
            or b.dtype.char not in "fd"
        ):
            return general((x, y))
        token = set_quiet(quiet_value)
        try:
            out = compute(x, b) if b.size < LARGE else op.on_large((x, b))
        finally:
            reset_quiet(token)
        result = wrapped(out)
        if y._needs_grad and modes.grad and op.differentiable:
            op.record(result, (x, y), (x, b), None)
        return result

    def call(x: Any, y: Any) -> Any:
        try:
            a = x._array
            kind = y.__class__
            if kind is float or kind is int:
                b = y
                if a.__class__ is not ndarray or observers.count or a.dtype.char not in "fd":
                    return general((x, y))
                y_needs_grad = False
            else:
                b = y._array
                dtype = a.dtype
                if (
                    dtype is not b.dtype
                    or a.__class__ is not ndarray
                    or b.__class__ is not ndarray
                    or observers.count
                    or (dtype is not FLOAT32 and dtype.char in slow)
                ):
                    return general((x, y))
                y_needs_grad = y._needs_grad
        except AttributeError:
            return of_number(x, y)
        token = set_quiet(quiet_value)
        try:
            out = compute(a, b) if a.size < LARGE else op.on_large((a, b))
        except (ValueError, TypeError) as error:
            raise op.explained(error, (a, b)) from None
        finally:
            reset_quiet(token)
        if out.__class__ is not ndarray:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if (y_needs_grad or x._needs_grad) and modes.grad and op.differentiable:
            record(result, x, y, a, b, out, y_needs_grad)
        return result

    return call


def pair(op: Op) -> Any:
    """For two tensors of one dtype that are not elements of each other: a matrix product."""
    compute, general = op.direct or (lambda x, y: op.forward(numpy_arrays, x, y)), op.general
    slow, record = op.slow, binary_recorder(op)

    def call(x: Any, y: Any) -> Any:
        try:
            a, b = x._array, y._array
        except AttributeError:
            return or_type_error(general((x, y)), op, (x, y))
        dtype = a.dtype
        if (
            observers.count
            or a.__class__ is not ndarray
            or b.__class__ is not ndarray
            or (dtype is not FLOAT32 and dtype.char in slow)
            or (b.dtype is not dtype and b.dtype.char in slow)
        ):
            return general((x, y))
        token = set_quiet(quiet_value)
        try:
            out = compute(a, b)
        except (ValueError, TypeError) as error:
            raise op.explained(error, (a, b)) from None
        finally:
            reset_quiet(token)
        if out.__class__ is not ndarray:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if (x._needs_grad or y._needs_grad) and modes.grad and op.differentiable:
            record(result, x, y, a, b, out, y._needs_grad)
        return result

    return call


def nary(op: Op) -> Any:
    elementwise, forward, general, record, view = op.elementwise, op.forward, op.general, op.record_plain, op.view
    slow, several = op.slow, len(op.outputs) > 1

    def call(*inputs: Any, **attrs: Any) -> Any:
        if observers.count or several or (elementwise and len(inputs) > 1):
            return or_type_error(general(inputs, attrs), op, inputs)
        needs_grad, arrays = False, []
        for x in inputs:
            try:
                a = x._array
            except AttributeError:
                return or_type_error(general(inputs, attrs), op, inputs)
            if a.__class__ is not ndarray:
                return general(inputs, attrs)
            dtype = a.dtype
            if dtype is not FLOAT32 and (dtype.char in slow or elementwise and dtype.kind != "f"):
                return general(inputs, attrs)
            arrays.append(a)
            if x._needs_grad:
                needs_grad = True
        token = set_quiet(quiet_value)
        try:
            if elementwise and a.size >= LARGE:
                out = op.on_large(tuple(arrays), attrs)
            else:
                out = forward(numpy_arrays, *arrays, **attrs)
        except (ValueError, TypeError) as error:
            raise op.explained(error, tuple(arrays)) from None
        finally:
            reset_quiet(token)
        if out.__class__ is not ndarray:
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
