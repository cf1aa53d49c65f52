"""Composite operations in one pass: an operation's own forward or derivative, traced once and compiled.

In NumPy a softmax is five passes over memory and a GELU eleven. `Fused` wraps such a function: after a few calls
with the same shapes and dtypes it is recorded on symbolic arrays, compiled, and run as one native program over new
memory. Until then, and wherever it cannot be (no compiler, arrays with gaps, two threads at once), NumPy runs it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays import numpy as numpy_arrays, symbolic as symbolic_arrays
from rushlight.arrays.symbolic import Node, SymbolicArray, symbolic

LARGE = 100_000  # elements: compiled at the second call
PATIENCE = 20  # calls with small arrays before compiling, which takes some 50 ms
LIMIT = 64  # signatures for each function


class Fused:
    """`function(xp, *arrays, **attrs)` that gets quicker when it is called again and again."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self.calls: dict[tuple, int] = {}
        self.programs: dict[tuple, _Program | None] = {}  # None: cannot be compiled

    def __call__(self, xp: Any, *arrays: Any, **attrs: Any) -> Any:
        if xp is not numpy_arrays:
            return self.function(xp, *arrays, **attrs)
        try:
            key = tuple([(a.shape, a.dtype.char) if a.__class__ is ndarray else a for a in arrays])
            if attrs:
                key += tuple(attrs.values())
            program = self.programs.get(key)
        except TypeError:  # something that cannot be part of a key
            return self.function(xp, *arrays, **attrs)
        if program is not None:
            results = program.run(arrays)
            if results is not None:
                return results
        elif key not in self.programs:
            self._count(key, arrays, attrs)
        return self.function(xp, *arrays, **attrs)

    def _count(self, key: tuple, arrays: tuple, attrs: dict[str, Any]) -> None:
        calls = self.calls[key] = self.calls.get(key, 0) + 1
        size = max(a.size for a in arrays if a.__class__ is ndarray)
        if calls > PATIENCE or calls > 1 and size >= LARGE:
            if len(self.programs) >= LIMIT:
                self.programs.clear()
            self.programs[key] = _compiled(self.function, arrays, attrs)


def _compiled(function: Callable[..., Any], arrays: tuple, attrs: dict[str, Any]) -> _Program | None:
    try:
        from rushlight.compiler.program import build_program
    except ImportError:
        return None
    inputs: list[Node] = []
    operands: list[Any] = []
    for a in arrays:
        if a.__class__ is ndarray:
            if a.dtype.char not in "fdlqi?B":
                return None
            inputs.append(Node("input", (), {"index": len(inputs)}, a.shape, a.dtype))
            operands.append(symbolic(inputs[-1]))
        else:
            operands.append(a)
    try:
        results = function(symbolic_arrays, *operands, **attrs)
    except (symbolic_arrays.DataDependentError, TypeError, AttributeError):
        return None
    several = isinstance(results, tuple)
    outputs = [r.node for r in (results if several else (results,)) if isinstance(r, SymbolicArray)]
    if len(outputs) != (len(results) if several else 1):
        return None
    return _Program(build_program, inputs, outputs, several)


class _Program:
    """A native program on fresh memory for each run."""

    def __init__(self, build: Any, inputs: list[Node], outputs: list[Node], several: bool):
        from rushlight.compiler.graph import Graph

        self.program = build(Graph(inputs, outputs, [None] * len(outputs)))
        self.shapes = [(i, node.shape, node.dtype) for i, node in enumerate(outputs)]
        self.several = several
        self.lock = threading.Lock()

    def run(self, arrays: tuple) -> Any:
        """The results; None if the arrays do not lie in memory as the program wants them, or another thread runs it."""
        if not self.lock.acquire(blocking=False):
            return None
        try:
            program, i = self.program, 0
            for a in arrays:
                if a.__class__ is ndarray:
                    if not a.flags.c_contiguous:
                        return None
                    program.bind_input(i, a)
                    i += 1
            results = []
            for slot, shape, dtype in self.shapes:
                out = np.empty(shape, dtype)
                program.bind_output(slot, out)
                results.append(out)
            program.run()
            return tuple(results) if self.several else results[0]
        finally:
            self.lock.release()
