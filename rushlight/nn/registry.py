"""Registry: a module's parameters, buffers or submodules, by name.

`module._parameters` and its two siblings are dicts of this kind. What is put in one is an attribute of the
module as well, in the instance's own `__dict__`, where Python finds it in 30 ns; by way of `__getattr__` an
attribute takes 2 us, on every `self.weight` and every `self.layer(x)`. The owner is held weakly, so that
a model without references goes at once.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any


class Registry(dict[str, Any]):
    """A dict whose items are attributes of its owner. Every way to change it keeps both in step.

    Args:
        owner: the module.
        items: what is in it from the start.
    """

    __slots__ = ("_owner",)

    def __init__(self, owner: Any, items: dict[str, Any] | None = None):
        self._owner = weakref.ref(owner)
        if items:
            self.update(items)

    def belongs_to(self, module: Any) -> bool:
        return self._owner() is module

    def __setitem__(self, name: str, value: Any) -> None:
        dict.__setitem__(self, name, value)
        owner = self._owner()
        if owner is not None:
            owner.__dict__[name] = value

    def __delitem__(self, name: str) -> None:
        dict.__delitem__(self, name)
        owner = self._owner()
        if owner is not None:
            owner.__dict__.pop(name, None)

    def pop(self, name: str, *default: Any) -> Any:
        if name not in self:
            return dict.pop(self, name, *default)
        value = self[name]
        del self[name]
        return value

    def popitem(self) -> tuple[str, Any]:
        name = next(reversed(self), None)
        if name is None:
            raise KeyError("popitem(): dictionary is empty")
        return name, self.pop(name)

    def clear(self) -> None:
        for name in list(self):
            del self[name]

    def update(self, *args: Any, **kwargs: Any) -> None:
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def copy(self) -> dict[str, Any]:
        return dict(self)

    def __ior__(self, other: Any) -> Registry:  # type: ignore[override, misc]
        self.update(other)
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """For pickle and deepcopy: the owner, already made, then the items one by one."""
        return _empty_registry, (self._owner(),), None, None, self._items_to_pickle()

    def _items_to_pickle(self) -> Iterator[tuple[str, Any]]:
        return iter(list(self.items()))


def _empty_registry(owner: Any) -> Registry:
    return Registry(owner)
