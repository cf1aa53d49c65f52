"""The compiler's input: a list of nodes in an order in which they can be computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rushlight.arrays import numpy as numpy_arrays
from rushlight.arrays.symbolic import Node


@dataclass(slots=True, eq=False)
class Graph:
    """`inputs` are nodes with op "input"; `outputs[i]` is written to input `targets[i]`'s memory, or to new memory if None."""

    inputs: list[Node]
    outputs: list[Node]
    targets: list[int | None]

    def nodes(self) -> list[Node]:
        """What the outputs need, each node after its inputs; random draws stay in their order."""
        seen = {id(node): node for node in self.inputs}
        stack = list(self.outputs)
        while stack:
            node = stack.pop()
            if id(node) not in seen:
                seen[id(node)] = node
                stack.extend(node.inputs)
        return sorted(seen.values(), key=lambda node: node.serial)

    def __repr__(self) -> str:
        outputs = ", ".join(
            f"%{node.serial}" + ("" if target is None else f" -> %{self.inputs[target].serial}")
            for node, target in zip(self.outputs, self.targets, strict=True)
        )
        return "\n".join([*map(repr, self.nodes()), f"return {outputs}"])


def _slices(bounds: tuple) -> tuple[slice, ...]:
    return tuple(slice(*bound) for bound in bounds)


SPECIAL = {
    "constant": lambda xp, attrs: attrs["value"],
    "concat": lambda xp, attrs, *xs: xp.concat(xs, **attrs),
    "slice": lambda xp, attrs, x: x[_slices(attrs["index"])],
    "slice_assign": lambda xp, attrs, x, value: xp.slice_assign(x, value, _slices(attrs["index"])),
    "draw": lambda xp, attrs: xp.draw(attrs["generator"], attrs["method"], *attrs["args"]),
}


def evaluate(node: Node, *arrays: Any, xp: Any = numpy_arrays) -> Any:
    """The value of a node from the values of its inputs: what every node means. By NumPy, or another namespace of the waist."""
    special = SPECIAL.get(node.op)
    if special:
        return special(xp, node.attrs, *arrays)
    output = node.attrs.get("output")  # of a function with several results
    found = results_of(node, *arrays, xp=xp)
    found = found if output is None else found[output]
    return np.asarray(found) if xp is numpy_arrays else found


def results_of(node: Node, *arrays: Any, xp: Any = numpy_arrays) -> Any:
    """What the waist's function of a node gives: a tuple, if it is one of several results."""
    attrs = {key: value for key, value in node.attrs.items() if key != "output"}
    return getattr(xp, node.op)(*arrays, **attrs)


def sharing(nodes: Sequence[Node]) -> list[list[Node]]:
    """The nodes among these that are results of one call of one function, together."""
    found: dict[Any, list[Node]] = {}
    for node in nodes:
        if "output" in node.attrs:
            attrs = tuple((key, value) for key, value in node.attrs.items() if key != "output")
            found.setdefault((node.op, tuple(map(id, node.inputs)), repr(attrs)), []).append(node)
    return [group for group in found.values() if len(group) > 1]


def interpret(graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a graph, node by node. Nothing is written to the inputs."""
    values = {id(node): array for node, array in zip(graph.inputs, inputs, strict=True)}
    for node in graph.nodes():
        if id(node) not in values:
            values[id(node)] = evaluate(node, *(values[id(source)] for source in node.inputs))
    return [values[id(node)] for node in graph.outputs]
