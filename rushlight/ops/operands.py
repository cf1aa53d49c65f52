"""What an operation on the long path makes of what it is given: tensors and numbers, of one dtype, on one device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from rushlight import dtypes
from rushlight.arrays import kinds, symbolic as symbolic_arrays
from rushlight.arrays.kinds import Abstract
from rushlight.ops.namespaces import tensor_arrays
from rushlight.ops.observers import HostNumber
from rushlight.ops.precision import NUMBERS
from rushlight.tensor import Tensor, wrap

if TYPE_CHECKING:
    from rushlight.ops.define import Op


def as_tensors(inputs: tuple) -> tuple | None:
    """Inputs as tensors and Python numbers; None if one is neither and cannot become one."""
    converted = []
    for x in inputs:
        if isinstance(x, Tensor) or x.__class__ in NUMBERS or isinstance(x, HostNumber):
            converted.append(x)
        elif isinstance(x, (ndarray, Abstract)) or kinds.GPU is not None and x.__class__ is kinds.GPU.ndarray:
            converted.append(wrap(x))
        elif isinstance(x, (np.number, np.bool_)):
            converted.append(x.item())
        elif isinstance(x, (int, float)):
            converted.append(float(x) if isinstance(x, float) else int(x))
        else:
            return None
    return tuple(converted)


def promoted(op: Op, inputs: tuple) -> tuple:
    """The operands with one dtype, by PyTorch's rules. Python numbers stay numbers, of the right type."""
    fixed, operands = inputs[: op.promote_from], inputs[op.promote_from :]
    target = dtypes.result_type_of_kinds(*[_promotion_kind(x) for x in operands])
    if op.floats and target.kind not in "fc":
        target = dtypes.get_default_dtype()
    if target.kind in op.refuses or "B" in op.refuses and any(map(_is_boolean, operands)):
        raise dtypes.no_kernel(f"{op.name}_cpu", target)
    return (*fixed, *[_converted(x, target) for x in operands])


def _promotion_kind(x: Any) -> Any:
    """What `dtypes.result_type_of_kinds` wants to know of an operand."""
    if x.__class__ in NUMBERS:
        return x.__class__
    return float if isinstance(x, HostNumber) else (dtypes.from_numpy(x._array.dtype), x._array.ndim)


def _is_boolean(x: Any) -> bool:
    return x.__class__ is bool or isinstance(x, Tensor) and x._array.dtype == np.bool_


def any_needs_grad(tensors: tuple) -> bool:
    return any(isinstance(x, Tensor) and x._needs_grad for x in tensors)


def _converted(x: Any, target: dtypes.dtype) -> Any:
    """An operand in the dtype of the operation."""
    if x.__class__ in NUMBERS:
        if target.kind == "f":
            return float(x)
        if target.kind == "c":
            return complex(x)
        return bool(x) if target.kind == "b" else np.asarray(x).astype(target.numpy).item()  # wraps around
    if isinstance(x, HostNumber):
        return wrap(symbolic_arrays.astype(x.symbol, target.numpy))
    return x if x._array.dtype == target.numpy else tensor_arrays.astype(x, dtype=target.numpy)


def or_type_error(result: Any, op: Op, inputs: tuple) -> Any:
    if result is NotImplemented:
        wrong = next(x for x in inputs if not isinstance(x, (Tensor, ndarray, np.generic, *NUMBERS)))
        raise TypeError(
            f"{op.name}(): argument '{(op.inputs or ['tensors'])[0]}' must be Tensor, not {type(wrong).__name__}"
        )
    return result


def on_several_devices(found: Any) -> RuntimeError:
    """PyTorch's error for operands on these devices, None for what is on none."""
    names = sorted({str(device) for device in found if device is not None}, reverse=True)
    return RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, {names[0]} and {names[1]}! "
        "`.to(device)` moves a tensor."
    )


def on_one_device(tensors: tuple, given: tuple, is_elementwise: bool) -> tuple:
    """Operands of which some are on a GPU. Numbers on the CPU go there, as in PyTorch; no other tensors do.

    Args:
        given: what the operands were made of: arrays of NumPy, a formula's constants, go where the tensors are.

    Raises:
        RuntimeError: they are on several devices.
    """
    found = [None if x.__class__ in NUMBERS else x.device for x in tensors]
    target = next((device for device, x in zip(found, tensors, strict=True) if device and device.type == "cuda"), None)
    if target is None:  # sparse ones, all on the CPU
        return tensors
    result = []
    for x, device, original in zip(tensors, found, given, strict=True):
        if device is not None and device != target:
            if original.__class__ is not ndarray and (device.type != "cpu" or not is_elementwise or x._array.ndim):
                raise on_several_devices(found)
            x = tensor_arrays.to_device(x, target)
        result.append(x)
    return tuple(result)
