"""The waist on dual arrays: forward-mode derivatives.

A `DualArray` is a value (`primal`) and the derivative of that value along a direction (`tangent`; None where it is zero). How an
operation carries tangents on follows from its derivative formulas and is said once, in `rushlight.ops.transforms`. This namespace is
for the formulas of a backward pass over dual arrays: each of its functions is the waist's function on Tensors, which are
operations in turn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.arrays import numpy as numpy_arrays
from rushlight.arrays.kinds import Abstract, Level, numpy_dtype


class Forward(Level):
    """A forward-mode differentiation that is running.

    Attributes:
        is_by_hand: of `autograd.forward_ad`, where gradients may be asked for by tensors from outside.
    """

    is_by_hand = False


class DualArray(Abstract):
    """A value and its tangent, both of kinds of a lower level, of one shape and dtype."""

    __slots__ = ("primal", "tangent")

    @property
    def inner(self) -> Any:
        """What it stands for, beside its tangent."""
        return self.primal

    def __init__(self, level: Forward, primal: Any, tangent: Any):
        self.level, self.primal, self.tangent = level, primal, tangent
        self.shape = tuple(primal.shape)

    @property
    def dtype(self) -> np.dtype:  # type: ignore[override]
        return numpy_dtype(self.primal)

    @property
    def strides(self) -> tuple[int, ...]:
        """In bytes, of the value."""
        return tuple(n * self.itemsize for n in self.primal.stride())

    def __repr__(self) -> str:
        return f"DualArray(level={self.level.depth}, {self.primal!r}, {self.tangent!r})"


class DualArrays:
    """The waist on dual arrays.

    Args:
        of_tensors: the waist on Tensors.
        wrap: makes a Tensor of an array.
        no_tangent: makes zeros, a Tensor to be written to, for a dual array's tangent.
    """

    full = staticmethod(numpy_arrays.full)
    arange = staticmethod(numpy_arrays.arange)
    draw = staticmethod(numpy_arrays.draw)

    def __init__(self, of_tensors: Any, wrap: Any, no_tangent: Any):
        self._of_tensors, self._wrap, self._no_tangent = of_tensors, wrap, no_tangent

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._of_tensors, name)

        def call(*operands: Any, **attrs: Any) -> Any:
            found = function(*[self._tensor(x) for x in operands], **attrs)
            return (
                tuple([part._array for part in found]) if isinstance(found, tuple) else getattr(found, "_array", None)
            )

        call.__name__ = name
        self.__dict__[name] = call
        return call

    def assign(self, target: DualArray, value: Any) -> None:
        """Writes value and tangent into the target's own memory; what has no tangent writes zeros over one."""
        is_dual = isinstance(value, DualArray) and value.level is target.level
        primal, tangent = (value.primal, value.tangent) if is_dual else (value, None)
        xp = self._of_tensors
        xp.assign(target.primal, self._tensor(primal))
        if tangent is not None and target.tangent is None and target.dtype.kind in "fc":
            target.tangent = self._no_tangent(target)
        if target.tangent is not None:
            xp.assign(target.tangent, 0.0 if tangent is None else tangent)

    def _tensor(self, x: Any) -> Any:
        if isinstance(x, (Abstract, np.ndarray)):
            return self._wrap(x)
        if isinstance(x, np.generic):  # as NumPy's sums over all axes are
            return self._wrap(np.asarray(x))
        return [self._tensor(part) for part in x] if isinstance(x, list) else x
