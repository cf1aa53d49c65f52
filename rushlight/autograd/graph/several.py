"""One hook for the gradients of several tensors."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from rushlight.autograd.history import edge_of
from rushlight.autograd.hooks import RemovableHandle
from rushlight.autograd.modes import modes
from rushlight.tensor import Tensor


class _Handles:
    """The handle of hooks that were registered together."""

    def __init__(self, handles: tuple[RemovableHandle, ...]):
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable[[Any], None], *, mode: str = "all") -> _Handles:
    """Calls a function once in each backward pass, with the gradients of several tensors.

    Args:
        tensors: tensors that require gradients.
        fn: with mode "all", called with the list of their gradients as soon as all that the pass computes are there, None
            for the others; with mode "any", with the first gradient of one of them.

    Returns:
        A handle, whose `remove()` takes the hook out again.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    hooks = [_on_any(fn)] * len(tensors) if mode == "any" else _on_all(tensors, fn)
    chosen = [(t, hook) for t, hook in zip(tensors, hooks, strict=True) if mode == "all" or t.requires_grad]
    return _Handles(tuple(tensor.register_hook(hook) for tensor, hook in chosen))


def _on_any(fn: Callable[[Any], None]) -> Callable[[Any], None]:
    done: weakref.WeakSet[Any] = weakref.WeakSet()

    @functools.wraps(fn)
    def hook(grad: Tensor) -> None:
        if modes.walk not in done:
            done.add(modes.walk)
            fn(grad)

    return hook


def _on_all(tensors: Sequence[Tensor], fn: Callable[[Any], None]) -> list[Callable[[Any], None]]:
    # Nodes and leaves, since tensors may be written to before a pass comes by; weakly, since these hold the hook.
    edges = [edge_of(tensor) for tensor in tensors]
    goals = [weakref.ref(edge[0] if isinstance(edge, tuple) else edge) for edge in edges]
    del edges
    arrived: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()  # [how many to come, gradients]

    def hook_of(number: int) -> Callable[[Any], None]:
        def hook(grad: Tensor) -> None:
            walk = modes.walk
            if walk not in arrived:
                arrived[walk] = [sum(walk.reaches(goal()) for goal in goals), [None] * len(goals)]
            state = arrived[walk]
            state[0] -= 1
            state[1][number] = grad
            if state[0] == 0:
                del arrived[walk]
                fn(state[1])

        return hook

    return [hook_of(number) for number in range(len(tensors))]
