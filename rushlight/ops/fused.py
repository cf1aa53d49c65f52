"""Composite operations in one pass: an operation's own forward or derivative, traced once and compiled.

In NumPy a softmax is five passes over memory and a GELU eleven. `Fused` wraps such a function: after a few calls
with the same shapes and dtypes it is recorded on symbolic arrays, compiled, and run as one native program over new
memory. Until then, and wherever it cannot be (no compiler, arrays with gaps, two threads at once), NumPy runs it.

On a GPU what costs is how many kernels are launched: there it is compiled at the second call, whatever the size.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays import kinds, numpy as numpy_arrays, symbolic as symbolic_arrays
from rushlight.arrays.symbolic import Node, SymbolicArray, symbolic

LARGE = 100_000  # elements: compiled at the second call; later the more shapes there are, since some do not come again
PATIENCE = 20  # calls with small arrays before compiling, which takes some 50 ms
LONG_PATIENCE = 500  # of what NumPy does in one call: a program saves 2 us
LIMIT = 64  # signatures for each function
GPU_LIMIT = 512
CPU_DTYPES, GPU_DTYPES = "fdlqi?B", "fdeElqi?B"  # NumPy's characters of those that functions are compiled for
NO_ATTRIBUTES: dict[str, Any] = {}


def native(file: str, name: str) -> Callable[..., bool]:
    """A function of a file of the compiler, loaded at the first call, that says whether it did what it was asked.

    Where there is no compiler it does nothing.
    """

    @functools.cache
    def found() -> Callable[..., bool]:
        try:
            importlib.import_module("llvmlite")
            function: Callable[..., bool] = getattr(importlib.import_module(f"rushlight.compiler.{file}"), name)
        except ImportError:
            return lambda *arguments: False
        return function

    return lambda *arguments: found()(*arguments)


class Fused:
    """`function(xp, *arrays, **attrs)` that gets quicker when it is called again and again.

    Args:
        patience: calls with small arrays before compiling.
        num_threads: how many may work on a call. Default: as many as on every program.
    """

    def __init__(self, function: Callable[..., Any], patience: int = PATIENCE, num_threads: int | None = None):
        self.function, self.patience, self.num_threads = function, patience, num_threads
        self.calls: dict[tuple, int] = {}
        self.programs: dict[tuple, _Program | None] = {}  # None: cannot be compiled
        self.on_gpu: dict[
            tuple, Any
        ] = {}  # programs for arrays of GPUs, by signature; None: called once, False: cannot be
        self.last: _Program | None = None  # the one that ran last, tried before anything is looked up
        self.derived: Callable[[tuple], Any] | None = None  # of a derivative formula: itself as an operation on Tensors

    def __call__(self, xp: Any, *arrays: Any, **attrs: Any) -> Any:
        if xp is not numpy_arrays:
            if xp is kinds.GPU:
                return self._run_on_gpu(xp, arrays, attrs)
            if self.derived is not None and xp.__class__ is not ModuleType:  # on Tensors
                result = self.derived(arrays)
                if result is not None:
                    return result
            return self.function(xp, *arrays, **attrs)
        last = self.last
        if last is not None and last.attrs == attrs:
            results = last.run(arrays)
            if results is not None:
                return results
        return self._look_up(arrays, attrs)

    def _run_on_gpu(self, xp: Any, arrays: tuple, attrs: dict[str, Any]) -> Any:
        array_class = xp.ndarray
        try:
            key = (*[(a.shape, a.dtype) if a.__class__ is array_class else a for a in arrays], *attrs.items())
            program = self.on_gpu.get(key, False if len(self.on_gpu) >= GPU_LIMIT else key)
        except TypeError:  # something that cannot be part of a key
            return self.function(xp, *arrays, **attrs)
        if program is key:
            self.on_gpu[key] = None
        elif program is None:
            program = self.on_gpu[key] = _gpu_program(self.function, xp, arrays, attrs)
        if not program or program is key:
            return self.function(xp, *arrays, **attrs)
        given = [a if a.flags.c_contiguous else a.copy("C") for a in arrays if a.__class__ is array_class]
        results = program.run(given)
        return tuple(results) if program.several else results[0]

    def of_one(self, array: ndarray, attrs: dict[str, Any] = NO_ATTRIBUTES) -> Any:
        """The function of one NumPy array, with nothing in between if it is the call that ran last."""
        last = self.last
        if last is not None and last.attrs == attrs:
            result = last.call(array)
            if result.__class__ is ndarray:
                return result
        return self._look_up((array,), attrs)

    def _look_up(self, arrays: tuple, attrs: dict[str, Any]) -> Any:
        try:
            key = (*[(a.shape, a.dtype.char) if a.__class__ is ndarray else a for a in arrays], *attrs.items())
            program = self.programs.get(key)
        except TypeError:  # something that cannot be part of a key
            return self.function(numpy_arrays, *arrays, **attrs)
        if program is not None:
            results = program.run(arrays)
            if results is not None:
                if program.call is not None:
                    self.last = program
                return results
        elif key not in self.programs:
            self._count(key, arrays, attrs)
        return self.function(numpy_arrays, *arrays, **attrs)

    def _count(self, key: tuple, arrays: tuple, attrs: dict[str, Any]) -> None:
        calls = self.calls[key] = self.calls.get(key, 0) + 1
        size = max(a.size for a in arrays if a.__class__ is ndarray)
        if calls > self.patience or calls > 1 + len(self.programs) and size >= LARGE:
            if len(self.programs) >= LIMIT:
                self.programs.clear()
            self.programs[key] = _compiled(self.function, arrays, attrs, self.num_threads)


def _compiled(
    function: Callable[..., Any], arrays: tuple, attrs: dict[str, Any], num_threads: int | None
) -> _Program | None:
    traced = trace(function, arrays, attrs)
    if traced is None:
        return None
    try:
        return _Program(*traced, arrays, attrs, num_threads)
    except ImportError:
        return None


def _gpu_program(function: Callable[..., Any], xp: Any, arrays: tuple, attrs: dict[str, Any]) -> Any:
    """A program for arrays of a GPU; False if there can be none."""
    traced = trace(function, arrays, attrs, xp.ndarray, GPU_DTYPES)
    if traced is None or any(not a.size for a in arrays if a.__class__ is xp.ndarray):
        return False
    from rushlight.compiler.cuda_program import build_cuda_program

    graph, outputs, several = traced
    if any(0 in node.shape for node in outputs):
        return False
    program = build_cuda_program(graph, getattr(function, "__name__", "a kernel").strip("_"))
    program.several = several
    return program


def trace(
    function: Callable[..., Any],
    arrays: tuple,
    attrs: dict[str, Any],
    array_class: type = ndarray,
    dtypes: str = CPU_DTYPES,
) -> tuple[Any, list[Node], bool] | None:
    """(graph, its outputs, whether they are a tuple) of a function; None if it depends on values."""
    inputs: list[Node] = []
    operands: list[Any] = []
    for a in arrays:
        if a.__class__ is array_class:
            if a.dtype.char not in dtypes:
                return None
            inputs.append(Node("input", (), {"index": len(inputs)}, a.shape, a.dtype))
            operands.append(symbolic(inputs[-1]))
        else:
            operands.append(a)
    try:
        from rushlight.compiler.graph import Graph

        results = function(symbolic_arrays, *operands, **attrs)
    except (symbolic_arrays.DataDependentError, TypeError, AttributeError, ImportError):
        return None
    several = isinstance(results, tuple)
    outputs = [r.node for r in (results if several else (results,)) if isinstance(r, SymbolicArray)]
    if len(outputs) != (len(results) if several else 1):
        return None
    return Graph(inputs, outputs, [None] * len(outputs)), outputs, several


class _Program:
    """A native program on fresh memory for each run."""

    def __init__(
        self, graph: Any, outputs: list[Node], several: bool, arrays: tuple, attrs: dict[str, Any],
        num_threads: int | None,
    ):  # fmt: skip
        from rushlight.compiler.calls import Argument
        from rushlight.compiler.program import build_program

        self.program = build_program(graph, num_threads=num_threads)
        self.attrs = attrs
        self.shapes = [(node.shape, node.dtype) for node in outputs]
        self.several = several
        self.lock = threading.Lock()
        numbers = iter(range(len(graph.inputs)))
        self.call = self.program.make_call(
            [next(numbers) if a.__class__ is ndarray else Argument(None, a) for a in arrays]
        )

    def run(self, arrays: tuple) -> Any:
        """The results; None if the arguments are not those it was made for, or another thread runs it."""
        if self.call is None:
            results = [np.empty(shape, dtype) for shape, dtype in self.shapes]
            if not self._run_bound(arrays, results):
                return None
            return tuple(results) if self.several else results[0]
        found = self.call(*arrays)
        if found is None:
            raise IndexError("index out of bounds")
        return None if found is False else found

    def _run_bound(self, arrays: tuple, results: list[ndarray]) -> bool:
        """Binds arrays in Python: for programs with a step that NumPy computes."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            program, i = self.program, 0
            for a in arrays:
                if a.__class__ is ndarray:
                    expected = program.plan.graph.inputs[i]
                    if not a.flags.c_contiguous or a.shape != expected.shape or a.dtype != expected.dtype:
                        return False
                    program.bind_input(i, a)
                    i += 1
            for slot, result in enumerate(results):
                program.bind_output(slot, result)
            program.run()
            return True
        finally:
            self.lock.release()
