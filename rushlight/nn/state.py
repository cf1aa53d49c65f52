"""A module's state: what `state_dict` gives and what `load_state_dict` checks and writes.

Loading goes in two steps: first every fault in the whole tree is collected, then, if there is none, the values are written.
A load that fails has changed nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rushlight.autograd.modes import no_grad
from rushlight.nn.parameter import Parameter, is_lazy
from rushlight.tensor import Tensor

EXTRA_STATE = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns: the keys that the state lacked, and those that the module lacks."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    def __str__(self) -> str:
        return repr(self)


# ---------------------------------------------------------------- out of a module


def save_state(module: Any, destination: Any, prefix: str, keep_vars: bool) -> Any:
    """Puts the state of a module and of those below it into `destination`, a dict, which is made if None."""
    if destination is None:
        destination = OrderedDict()
        destination._metadata = OrderedDict()
    metadata = {"version": module._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = metadata
    hooks = module._hooks
    if hooks is not None:
        for hook in list(hooks.state_before.values()):
            hook(module, prefix, keep_vars)
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    if hooks is not None:
        for hook in list(hooks.state_after.values()):
            replaced = hook(module, destination, prefix, metadata)
            destination = destination if replaced is None else replaced
    return destination


def save_own_state(module: Any, destination: Any, prefix: str, keep_vars: bool) -> None:
    """Puts the parameters and persistent buffers of the module itself into `destination`."""
    for name, tensor in persistent_items(module).items():
        destination[prefix + name] = tensor if keep_vars or is_lazy(tensor) else tensor.detach()
    if has_extra_state(module):
        destination[prefix + EXTRA_STATE] = module.get_extra_state()


def persistent_items(module: Any) -> dict[str, Tensor]:
    """The tensors that make up the state of the module itself, by name."""
    items = dict(module._parameters)
    items.update((k, v) for k, v in module._buffers.items() if k not in module._non_persistent_buffers_set)
    return {name: tensor for name, tensor in items.items() if tensor is not None}


def has_extra_state(module: Any) -> bool:
    from rushlight.nn.module import Module

    return type(module).get_extra_state is not Module.get_extra_state


# ---------------------------------------------------------------- into a module


def load_state(module: Any, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Checks everything, then writes everything.

    Raises:
        TypeError: `state_dict` is not a mapping.
        RuntimeError: with every fault of the whole tree: missing and unexpected keys (if strict), wrong shapes.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    metadata = getattr(state_dict, "_metadata", None) or {}
    state = OrderedDict(state_dict)
    missing: list[str] = []
    unexpected: list[str] = []
    faults: list[str] = []
    writes: list[Callable[[], None]] = []

    def visit(part: Any, prefix: str) -> None:
        local = {**metadata.get(prefix[:-1], {}), "assign_to_params_buffers": assign, "writes": writes}
        part._load_from_state_dict(state, prefix, local, True, missing, unexpected, faults)
        for name, child in part._modules.items():
            if child is not None:
                visit(child, f"{prefix}{name}.")
        result = IncompatibleKeys(missing, unexpected)
        for hook in list(part._hooks.load_after.values()) if part._hooks is not None else ():
            if hook(part, result) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                    "values, if incompatible_keys need to be modified, it should be done inplace."
                )

    visit(module, "")
    if strict:
        faults = [*_key_faults("Missing", missing), *_key_faults("Unexpected", unexpected), *faults]
    if faults:
        lines = "\n\t".join(faults)
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t{lines}")
    with no_grad():
        for write in writes:
            write()
    return IncompatibleKeys(missing, unexpected)


def _key_faults(kind: str, keys: list[str]) -> list[str]:
    names = ", ".join(f'"{key}"' for key in keys)
    return [f"{kind} key(s) in state_dict: {names}. "] if keys else []


def load_own_state(
    module: Any, state: dict[str, Any], prefix: str, local_metadata: dict[str, Any], strict: bool,
    missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
) -> None:  # fmt: skip
    """Checks the state of the module itself, and adds the writes to do to `local_metadata["writes"]`."""
    arguments = (state, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
    if module._hooks is not None:
        for key, hook in list(module._hooks.load_before.items()):
            hook(module, *arguments) if key in module._hooks.with_module else hook(*arguments)
    assign, writes = local_metadata.get("assign_to_params_buffers", False), local_metadata.get("writes")
    own: dict[str, Callable[[], None]] = {}
    known = persistent_items(module)
    for name, target in known.items():
        key = prefix + name
        if key not in state:
            if strict:
                missing_keys.append(key)
            continue
        fault = _fault(key, target, state[key])
        if fault:
            error_msgs.append(fault)
        else:
            own[name] = _write_of(module, name, target, state[key], assign)
    key = prefix + EXTRA_STATE
    if has_extra_state(module) and key in state:
        own[EXTRA_STATE] = lambda: module.set_extra_state(state[key])
    elif has_extra_state(module) and strict:
        missing_keys.append(key)
    if strict:
        unexpected_keys.extend(_unknown_keys(module, state, prefix, known))
    if writes is not None:
        writes.extend(own.values())
        return
    with no_grad():
        for write in own.values():
            write()


def _unknown_keys(module: Any, state: dict[str, Any], prefix: str, known: dict[str, Tensor]) -> list[str]:
    """The keys that lead to none of the module's tensors and to none of its children."""
    unknown = []
    for key in state:
        if not key.startswith(prefix) or key == prefix + EXTRA_STATE and has_extra_state(module):
            continue
        name, dot, _ = key[len(prefix) :].partition(".")
        if name not in module._modules if dot else name not in known:
            unknown.append(key)
    return unknown


def _fault(key: str, target: Tensor, value: Any) -> str | None:
    if not isinstance(value, Tensor):
        return (
            f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from checkpoint '
            f"but received {type(value)}"
        )
    if not is_lazy(target) and value.shape != target.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, the shape in current "
            f"model is {target.shape}."
        )
    return None


def _write_of(module: Any, name: str, target: Tensor, value: Tensor, assign: bool) -> Callable[[], None]:
    """What puts `value` into the module: a copy into the tensor's memory, or the tensor itself."""
    if not assign:
        return lambda: None if is_lazy(target) else (target.copy_(value), None)[1]
    if isinstance(target, Parameter) and not isinstance(value, Parameter):
        value = Parameter(value, requires_grad=target.requires_grad)
    elif isinstance(target, Parameter):
        value.requires_grad_(target.requires_grad)
    return lambda: setattr(module, name, value)
