"""How hooks are registered: on one module (`Hookable`, a base of `Module`), and on all modules at once.

`nn/hooks.py` runs them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from rushlight.autograd.hooks import RemovableHandle
from rushlight.nn import hooks
from rushlight.nn.hooks import ModuleHooks


def _add(owner: ModuleHooks, kind: str, hook: Any, first: bool = False, *, marks: str = "") -> RemovableHandle:
    """Adds a hook; `marks` names the sets that note how it wants to be called."""
    handle = RemovableHandle(getattr(owner, kind), hook, first)
    for mark in marks.split():
        getattr(owner, mark).add(handle.id)
    return handle


def _marks(with_kwargs: bool, always_call: bool = False) -> str:
    return "with_kwargs " * with_kwargs + "always" * always_call


def _table(kind: str) -> property:
    """PyTorch's name for the hooks of a kind: a dict from the handle's id to the hook."""
    return property(lambda self: OrderedDict() if self._hooks is None else getattr(self._hooks, kind))


class Hookable:
    """The methods by which a module gets its hooks."""

    _hooks: ModuleHooks | None = None

    _forward_pre_hooks = _table("before")
    _forward_hooks = _table("after")
    _backward_pre_hooks = _table("backward_before")
    _backward_hooks = _table("backward")
    _state_dict_pre_hooks = _table("state_before")
    _state_dict_hooks = _table("state_after")
    _load_state_dict_pre_hooks = _table("load_before")
    _load_state_dict_post_hooks = _table("load_after")

    def _own_hooks(self) -> ModuleHooks:
        if self._hooks is None:
            self._hooks = ModuleHooks()
        return self._hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, args)` before forward; what it returns replaces the arguments."""
        return _add(self._own_hooks(), "before", hook, prepend, marks=_marks(with_kwargs))

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, args, output)` after forward; what it returns replaces the output."""
        return _add(self._own_hooks(), "after", hook, prepend, marks=_marks(with_kwargs, always_call))

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls `hook(module, grad_output)` before gradients pass the module."""
        return _add(self._own_hooks(), "backward_before", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls `hook(module, grad_input, grad_output)` when the gradients of the module's inputs are known.

        Raises:
            RuntimeError: the module has hooks of the old kind.
        """
        return self._add_backward(hook, True, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """The old kind of `register_full_backward_hook`. Here it is given the gradients of all inputs, too."""
        return self._add_backward(hook, False, False)

    def _add_backward(self, hook: Callable[..., Any], is_full: bool, first: bool) -> RemovableHandle:
        own = self._own_hooks()
        if own.backward and own.is_full is not is_full:
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only one "
                "of them."
            )
        own.is_full = is_full
        return _add(own, "backward", hook, first)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, prefix, keep_vars)` before the state is collected."""
        return _add(self._own_hooks(), "state_before", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata)` after the state is collected."""
        return _add(self._own_hooks(), "state_after", hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)` before a load."""
        return self._register_load_state_dict_pre_hook(hook, True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        return _add(self._own_hooks(), "load_before", hook, marks="with_module" * with_module)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, incompatible_keys)` after a module's state was checked; it may change the lists."""
        return _add(self._own_hooks(), "load_after", hook)


# ---------------------------------------------------------------- on all modules


def _everywhere() -> ModuleHooks:
    if hooks.everywhere is None:
        hooks.everywhere = ModuleHooks()
    return hooks.everywhere


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, args)` before the forward of every module, ahead of its own hooks."""
    return _add(_everywhere(), "before", hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Calls `hook(module, args, output)` after the forward of every module, ahead of its own hooks."""
    return _add(_everywhere(), "after", hook, marks=_marks(with_kwargs, always_call))


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, grad_output)` before gradients pass a module, for every module."""
    return _add(_everywhere(), "backward_before", hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, grad_input, grad_output)` when the gradients of a module's inputs are known, for every module."""
    return _add(_everywhere(), "backward", hook)


register_module_backward_hook = register_module_full_backward_hook


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, name, parameter)` when a module gets a parameter; what it returns is registered instead."""
    return RemovableHandle(hooks.registering["parameter"], hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, name, buffer)` when a module gets a buffer."""
    return RemovableHandle(hooks.registering["buffer"], hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, name, submodule)` when a module gets a submodule."""
    return RemovableHandle(hooks.registering["module"], hook)
