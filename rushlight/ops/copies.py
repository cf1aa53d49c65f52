"""Copies in another dtype and on another device: the operations that others need for their operands.

`ops.operands` calls them by their names in the waist on Tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.ops.define import op
from rushlight.ops.namespaces import tensor_arrays
from rushlight.tensor import Tensor


@op(grad_name="ToCopy", waist="astype", wide=False, linear=True)
def cast(xp: Any, x: Any, *, dtype: np.dtype) -> Any:
    """A copy in another dtype."""
    return xp.astype(x, dtype)


cast.derivative(x=lambda xp, grad, x_dtype: xp.astype(grad, x_dtype))


@op(grad_name="ToCopy", wide=False, linear=True)
def moved(xp: Any, x: Any, *, device: Any, source: Any) -> Any:
    """A copy on another device than `source`, on which it is."""
    return xp.to_device(x, device)


moved.derivative(x=lambda xp, grad, device, source: xp.to_device(grad, source))


def to_device(x: Tensor, device: Any) -> Tensor:
    """The tensor on a device: itself, if it is there; else a copy that autograd follows."""
    source = x.device
    return x if source == device else moved.op.general((x,), {"device": device, "source": source})


tensor_arrays.to_device = to_device  # type: ignore[attr-defined]
