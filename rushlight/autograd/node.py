"""The graph that autograd records: one `Node` for each recorded operation.

A node knows its operation, what the derivative formulas asked to keep, and its edges: for each input
where that input's gradient goes. An edge is None (no gradient needed), a `Node` (the only output of that
node), a pair (node, number of the output), or a Tensor (a leaf, whose `.grad` accumulates). Edges lead from
results to inputs and never back, so a graph has no reference cycles and goes when its last result goes.

What only few nodes have (hooks, metadata) is in `Node.extras`, made on first need.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any

from rushlight.autograd.hooks import Extras, LeafHooks, RemovableHandle

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
        extras: hooks and metadata, or None.
    """

    __slots__ = ("edges", "saved", "cells", "attrs", "shapes", "serial", "extras", "__weakref__")
    op: Any

    def name(self) -> str:
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """For each input (the node that gets its gradient, the number of that node's output)."""
        return tuple(as_function(edge) for edge in self.edges)

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dictionary for whoever wants to note something of this node."""
        return self.with_extras().metadata

    def with_extras(self) -> Extras:
        if self.extras is None:
            self.extras = Extras()
        return self.extras

    def register_hook(self, fn: Any) -> RemovableHandle:
        """Calls `fn(grad_inputs, grad_outputs)` after this node's gradients are computed.

        A tuple that it returns replaces `grad_inputs`, the gradients of the node's inputs.
        """
        return RemovableHandle(self.with_extras().after, fn)

    def register_prehook(self, fn: Any) -> RemovableHandle:
        """Calls `fn(grad_outputs)` before this node's gradients are computed; a tuple it returns replaces them."""
        return RemovableHandle(self.with_extras().before, fn)

    def _sequence_nr(self) -> int:
        return self.serial

    def __call__(self, *grads: Any) -> Any:
        """The gradients of the inputs from those of the outputs: this node alone."""
        from rushlight.autograd.engine import apply_node

        return apply_node(self, grads)

    def __getattr__(self, name: str) -> Any:
        """The values a node keeps, by PyTorch's names: `_saved_self`, `_raw_saved_self`."""
        if name.startswith(("_saved_", "_raw_saved_")):
            from rushlight.autograd.saved import saved_attribute

            return saved_attribute(self, name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __dir__(self) -> list[str]:
        from rushlight.autograd.saved import saved_attributes

        return [*object.__dir__(self), *saved_attributes(self)]

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


class AccumulateGrad:
    """Where gradients of a leaf arrive: they are added to `variable.grad`. A leaf has one as long as somebody holds it."""

    __slots__ = ("variable", "__weakref__")

    def __init__(self, variable: Any):
        self.variable = variable

    @property
    def next_functions(self) -> tuple[()]:
        return ()

    @property
    def metadata(self) -> dict[Any, Any]:
        metadata: dict[Any, Any] = self.variable._hooks.metadata
        return metadata

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    def register_hook(self, fn: Any) -> RemovableHandle:
        """Calls `fn(grad_inputs, grad_outputs)` after a gradient was added to `.grad`; `grad_inputs` is empty."""
        return RemovableHandle(self.variable._hooks.node_after, fn)

    def register_prehook(self, fn: Any) -> RemovableHandle:
        """Calls `fn(grad_outputs)` before a gradient is added to `.grad`; a tuple it returns replaces it."""
        return RemovableHandle(self.variable._hooks.node_before, fn)

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self):#x}>"


def accumulator_of(leaf: Any) -> AccumulateGrad:
    """The one `AccumulateGrad` of a leaf."""
    if leaf._hooks is None:
        leaf._hooks = LeafHooks()
    hooks = leaf._hooks
    found = None if hooks.accumulator is None else hooks.accumulator()
    if found is None:
        found = AccumulateGrad(leaf)
        hooks.accumulator = weakref.ref(found)
    return found


def as_function(edge: Any) -> tuple[Any, int]:
    """An edge as PyTorch shows it: (node, number of its output)."""
    if edge is None or isinstance(edge, Node):
        return edge, 0
    return edge if isinstance(edge, tuple) else (accumulator_of(edge), 0)


def as_edge(node: Any, number: int) -> Any:
    """The edge that PyTorch shows as (node, number)."""
    if isinstance(node, AccumulateGrad):
        return node.variable
    return (node, number) if number else node
