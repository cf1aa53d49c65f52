"""The path of an operation's call that takes anything: promotion, devices, transforms, programs that are being recorded.

It is written to be read. The calls that make up most of a program take the paths in `short_paths.py`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from numpy import ndarray

from rushlight import dtypes
from rushlight.arrays import kinds, numpy as numpy_arrays
from rushlight.arrays.kinds import DIRECT, namespace_of
from rushlight.arrays.quiet import quiet_value, reset_quiet, set_quiet
from rushlight.autograd.history import note_view
from rushlight.autograd.modes import modes
from rushlight.ops import observers
from rushlight.ops.broadcasting import broadcast_complaint
from rushlight.ops.large import LARGE
from rushlight.ops.namespaces import sparse_arrays, transforms, wrapped
from rushlight.ops.operands import any_needs_grad, as_tensors, on_one_device
from rushlight.ops.precision import NUMBERS, rounded, widened
from rushlight.tensor import Tensor

if TYPE_CHECKING:
    from rushlight.ops.define import Op


def general(op: Op, inputs: tuple, attrs: dict[str, Any] | None = None) -> Any:
    """Calls the operation on anything: promotes dtypes, lifts tensors into a recorded program, records history."""
    tensors = as_tensors(inputs)
    if tensors is None:
        return NotImplemented
    if op.lowered is not None and modes.autocast is not None:
        tensors = op.lowered(tensors)
    if op.elementwise:
        tensors = op.promoted(tensors)
    if observers.count:
        for x in tensors:
            if isinstance(x, Tensor):
                observers.lift(x)
    arrays = tuple([x if x.__class__ in NUMBERS else x._array for x in tensors])
    xp = namespace_of(*arrays)
    if xp not in DIRECT:
        tensors = transforms().lifted(tensors)
        arrays = tuple([x if x.__class__ in NUMBERS else x._array for x in tensors])
        xp = namespace_of(*arrays)
    elif xp is kinds.GPU or xp is sparse_arrays and kinds.GPU is not None:
        tensors = on_one_device(tensors, inputs, op.elementwise)
        arrays = tuple([x if x.__class__ in NUMBERS else x._array for x in tensors])
    out = op.run(xp, arrays, attrs)
    result = wrapped(out) if out.__class__ is not tuple else tuple([wrapped(part) for part in out])
    if op.view:
        note_view(result, tensors[0], op, attrs)
    if op.differentiable and modes.grad and any_needs_grad(tensors):
        op.record(result, tensors, arrays, attrs)
    return result


def run(op: Op, xp: Any, arrays: tuple, attrs: dict[str, Any] | None) -> Any:
    token = set_quiet(quiet_value)
    half = op.half_among(arrays)
    before = -1
    try:
        if xp not in DIRECT:
            return transforms().run(op, arrays, attrs)
        if xp is kinds.GPU or xp is sparse_arrays:
            before = xp.use_device_of(next(a for a in arrays if a.__class__ is xp.ndarray))
        if half is not None:
            if xp is kinds.GPU and (op.elementwise or op.is_fused):
                return op.half_kernel(xp, arrays, attrs)
            arrays = tuple([widened(xp, a) for a in arrays])
        if op.elementwise and xp is numpy_arrays and any(a.__class__ is ndarray and a.size >= LARGE for a in arrays):
            out = op.on_large(arrays, attrs)
        elif op.elementwise and op.direct is None and xp is kinds.GPU:
            out = op.on_gpu(xp, arrays, attrs)
        else:
            out = op.forward(xp, *arrays, **attrs) if attrs else op.forward(xp, *arrays)
        return out if half is None else rounded(xp, out, half, op.num_rounded)
    except (ValueError, TypeError) as error:
        raise op.explained(error, arrays) from None
    finally:
        reset_quiet(token)
        if before >= 0:
            kinds.GPU.cupy.cuda.runtime.setDevice(before)


def on_large(op: Op, arrays: tuple, attrs: dict[str, Any] | None = None) -> Any:
    """The forward function on large arrays: in one pass on all cores, or by NumPy."""
    out = op.large(arrays, attrs)
    return out if out is not None else op.forward(numpy_arrays, *arrays, **(attrs or {}))


def on_gpu(op: Op, xp: Any, arrays: tuple, attrs: dict[str, Any] | None = None) -> Any:
    """The forward function, elementwise, on arrays of a GPU: by one kernel if it has several steps."""
    out = None if op.large.is_one_step else op.large.on_gpu(xp, arrays, attrs)
    return out if out is not None else op.forward(xp, *arrays, **(attrs or {}))


def explained(op: Op, error: Exception, arrays: tuple) -> Exception:
    """PyTorch's error for what NumPy says of shapes and dtypes."""
    if isinstance(error, TypeError):
        if "ufunc" not in str(error) and "numpy boolean" not in str(error):
            return error
        dtype = next(dtypes.from_numpy(a.dtype) for a in arrays if hasattr(a, "dtype"))
        return dtypes.no_kernel(f"{op.name}_cpu", dtype)
    shapes = [a.shape for a in arrays if hasattr(a, "shape")]
    if op.elementwise and len(shapes) > 1:
        for a, b in itertools.pairwise(shapes):
            message = broadcast_complaint(a, b)
            if message:
                return RuntimeError(f"{message} ({op.name}: {', '.join(str(list(s)) for s in shapes)})")
    return RuntimeError(f"{op.name}: {error} (shapes {', '.join(str(list(s)) for s in shapes)})")
