"""Elementwise operations on large arrays: the operation's own function, traced once and run on all cores.

NumPy computes on one core and, for what is composed of several steps, passes over memory once for each. `Large`
compiles an elementwise function for its dtypes (not for a shape) at the second large call. Where that cannot be (arrays
with gaps or of different shapes, dtypes without native code), it gives None and NumPy runs.

On a GPU what is composed of several steps becomes one kernel, for arrays of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.ops.fused import GPU_DTYPES, trace

LARGE = 32_768  # elements: where a second core begins to help
LIMIT = 32  # programs for each function: numbers that are part of a program may take many values


def _never(*operands: Any) -> bool:
    return False


def _one_number(x: Any) -> Any:
    """An array without dimensions in place of one that is the same number everywhere, as the gradient of a sum is."""
    return x if x.size < 2 or any(x.strides) else x[(*(0,) * x.ndim, Ellipsis)]


class Large:
    """`function(xp, *operands, **attrs)` on operands of which the arrays have one shape; or None.

    Args:
        number_inputs: whether Python numbers are inputs of a program, in the dtype of the arrays, and not part of it.
        promote_from: the first operand of that dtype (the condition of `where` is not).
    """

    def __init__(self, function: Callable[..., Any], number_inputs: bool, promote_from: int = 0):
        self.function, self.promote_from = function, promote_from
        self.number_inputs = number_inputs
        self.seen: set[Any] = set()
        self.programs: dict[Any, Any] = {}
        self.is_one_step = False  # known when it is first traced for a GPU: one step is a kernel as it is
        self.last: Callable[..., Any] = _never  # the call of the last program without attributes, tried first

    def __call__(self, operands: Any, attrs: dict[str, Any] | None = None) -> Any:
        if not attrs:
            found = self.last(*operands)
            if found is not False:
                return found
        program = self._program(operands, attrs or {})
        if program is None:
            return None
        if not attrs:
            self.last = program.call
        found = program.call(*self._inputs(operands))
        return None if found is False else found

    def write(self, operands: Any) -> int:
        """Writes the result into the first operand, as far as whole blocks go: how many elements that were."""
        program = self._program(operands, {}, in_place=True)
        if program is None or program.call(*self._inputs(operands)) is not True:
            return 0
        size: int = operands[0].size
        return size - size % program.block

    def on_gpu(self, xp: Any, operands: Any, attrs: dict[str, Any] | None = None) -> Any:
        """The function on arrays of a GPU by one kernel, at the second call; None if it is one step anyway or cannot be."""
        array_class = xp.ndarray
        arrays = [_one_number(x) if x.__class__ is array_class else x for x in operands]
        try:
            key = ("gpu", *[(x.dtype, x.ndim > 0) if x.__class__ is array_class else (x.__class__, x) for x in arrays])
            if attrs:
                key += tuple(attrs.items())
            program = self.programs.get(key, key)
        except TypeError:  # something that cannot be part of a key
            return None
        if program is key:
            if key not in self.seen or len(self.programs) >= LIMIT:
                self.seen.add(key)
                return None
            program = self.programs[key] = self._build_for_gpu(array_class, arrays, attrs or {})
        if program is None:
            return None
        found = program.call(*[x for x in arrays if x.__class__ is array_class])
        return None if found is False else found

    def _build_for_gpu(self, array_class: type, operands: list[Any], attrs: dict[str, Any]) -> Any:
        from rushlight.compiler.cuda_flat import BLOCK, build_flat

        examples = [
            np.empty((BLOCK,) if x.ndim else (), x.dtype) if x.__class__ is array_class else x for x in operands
        ]
        traced = trace(self.function, tuple(examples), attrs, dtypes=GPU_DTYPES)
        if traced is None or traced[2]:
            return None
        graph = traced[0]
        self.is_one_step = len([node for node in graph.nodes() if node.inputs]) <= 1
        if self.is_one_step or not any(x.__class__ is ndarray and x.ndim for x in examples):
            return None
        return build_flat(graph)

    def _program(self, operands: Any, attrs: dict[str, Any], in_place: bool = False) -> Any:
        if self.promote_from and all(x.__class__ is not ndarray for x in operands[self.promote_from :]):
            return None
        key: Any = tuple([self._kind(x) for x in operands])
        if attrs or in_place:
            key += (in_place, *attrs.items())
        try:
            return self.programs[key]
        except KeyError:
            pass
        except TypeError:  # something that cannot be part of a key
            return None
        if key not in self.seen or len(self.programs) >= LIMIT:
            self.seen.add(key)
            return None
        self.programs[key] = program = self._build(operands, attrs, in_place)
        return program

    def _kind(self, x: Any) -> Any:
        if x.__class__ is ndarray:
            return x.dtype.char, x.ndim > 0
        return x.__class__ if self.number_inputs and x.__class__ in (int, float) else (x.__class__, x)

    def _inputs(self, operands: Any) -> list[Any]:
        """The operands, with numbers as arrays if they are inputs."""
        if not self.number_inputs:
            return [x for x in operands if x.__class__ is ndarray]
        dtype = next(x.dtype for x in operands[self.promote_from :] if x.__class__ is ndarray)
        return [x if x.__class__ is ndarray else np.array(x, dtype) for x in operands]

    def _build(self, operands: Any, attrs: dict[str, Any], in_place: bool) -> Any:
        from rushlight.compiler.flat import BLOCK, build_flat

        inputs = self._inputs(operands) if self.number_inputs else operands
        examples = [np.empty((BLOCK,) if x.ndim else (), x.dtype) if x.__class__ is ndarray else x for x in inputs]
        if not any(x.__class__ is ndarray and x.ndim for x in examples):
            return None
        traced = trace(self.function, tuple(examples), attrs)
        if traced is None or traced[2]:
            return None
        graph = traced[0]
        if in_place:
            if graph.outputs[0].dtype != graph.inputs[0].dtype:
                return None
            graph.targets = [0]
        try:
            return build_flat(graph)
        except ImportError:  # there is no llvmlite
            return None
