"""The graph that autograd records: one `Node` for each recorded operation.

A node knows its operation, what the derivative formulas asked to keep, and its edges: for each input
where that input's gradient goes. An edge is None (no gradient needed), a `Node` (the only output of that
node), a pair (node, number of the output), or a Tensor (a leaf, whose `.grad` accumulates). Edges lead from
results to inputs and never back, so a graph has no reference cycles and goes when its last result goes.
"""

from __future__ import annotations

import itertools
from typing import Any

next_serial = itertools.count(1).__next__


class Node:
    """A recorded operation: what PyTorch shows as `grad_fn`.

    Each operation has a subclass of its own, named as PyTorch names it (`MulBackward0`).

    Attributes:
        op: the operation (`rushlight.ops.define.Op`), which has the derivative formulas; of the class.
        edges: for each input, where its gradient goes.
        saved: the values the formulas asked for; None once they have been freed by a backward pass.
        cells: version cells of the saved arrays, each followed by the version at which it was saved.
        attrs: the operation's static arguments.
        shapes: the shapes of the inputs, where a formula or broadcasting needs them.
        serial: grows with every recorded operation, so inputs always have smaller ones.
        hooks: {number of the output: {id: hook}} of gradient hooks, or None.
        node_hooks: {id: hook} of hooks on the node itself, or None.
    """

    __slots__ = ("edges", "saved", "cells", "attrs", "shapes", "serial", "hooks", "node_hooks", "__weakref__")
    op: Any

    def name(self) -> str:
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """For each input (the node that gets its gradient, the number of that node's output)."""
        return tuple(_as_function(edge) for edge in self.edges)

    def register_hook(self, hook: Any) -> Any:
        """Calls `hook(grad_inputs, grad_outputs)` after this node's gradients are computed."""
        from rushlight.autograd.hooks import RemovableHandle

        if self.node_hooks is None:
            self.node_hooks = {}
        return RemovableHandle(self.node_hooks, hook)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


class AccumulateGrad:
    """What `next_functions` shows for a leaf: gradients that arrive here are added to `variable.grad`."""

    __slots__ = ("variable",)

    def __init__(self, variable: Any):
        self.variable = variable

    @property
    def next_functions(self) -> tuple[()]:
        return ()

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and self.variable is other.variable

    def __hash__(self) -> int:
        return id(self.variable)

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self.variable):#x}>"


def _as_function(edge: Any) -> tuple[Any, int]:
    if edge is None or isinstance(edge, Node):
        return edge, 0
    return edge if isinstance(edge, tuple) else (AccumulateGrad(edge), 0)
