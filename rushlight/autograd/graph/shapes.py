"""Shapes and dtypes of results, which a node does not keep: derived from what is known around it.

Known for certain are the shapes of leaves and roots, of saved values, and of inputs whose shape a formula asked for. An
operation whose inputs are all known is then run on arrays without data; the inputs of an elementwise operation that
kept no shapes are of its result's shape. The two are repeated until nothing new is found.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.arrays import symbolic as symbolic_arrays
from rushlight.autograd.graph.collect import GraphNode, Value, saved_input, value_of
from rushlight.tensor import Tensor

ROUNDS = 4


def infer_shapes(nodes: list[GraphNode], things: list[Any]) -> None:
    """Fills in the missing `outputs` of nodes and `value`s of their inputs."""
    for node, thing in zip(nodes, things, strict=True):
        if not isinstance(thing, Tensor):
            _from_saved_results(node, thing)
    for _ in range(ROUNDS):
        before = _num_unknown(nodes)
        for node, thing in zip(nodes, things, strict=True):
            _take_from_sources(nodes, node)
            if node.kind == "operation" and any(value.shape is None for value in node.outputs):
                _run_without_data(node, thing)
        for node, thing in zip(reversed(nodes), reversed(things), strict=True):
            if node.kind == "operation":
                _equal_shapes(node, thing)
                _give_to_sources(nodes, node)
        if _num_unknown(nodes) in (0, before):
            break


def _num_unknown(nodes: list[GraphNode]) -> int:
    return sum(value.shape is None for node in nodes for value in (*node.outputs, *(i.value for i in node.inputs)))


def fill(value: Value, known: Value) -> None:
    if value.shape is None:
        value.shape = known.shape
    if value.dtype is None:
        value.dtype = known.dtype


def _from_saved_results(node: GraphNode, thing: Any) -> None:
    op = getattr(thing, "op", None)
    names, saved = getattr(op, "saved_names", ()), getattr(thing, "saved", None)
    if not isinstance(saved, tuple) or len(saved) != len(names):
        return
    for i, name in enumerate(getattr(op, "outputs", ())):
        if name in names:
            fill(node.outputs[i], value_of(saved[names.index(name)]))


def _take_from_sources(nodes: list[GraphNode], node: GraphNode) -> None:
    for given in node.inputs:
        if given.source is not None and given.output < len(nodes[given.source].outputs):
            fill(given.value, nodes[given.source].outputs[given.output])


def _give_to_sources(nodes: list[GraphNode], node: GraphNode) -> None:
    for given in node.inputs:
        if given.source is not None:
            outputs = nodes[given.source].outputs
            while given.output >= len(outputs):  # operations outside `ops` do not say how many results they have
                outputs.append(Value())
            fill(outputs[given.output], given.value)


def _equal_shapes(node: GraphNode, thing: Any) -> None:
    """Elementwise operations note shapes only where operands were broadcast: others have their result's."""
    if getattr(getattr(thing, "op", None), "elementwise", False) and not getattr(thing, "shapes", None):
        for given in node.inputs:
            if given.source is not None:
                fill(given.value, node.outputs[0])


def _run_without_data(node: GraphNode, thing: Any) -> None:
    """Runs an operation on arrays that have only shapes and dtypes."""
    op = getattr(thing, "op", None)
    function = getattr(op, "function", None)
    if function is None or getattr(op, "fuse", None) is None:
        return
    operands = []
    for i, given in enumerate(node.inputs):
        kept = saved_input(thing, op, i)
        if isinstance(kept, (int, float, complex)):
            operands.append(kept)
        elif given.value.shape is not None and given.value.dtype is not None:
            dtype = getattr(dtypes, given.value.dtype).numpy
            operands.append(symbolic_arrays.meta(given.value.shape, dtype))
        elif op.elementwise and given.source is None:
            operands.append(1.0)  # a number, or a constant of the result's shape: shapes that differ were kept
        else:
            return
    try:
        results = function(symbolic_arrays, *operands, **(thing.attrs or {}))
    except Exception:  # noqa: BLE001  (it depends on values: the shape stays unknown)
        return
    for value, result in zip(node.outputs, results if isinstance(results, tuple) else (results,), strict=False):
        if isinstance(getattr(result, "dtype", None), np.dtype):
            fill(value, value_of(result))
