"""Writing to what was saved for backward: inside a block, a saved value is copied just before its memory is written to."""

from __future__ import annotations

import weakref
from typing import Any

from numpy import ndarray

from rushlight.autograd.graph.values import saved_tensors_hooks
from rushlight.autograd.modes import modes
from rushlight.tensor import Tensor, wrap


class allow_mutation_on_saved_tensors:
    """Inside, in-place operations may change what was saved: backward, inside too, sees what it was.

    Example:
        >>> import rushlight as torch
        >>> a = torch.ones(2, requires_grad=True)
        >>> with torch.autograd.graph.allow_mutation_on_saved_tensors():
        ...     b = a.clone()
        ...     out = (b**2).sum()
        ...     _ = b.sin_()
        ...     out.backward()
        >>> a.grad
        tensor([2., 2.])
    """

    def __init__(self) -> None:
        self._kept: dict[int, list[Any]] = {}  # by id of the memory's owner: weak references to what is saved of it
        self._hooks = saved_tensors_hooks(self._pack, self._unpack)
        self._is_open = False

    def __enter__(self) -> allow_mutation_on_saved_tensors:
        if modes.mutation is not None:
            raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
        self._hooks.__enter__()
        modes.mutation, self._is_open = self, True
        return self

    def __exit__(self, *_: object) -> None:
        modes.mutation, self._is_open = None, False
        self._kept.clear()
        self._hooks.__exit__()

    def _pack(self, tensor: Tensor) -> _Saved:
        saved = _Saved(tensor._array)
        references = self._kept.setdefault(id(_owner(tensor._array)), [])
        references[:] = [reference for reference in references if reference() is not None]
        references.append(weakref.ref(saved))
        return saved

    def _unpack(self, saved: _Saved) -> Tensor:
        if not self._is_open:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in which the graph was "
                "originally recorded."
            )
        tensor: Tensor = wrap(saved.array)
        return tensor

    def before_write(self, tensor: Tensor) -> None:
        """Copies what is saved of the memory that is about to be written to."""
        for reference in self._kept.pop(id(_owner(tensor._array)), ()):
            saved = reference()
            if saved is not None:
                saved.array = saved.array.copy()


class _Saved:
    __slots__ = ("array", "__weakref__")

    def __init__(self, array: Any):
        self.array = array


def _owner(array: Any) -> Any:
    while isinstance(array, ndarray) and array.base is not None:
        array = array.base
    return array
