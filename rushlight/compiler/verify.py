"""What every graph has to satisfy between passes; run in tests and under RUSHLIGHT_VERIFY=1."""

from __future__ import annotations

import math

import numpy as np

from rushlight.arrays.protocol import ELEMENTWISE
from rushlight.arrays.symbolic import Node
from rushlight.compiler.graph import Graph

SAME_DTYPE = frozenset({"reshape", "permute_dims", "broadcast_to", "slice", "concat", "slice_assign"})


def verify(graph: Graph) -> Graph:
    """The graph itself; AssertionError names the first node that is not well formed."""
    seen: set[int] = set()
    for node in graph.nodes():
        assert all(id(source) in seen for source in node.inputs), f"sources after their user: {node}"
        _verify_node(node)
        seen.add(id(node))
    assert all(node.op == "input" for node in graph.inputs)
    for output, target in zip(graph.outputs, graph.targets, strict=True):
        if target is not None:
            source = graph.inputs[target]
            assert (output.shape, output.dtype) == (source.shape, source.dtype), (output, source)
    written = [target for target in graph.targets if target is not None]
    assert len(written) == len(set(written)), "two outputs with one target"
    return graph


def _verify_node(node: Node) -> None:
    shapes = [source.shape for source in node.inputs]
    dtypes = {source.dtype for source in node.inputs}
    if node.op in ELEMENTWISE:
        assert np.broadcast_shapes(*shapes) == node.shape, node
        operands = node.inputs[1:] if node.op == "where" else node.inputs
        assert len({source.dtype for source in operands}) == 1, node
    if node.op in SAME_DTYPE:
        assert dtypes == {node.dtype}, node
    if node.op == "reshape":
        assert math.prod(node.shape) == math.prod(shapes[0]), node
    if node.op == "permute_dims":
        assert node.shape == tuple(shapes[0][axis] for axis in node.attrs["axes"]), node
    if node.op in ("sum", "prod", "max", "min", "any", "all"):
        kept = tuple(n for i, n in enumerate(shapes[0]) if i not in node.attrs["axis"])
        assert kept == node.shape, node
    if node.op == "constant":
        value = node.attrs["value"]
        assert (value.shape, value.dtype) == (node.shape, node.dtype), node
