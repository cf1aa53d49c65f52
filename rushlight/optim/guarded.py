"""Updates that are taken back if they wrote NaN or Inf (`Optimizer.skip_nonfinite`).

What an update will write is copied before, and looked at after it; if anything is not finite, all of it is put back, of
all parameters, and the update is counted. While a program is recorded nothing branches on a value: `where` chooses.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from rushlight.compiler.trace import paused
from rushlight.ops.create import ones, tensor
from rushlight.ops.elementwise import isfinite, logical_and, logical_not, where
from rushlight.optim.each import Pending
from rushlight.tensor import Tensor, wrap

if TYPE_CHECKING:
    from rushlight.optim.optimizer import Optimizer


class Counter:
    """How many updates were taken back: a tensor, since a compiled step counts too."""

    def __init__(self) -> None:
        self.count: Tensor | None = None

    def tensor(self) -> Tensor:
        if self.count is None:
            with paused():
                self.count = tensor(0, device="cpu")
        return self.count

    def value(self) -> int:
        return 0 if self.count is None else int(self.count)

    def add(self, optimizer: Optimizer) -> None:
        """Counts an update that was taken back, and says so."""
        count: Any = self.tensor()
        count += 1
        warnings.warn(
            f"{type(optimizer).__name__}: an update would have written NaN or Inf and was not made; {self.value()} so far",
            RuntimeWarning,
            stacklevel=6,
        )


def update_if_finite(optimizer: Optimizer, pending: Pending, update: Callable[[], None]) -> None:
    """Runs an update of these parameters; puts everything back if not all that it wrote is finite."""
    saved = [_Saved(optimizer, param, grad) for param, grad, _, _ in pending]
    update()
    if not all(each.is_finite() for each in saved):
        for each in saved:
            each.restore()
        optimizer._skipped.add(optimizer)


class _Saved:
    """A parameter and its state before an update: of a sparse gradient's parameter the rows it has."""

    def __init__(self, optimizer: Optimizer, param: Tensor, grad: Tensor):
        self.optimizer, self.param = optimizer, param
        self.state = dict(optimizer.state.get(param, {}))
        self.at: Any = tuple([wrap(index) for index in grad._array.indices]) if grad.is_sparse else ...
        tensors = [param, *[value for value in self.state.values() if isinstance(value, Tensor)]]
        self.copies = [(x, self._part(x).clone()) for x in tensors]

    def _part(self, x: Tensor) -> Tensor:
        return x[self.at] if x.shape == self.param.shape else x

    def is_finite(self) -> bool:
        tensors = [self.param, *[x for x in self.optimizer.state.get(self.param, {}).values() if isinstance(x, Tensor)]]
        return all(_all_finite(self._part(x)) for x in tensors)

    def restore(self) -> None:
        for x, copy in self.copies:
            if x.shape == self.param.shape:
                x[self.at] = copy
            else:
                x.copy_(copy)
        own = self.optimizer.state[self.param]
        own.clear()
        own.update(self.state)
        if not own:
            del self.optimizer.state[self.param]


def _all_finite(x: Tensor) -> bool:
    """On the CPU one pass without another array: a sum that is finite is one of finite numbers."""
    array = x._array
    if array.dtype.kind in "biu":
        return True
    if type(array) is not ndarray:
        return bool(isfinite(x).all())
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.add.reduce(array, axis=None)) or np.isfinite(array).all())


def recorded_update_if_finite(optimizer: Optimizer, pending: Pending, update: Callable[[], None]) -> None:
    """The same for a recorded program."""
    before = [
        [(x, x.clone()) for x in (param, *state.values()) if isinstance(x, Tensor)] for param, _, state, _ in pending
    ]
    update()
    is_finite = ones((), dtype=bool)
    for tensors in before:
        for x, _ in tensors:
            if x.is_floating_point() or x.is_complex():
                is_finite = logical_and(is_finite, isfinite(x).all())
    for tensors in before:
        for x, old in tensors:
            x.copy_(where(is_finite, x, old))
    count = optimizer._skipped.tensor()
    count += logical_not(is_finite)
