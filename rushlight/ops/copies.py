"""Copies in another dtype and on another device: the operations that others need for their operands.

`ops.operands` calls them by their names in the waist on Tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.arrays import kinds, numpy as numpy_arrays
from rushlight.ops.define import op
from rushlight.ops.namespaces import tensor_arrays
from rushlight.tensor import Tensor


@op(grad_name="ToCopy", waist="astype", wide=False, linear=True)
def cast(xp: Any, x: Any, *, dtype: np.dtype) -> Any:
    """A copy in another dtype."""
    return xp.astype(x, dtype)


cast.derivative(x=lambda xp, grad, x_dtype: xp.astype(grad, x_dtype))


@op(grad_name="ToCopy", wide=False, linear=True)
def moved(xp: Any, x: Any, *, device: Any, source: Any, non_blocking: bool = False) -> Any:
    """A copy on another device than `source`, on which it is; from pinned memory, it may be still to come."""
    if non_blocking and xp is numpy_arrays:
        return kinds.gpu().from_host(x, device, non_blocking=True)
    return xp.to_device(x, device)


moved.derivative(x=lambda xp, grad, device, source: xp.to_device(grad, source))


def to_device(x: Tensor, device: Any, non_blocking: bool = False) -> Tensor:
    """The tensor on a device: itself, if it is there; else a copy that autograd follows."""
    source = x.device
    if source == device:
        return x
    attrs = {"device": device, "source": source}
    if non_blocking and device.type == "cuda":
        attrs["non_blocking"] = True
    return moved.op.general((x,), attrs)


tensor_arrays.to_device = to_device  # type: ignore[attr-defined]
