"""Handles of registered hooks."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import MutableMapping
from typing import Any

_next_id = itertools.count().__next__


class LeafHooks:
    """Hooks of a leaf tensor: on its gradient before it is accumulated, on the tensor after that."""

    __slots__ = ("before", "after")

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.after: dict[int, Any] = {}


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
