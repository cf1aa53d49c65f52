"""A parameter group as it enters an optimizer: completed with the defaults, and checked."""

from __future__ import annotations

import warnings
from typing import Any

from rushlight.tensor import Tensor


def checked_group(group: Any, defaults: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """The group itself, its parameters a list of tensors and its options complete.

    Raises:
        TypeError, ValueError: what `Optimizer.add_param_group` says.
    """
    if not isinstance(group, dict):
        raise TypeError(f"param_group must be a dict, but got {type(group)}")
    params, names = _with_names(group["params"])
    for param in params:
        if not isinstance(param, Tensor):
            raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {_type_name(param)}")
        if not defaults.get("differentiable") and not param.is_leaf and not param.retains_grad:
            raise ValueError("can't optimize a non-leaf Tensor")
    group["params"] = params
    if names:
        group["param_names"] = names
    for name, default in defaults.items():
        group.setdefault(name, default)
    if len(set(params)) != len(params):
        warnings.warn(
            "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; see "
            "github.com/pytorch/pytorch/issues/40967 for more information",
            stacklevel=4,
        )
    for other in others:
        if ("param_names" in group) != ("param_names" in other):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if 'param_names' in group else 'without'} names to the optimizer"
            )
    if not {param for other in others for param in other["params"]}.isdisjoint(params):
        raise ValueError("some parameters appear in more than one parameter group")
    return group


def _with_names(params: Any) -> tuple[list[Any], list[str]]:
    if isinstance(params, Tensor):
        return [params], []
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
            "will change between runs. Please use a list instead."
        )
    params = list(params)
    names = [param[0] for param in params if isinstance(param, tuple)]
    if names and len(names) != len(params):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    return [param[1] if isinstance(param, tuple) else param for param in params], names


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
