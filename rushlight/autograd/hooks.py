"""Registered hooks: where a leaf and a node keep theirs, and the handles that take them out again."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import MutableMapping
from typing import Any

_next_id = itertools.count().__next__


class LeafHooks:
    """Hooks of a leaf tensor, each `{id: hook}` and named in the order in which they run.

    Attributes:
        before: of the gradient (`Tensor.register_hook`).
        node_before: of the leaf's `AccumulateGrad`, of (gradient,).
        after: of the tensor, once the gradient was added to `.grad` (`register_post_accumulate_grad_hook`).
        node_after: of the `AccumulateGrad`, of (), (gradient,).
        accumulator: weak reference to the `AccumulateGrad`, once somebody asked for it.
        metadata: what the `AccumulateGrad` shows as `metadata`.
    """

    __slots__ = ("before", "node_before", "after", "node_after", "accumulator", "metadata")

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.node_before: dict[int, Any] = {}
        self.after: dict[int, Any] = {}
        self.node_after: dict[int, Any] = {}
        self.accumulator: Any = None
        self.metadata: dict[Any, Any] = {}


class Extras:
    """What only few nodes have.

    Attributes:
        tensors: {number of the output: {id: hook}}: hooks of tensors (`Tensor.register_hook`).
        retained: {number of the output: weak reference to the tensor} whose `.grad` is set on the way.
        before, after: {id: hook} of hooks on the node itself.
        metadata: what `Node.metadata` shows.
        packed: whether `Node.saved` holds what hooks of saved tensors made of the values.
    """

    __slots__ = ("tensors", "retained", "before", "after", "metadata", "packed")

    def __init__(self) -> None:
        self.tensors: dict[int, dict[int, Any]] = {}
        self.retained: dict[int, Any] = {}
        self.before: dict[int, Any] = {}
        self.after: dict[int, Any] = {}
        self.metadata: dict[Any, Any] = {}
        self.packed = False


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook out again; as a context manager, at the block's end."""

    def __init__(self, hooks: MutableMapping[int, Any], hook: Any, first: bool = False):
        self.id = _next_id()
        self._hooks = _Reference(hooks)
        hooks[self.id] = hook
        if first and hasattr(hooks, "move_to_end"):
            hooks.move_to_end(self.id, last=False)

    def remove(self) -> None:
        hooks = self._hooks()
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def _Reference(hooks: MutableMapping[int, Any]) -> Any:
    try:
        return weakref.ref(hooks)
    except TypeError:  # a plain dict: it holds nothing but hooks
        return lambda: hooks
