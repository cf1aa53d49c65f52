"""Recurrent steps as native loops over time: what `fused.py` does for single functions, for any number of rows and times.

A step (`arrays.recurrent`) is recorded and compiled after a few dozen times, once for each width and dtype; until then, and wherever it
cannot be, NumPy runs it. On a GPU that is so at the second time: what costs there is how many kernels are launched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays.recurrent import Times
from rushlight.ops.fused import LIMIT, PATIENCE, trace

GPU_PATIENCE = 2  # times

_programs: dict[tuple, Any] = {}  # None: cannot be compiled
_times_seen: dict[tuple, int] = {}


def compiled_scan(
    step: Callable[..., tuple], constants: Sequence[ndarray], inputs: Sequence[ndarray], states: Sequence[ndarray],
    times: Times, batch_first: Sequence[bool],
) -> tuple[list[ndarray], list[ndarray]] | None:  # fmt: skip
    """(outputs, last states) of a step at each time, as `arrays.recurrent` asks for them; None if NumPy is to run it."""
    if not inputs[0].size:
        return None
    on_gpu = inputs[0].__class__ is not ndarray
    shapes = [x.shape for x in constants], [x.shape[-1] for x in (*inputs, *states)]
    key = (step, on_gpu, inputs[0].dtype, *map(tuple, shapes))
    if key not in _programs:
        seen = _times_seen[key] = _times_seen.get(key, 0) + len(times)
        if seen < (GPU_PATIENCE if on_gpu else PATIENCE):
            return None
        if len(_programs) >= LIMIT:
            _programs.clear()
        _programs[key] = _compile(step, constants, inputs, states, on_gpu)
    program = _programs[key]
    return None if program is None else program.run(constants, inputs, states, times, batch_first)


def _compile(
    step: Callable[..., tuple], constants: Sequence[ndarray], inputs: Sequence[ndarray], states: Sequence[ndarray],
    on_gpu: bool,
) -> Any:  # fmt: skip
    file, name = ("cuda_scan", "CudaScan") if on_gpu else ("scan", "ScanProgram")
    try:
        from rushlight.compiler.graph import Graph
        from rushlight.compiler.scan import RECORDED_ROWS

        program = getattr(import_module(f"rushlight.compiler.{file}"), name)
    except ImportError:
        return None
    if len({x.dtype for x in (*constants, *inputs, *states)}) > 1:
        return None
    matrices = [np.empty(x.shape, x.dtype) for x in constants]
    rows = [np.empty((RECORDED_ROWS, x.shape[-1]), x.dtype) for x in (*inputs, *states)]
    traced = trace(step, (*matrices, *rows), {})
    if traced is None:
        return None
    graph, outputs, _ = traced
    num_outputs = len(outputs) - len(states)
    targets = [None] * num_outputs + list(range(len(graph.inputs) - len(states), len(graph.inputs)))
    counts = len(constants), len(inputs), len(states), num_outputs
    return program.build(Graph(graph.inputs, outputs, targets), counts)
