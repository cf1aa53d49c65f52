"""After `simplify`: updates of a table from the gradient of a lookup, on the rows that were looked up.

The gradient of an embedding is zero but for the rows that were asked for: `index_put(zeros, values, index, accumulate)`.
A value computed from it is *zero* (at all other rows, too), or *keeps* an input (is that input's value there), or neither.
Where all that depends on such a gradient in the end keeps the input that it is written over, only the rows are computed:
gathered, updated, and put back. That is so for SGD's and Adagrad's updates, not for Adam's, which moves every row.

An index that is there twice: each place of it gets the sum, and the same result is written twice. Unlike the rules of
`simplify` this one is not exact for what is no number: 0 times, and 0 divided by, anything count as 0, so a row that is not
looked up stays as it is even if its state is Inf or NaN, or its denominator 0.
"""

from __future__ import annotations

import math

import numpy as np

from rushlight.arrays import symbolic as xp
from rushlight.arrays.protocol import ELEMENTWISE
from rushlight.arrays.symbolic import Node
from rushlight.compiler.graph import Graph
from rushlight.compiler.simplify import scalar_value, simplify

ROWS = (("array", 0),)  # the spec of an index of rows
KEEP_ZERO = frozenset(
    {"abs", "astype", "expm1", "log1p", "negative", "sign", "sin", "sqrt", "square", "tan", "tanh", "trunc"}
)
POINTWISE = frozenset(ELEMENTWISE) | {"astype"}
ZERO, KEEPS, OTHER = "zero", "keeps", "other"


def known_zeros(graph: Graph) -> Graph:
    """The graph with such updates on rows only."""
    changed = False
    for node in graph.nodes():
        if is_row_sum(node) and (better := _Table(graph, node).on_rows()) is not None:
            graph, changed = better, True
    return simplify(graph) if changed else graph


def is_row_sum(node: Node) -> bool:
    """Whether a node is the sum of values at some, and few, of the rows of a table of zeros."""
    if node.op != "index_put" or node.attrs["spec"] != ROWS or not node.attrs["accumulate"]:
        return False
    base, _, index = node.inputs
    while base.op in ("broadcast_to", "astype"):  # before `simplify` there may be casts of constants
        base = base.inputs[0]
    return scalar_value(base) == 0 and index.dtype.kind == "i" and 0 < 2 * math.prod(index.shape) < node.shape[0]


def entries(node: Node) -> tuple[Node, Node]:
    """Of such a node: the rows' numbers as a vector, and their values, one row for each."""
    _, values, index = node.inputs
    count, row = math.prod(index.shape), node.shape[1:]
    values = xp.broadcast_to(xp.symbolic(values), (*index.shape, *row))
    index = xp.astype(xp.reshape(xp.symbolic(index), (count,)), np.dtype(np.int64))
    return index.node, xp.reshape(values, (count, *row)).node


class _Table:
    """What depends on one such gradient."""

    def __init__(self, graph: Graph, gradient: Node):
        self.graph, self.gradient, self.shape = graph, gradient, gradient.shape
        index, values = entries(gradient)
        first = xp.first_places(xp.symbolic(index), size=self.shape[0])
        zeros = xp.full(values.shape, 0, values.dtype)
        sums = xp.index_put(zeros, xp.symbolic(values), first, spec=ROWS, accumulate=True)
        self.index, self.first = xp.symbolic(index), first
        self.kinds: dict[int, tuple[str, Node | None]] = {id(gradient): (ZERO, None)}
        self.rows: dict[int, Node] = {id(gradient): xp.take(sums, first, axis=0).node}
        self.replaced: dict[int, Node] = {}

    def on_rows(self) -> Graph | None:
        """The graph with updates on rows, or None if something needs the whole gradient."""
        for node in self.graph.nodes():
            if any(id(x) in self.kinds for x in node.inputs) and not self._understand(node):
                return None
        writes = 0
        for output, target in zip(self.graph.outputs, self.graph.targets, strict=True):
            kind, kept = self.kinds.get(id(output), (None, None))
            if kind is None:
                continue
            if kind is not KEEPS or target is None or kept is not self.graph.inputs[target]:
                return None
            row = xp.symbolic(self._row(output))
            self.replaced[id(output)] = xp.index_put(
                xp.symbolic(kept), row, self.index, spec=ROWS, accumulate=False
            ).node
            writes += 1
        return self._rebuilt() if writes else None

    # ------------------------------------------------------------ what a node is at the other rows

    def _understand(self, node: Node) -> bool:
        """Notes of what kind a node is; False if nothing can be said, or its value at the rows is not its own."""
        kinds = [self.kinds.get(id(x)) for x in node.inputs]
        if node.op == "sum" and kinds[0] == (ZERO, None) and len(node.attrs["axis"]) == len(self.shape):
            self.replaced[id(node)] = self._sum(node)
            return True
        if node.op not in POINTWISE or node.shape != self.shape:
            return False
        self.kinds[id(node)] = self._kind(node, [kind[0] == ZERO if kind else False for kind in kinds])
        return True

    def _kind(self, node: Node, zeros: list[bool]) -> tuple[str, Node | None]:
        if (
            node.op in KEEP_ZERO
            and zeros[0]
            or node.op in ("multiply", "minimum", "maximum", "add", "subtract")
            and all(zeros)
        ):
            return ZERO, None
        if node.op == "multiply" and any(zeros) or node.op == "divide" and zeros[0]:
            return ZERO, None
        if node.op == "add" and any(zeros) or node.op == "subtract" and zeros[1]:
            return self._as_kept(node.inputs[0 if zeros[1] else 1])
        if node.op == "where":
            if all(zeros[1:]):
                return ZERO, None
            left, right = (self._as_kept(x) for x in node.inputs[1:])
            return left if left == right else (OTHER, None)
        return OTHER, None

    def _as_kept(self, node: Node) -> tuple[str, Node | None]:
        """Of a value to which zero is added: what it keeps."""
        if node.op == "input" and node.shape == self.shape:
            return KEEPS, node
        kind, kept = self.kinds.get(id(node), (OTHER, None))
        return (kind, kept) if kind is KEEPS else (OTHER, None)

    # ------------------------------------------------------------ values at the rows

    def _row(self, node: Node) -> Node:
        """A node's values at the rows of the index, (entries, ...); recurses along one update's few operations."""
        if id(node) not in self.rows:
            self.rows[id(node)] = self._make_row(node)
        return self.rows[id(node)]

    def _make_row(self, node: Node) -> Node:
        has_rows = len(node.shape) == len(self.shape) and node.shape[0] == self.shape[0]
        if not has_rows or self.shape[0] == 1:
            return node
        if node.op in POINTWISE:
            inputs = tuple([self._row(x) for x in node.inputs])
            return Node(node.op, inputs, node.attrs, (self.index.shape[0], *node.shape[1:]), node.dtype)
        return xp.take(xp.symbolic(node), self.index, axis=0).node

    def _sum(self, node: Node) -> Node:
        """The sum of a node that is zero elsewhere: of an index that is there twice, the first one counts."""
        count = self.index.shape[0]
        is_first = xp.equal(self.first, xp.arange(0, count, 1, np.dtype(np.int64)))
        is_first = xp.reshape(is_first, (count,) + (1,) * (len(self.shape) - 1))
        source = xp.symbolic(self._row(node.inputs[0]))
        counted = xp.where(is_first, source, xp.full((), 0, source.dtype))
        return Node("sum", (counted.node,), node.attrs, node.shape, node.dtype)

    # ------------------------------------------------------------ the new graph

    def _rebuilt(self) -> Graph:
        """The graph with what is replaced; what comes after a replacement is made anew, so that sources stay older."""
        new: dict[int, Node] = {id(node): node for node in self.graph.inputs}
        stack = [(node, False) for node in self.graph.outputs]
        while stack:
            node, has_inputs = stack.pop()
            if id(node) in new:
                continue
            found = self.replaced.get(id(node), node)
            if not has_inputs:
                stack.append((node, True))
                stack += [(x, False) for x in found.inputs]
                continue
            inputs = tuple([new[id(x)] for x in found.inputs])
            same = all(a is b for a, b in zip(inputs, found.inputs, strict=True))
            new[id(node)] = found if same else Node(found.op, inputs, found.attrs, found.shape, found.dtype)
        return Graph(self.graph.inputs, [new[id(node)] for node in self.graph.outputs], self.graph.targets)
