"""A module called with other parameters and buffers than its own: `functional_call`, here and in `torch.func`.

The values are put in place for one call and the module's own put back after it, whatever happens. What the call itself assigned to
them is left in the caller's dict. Every path through a model (hooks, parametrizations, shared tensors) stays as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rushlight.nn.module import Module
from rushlight.tensor import Tensor

_MISSING: Any = object()
Tensors = dict[str, Tensor]


def functional_call(
    module: Module, parameters_and_buffers: Tensors, args: Any = None, kwargs: dict[str, Any] | None = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """The old name of `torch.func.functional_call`; see `call_with_tensors`."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be removed in a future "
        "version of PyTorch. Please use `torch.func.functional_call` instead which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return call_with_tensors(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)


def call_with_tensors(
    module: Module, parameter_and_buffer_dicts: Tensors | Sequence[Tensors], args: Any = None,
    kwargs: dict[str, Any] | None = None, *, tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """Calls a module with these tensors in the place of its parameters and buffers.

    Args:
        module: the module; it is as before afterwards.
        parameter_and_buffer_dicts: tensors by their paths in the module, in one dict or in several without common paths. What the
            call assigns to a path is found in the dict.
        args: the argument, or a tuple of them.
        kwargs: arguments by name.
        tie_weights: a tensor that the module has under several paths is replaced under all of them.
        strict: every parameter and buffer must be given, and nothing else.

    Raises:
        ValueError: a path is in two dicts, or two values are given for one shared tensor.
        RuntimeError: with every missing and unexpected path, if `strict`.

    Example:
        >>> import rushlight as torch
        >>> layer = torch.nn.Linear(2, 1, bias=False)
        >>> call_with_tensors(layer, {"weight": torch.tensor([[1.0, 2.0]])}, torch.ones(2))
        tensor([3.])
    """
    tensors = _in_one_dict(parameter_and_buffer_dicts)
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    with reparametrized(module, tensors, tie_weights, strict):
        return module(*arguments, **(kwargs or {}))


def _in_one_dict(dicts: Tensors | Sequence[Tensors]) -> Tensors:
    if isinstance(dicts, dict):
        return dicts
    if not isinstance(dicts, Sequence):
        raise ValueError(
            f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(dicts)}"
        )
    if not all(isinstance(part, dict) for part in dicts):
        raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    keys = [key for part in dicts for key in part]
    repeated = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
    if repeated:
        raise ValueError(f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous")
    return {key: tensor for part in dicts for key, tensor in part.items()}


@contextmanager
def reparametrized(
    module: Module, tensors: Tensors, tie_weights: bool = False, strict: bool = False
) -> Iterator[None]:  # fmt: skip
    """Has other tensors in the place of a module's own, inside the block. Arguments as of `call_with_tensors`."""
    placed = _under_all_names(module, tensors) if tie_weights else dict(tensors)
    if strict:
        _check_names(module, placed)
    before: list[tuple[Module, str, Tensor]] = []
    try:
        for path, tensor in placed.items():
            owner_path, _, name = path.rpartition(".")
            owner = module.get_submodule(owner_path)
            before.append((owner, name, _swapped(owner, name, tensor)))
        yield
    finally:
        after = [_swapped(owner, name, tensor) for owner, name, tensor in reversed(before)]
        found = dict(zip(placed, reversed(after), strict=False))
        tensors.update({path: found[path] for path in tensors if found.get(path, _MISSING) is not _MISSING})


def _swapped(owner: Module, name: str, tensor: Any) -> Any:
    """Puts a tensor under a name, or nothing if it is `_MISSING`. Returns what was there."""
    if tensor is not None and tensor is not _MISSING and not isinstance(tensor, Tensor):
        raise TypeError(f"{tensor} is not an instance of torch.Tensor")
    if name == "":
        raise KeyError('tensor name can\'t be empty string ""')
    for registry in (owner._parameters, owner._buffers):
        if name in registry:
            before = registry[name]
            if tensor is _MISSING:
                del registry[name]
            else:
                registry[name] = tensor
            return before
    before = getattr(owner, name, _MISSING)
    if before is not _MISSING and before is not None and not isinstance(before, Tensor):
        raise TypeError(f"attribute `{name}`: {before} is not an instance of torch.Tensor")
    if tensor is not _MISSING:
        setattr(owner, name, tensor)
    elif before is not _MISSING:
        delattr(owner, name)
    return before


def _named_tensors(module: Module) -> dict[str, Tensor]:
    """All parameters and buffers by all their paths."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _under_all_names(module: Module, tensors: Tensors) -> Tensors:
    """The tensors, and again under the other paths of a tensor that the module has more than once."""
    paths_of: dict[Tensor, set[str]] = {}
    for path, tensor in _named_tensors(module).items():
        paths_of.setdefault(tensor, set()).add(path)
    tied = {path: paths for paths in paths_of.values() if len(paths) > 1 for path in paths}
    placed = dict(tensors)
    for path in [path for path in tensors if path in tied]:
        if len({id(tensors[other]) for other in tied[path] if other in tensors}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(tied[path])}, which are tied. Consider using "
                "tie_weights=False"
            )
        placed.update(dict.fromkeys(sorted(tied[path]), tensors[path]))
    return placed


def _check_names(module: Module, tensors: Tensors) -> None:
    own = set(_named_tensors(module))
    faults = [
        f"{kind} key(s): {', '.join(map(repr, sorted(paths)))}."
        for kind, paths in (("Unexpected", set(tensors) - own), ("Missing", own - set(tensors)))
        if paths
    ]
    if faults:
        lines = "\n\t".join(faults)
        raise RuntimeError(f"Error(s) in reparametrizing for {module._get_name()}:\n\t{lines}")


# PyTorch's own names of the two, which other libraries use.
_functional_call = call_with_tensors
_reparametrize_module = reparametrized
