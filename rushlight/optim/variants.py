"""Parameters and gradients that are not plain real numbers, made so for a method's `update`.

Complex numbers become pairs of real ones; half precision is updated in float32, with float32 state, and rounded once;
of a row-sparse gradient only the rows it has are updated, gathered before and put back after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight import devices
from rushlight.arrays.kinds import namespace_of
from rushlight.arrays.symbolic import DataDependentError, SymbolicArray
from rushlight.ops import observers
from rushlight.ops.complex import view_as_real
from rushlight.ops.copies import cast
from rushlight.ops.create import tensor
from rushlight.ops.precision import HALF
from rushlight.tensor import Tensor, wrap

if TYPE_CHECKING:
    from rushlight.optim.optimizer import Optimizer

FLOAT32 = np.dtype(np.float32)


def update_one(optimizer: Optimizer, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """Runs `optimizer.update` for a parameter of any kind."""
    if grad.is_sparse or not optimizer.takes_dense:
        check_gradient(optimizer, grad)
    if isinstance(group.get("lr"), Tensor) and group["lr"].ndim:
        group = {**group, "lr": group["lr"].reshape(())}
    if grad.is_sparse and optimizer.gathers_rows(group):
        _update_rows(optimizer, param, grad, state, group)
        return
    if group.get("maximize"):
        grad = -grad
    if param._array.dtype.char in HALF:
        widened = wide(param)
        optimizer.update(widened, wide(grad), state, group)
        param.copy_(widened)
    elif optimizer.complex_as_real and param.is_complex():
        optimizer.update(view_as_real(param), view_as_real(grad), _real_state(state), group)
    else:
        optimizer.update(param, grad, state, group)


def check_kind(optimizer: Optimizer, param: Tensor) -> None:
    """Raises RuntimeError for a complex parameter where a method takes none."""
    if not optimizer.takes_complex and param.is_complex():
        raise RuntimeError(f"{type(optimizer).__name__} does not support complex parameters")


def check_gradient(optimizer: Optimizer, grad: Tensor) -> None:
    """Raises RuntimeError for a gradient of the layout that a method does not take."""
    name = type(optimizer).__name__
    if grad.is_sparse and not optimizer.takes_sparse:
        raise RuntimeError(optimizer.sparse_refusal.format(name))
    if not grad.is_sparse and not optimizer.takes_dense:
        if observers.count and observers.recorder() is not None:
            raise DataDependentError(f"{name} needs sparse gradients, and a recorded program's are dense")
        raise RuntimeError(f"{name} does not support dense gradients, please consider Adam instead")


def counter(param: Tensor, group: dict[str, Any], start: float = 0.0) -> Tensor:
    """A counter in a parameter's state: on the CPU, unless it is asked for beside the parameter."""
    is_beside = group.get("capturable") or group.get("fused")
    return tensor(start, device=param.device if is_beside else devices.cpu)


# ---------------------------------------------------------------- rows


def _update_rows(
    optimizer: Optimizer, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    """Updates the rows that a sparse gradient has; of the state, what is of the parameter's shape goes with them."""
    if group.get("weight_decay", 0) != 0:
        raise RuntimeError("weight_decay option is not compatible with sparse gradients")
    at, values = _rows_of(grad)
    shape = param.shape
    rows = {key: x[at] if isinstance(x, Tensor) and x.shape == shape else x for key, x in state.items()}
    row = wide(param[at])
    optimizer.update(row, -wide(values) if group.get("maximize") else wide(values), rows, group)
    param[at] = row
    for key, value in rows.items():
        whole = state[key]
        if isinstance(whole, Tensor) and whole.shape == shape:
            whole[at] = value
        elif whole is not value:
            state[key] = value


def _rows_of(grad: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """The index of the rows of a sparse gradient, and their sums.

    While a program is recorded nothing may depend on how many rows are there twice: these stay, each with the whole sum.
    """
    entries = grad._array
    if not isinstance(entries.values, SymbolicArray):
        entries = entries.coalesced()
        return tuple([wrap(index) for index in entries.indices]), wrap(entries.values)
    xp, values = namespace_of(entries.values), entries.values
    index = xp.reshape(entries.indices, (-1,))
    first = xp.first_places(index, size=entries.shape[0])
    zeros = xp.full(values.shape, 0, values.dtype)
    sums = xp.index_put(zeros, values, first, spec=(("array", 0),), accumulate=True)
    return (wrap(index),), wrap(xp.take(sums, first, axis=0))


# ---------------------------------------------------------------- half precision


def wide_dtype(param: Tensor) -> np.dtype:
    """The dtype of a parameter's state: float32 for half precision."""
    dtype: np.dtype = param._array.dtype
    return FLOAT32 if dtype.char in HALF else dtype


def wide(x: Tensor) -> Tensor:
    """A tensor of half precision in float32; any other as it is."""
    return cast(x, dtype=FLOAT32) if x._array.dtype.char in HALF else x


# ---------------------------------------------------------------- complex numbers


def _real_state(state: dict[str, Any]) -> dict[str, Any]:
    return {key: view_as_real(x) if isinstance(x, Tensor) and x.is_complex() else x for key, x in state.items()}
