"""`state_dict` and `load_state_dict` of optimizers: PyTorch's format, in both directions."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from itertools import chain
from typing import TYPE_CHECKING, Any

from rushlight import dtypes
from rushlight.optim import variants
from rushlight.optim.compiled import CompiledUpdate
from rushlight.tensor import Tensor

if TYPE_CHECKING:
    from rushlight.optim.optimizer import Optimizer

HOOKS = ("save before", "save after", "load before", "load after")


def saved(optimizer: Optimizer) -> dict[str, Any]:
    """The optimizer's state, with numbers for parameters. Tensors are the optimizer's own."""
    for hook in optimizer._saving_hooks["save before"].values():
        hook(optimizer)
    numbers: dict[Any, int] = {}
    for number, param in enumerate(chain.from_iterable(g["params"] for g in optimizer.param_groups)):
        numbers.setdefault(param, number)
    groups = [
        {**{k: v for k, v in group.items() if k != "params"}, "params": [numbers[p] for p in group["params"]]}
        for group in optimizer.param_groups
    ]
    result = {"state": {numbers.get(p, p): state for p, state in optimizer.state.items()}, "param_groups": groups}
    for hook in optimizer._saving_hooks["save after"].values():
        replaced = hook(optimizer, result)
        result = result if replaced is None else replaced
    return result


def load(optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
    """Takes over a state, all of it or, if anything does not fit, nothing."""
    state_dict = dict(state_dict)
    for hook in optimizer._saving_hooks["load before"].values():
        replaced = hook(optimizer, state_dict)
        state_dict = state_dict if replaced is None else replaced
    groups = _loaded_groups(optimizer, state_dict["param_groups"])
    params: dict[Any, tuple[Tensor, dict[str, Any]]] = {}
    for group, of_file in zip(groups, state_dict["param_groups"], strict=True):
        for number, param in zip(of_file["params"], group["params"], strict=True):
            params[number] = param, group
    state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
    for number, values in state_dict["state"].items():
        if number in params:
            param, group = params[number]
            state[param] = _loaded_state(optimizer, number, param, group, values)
        else:
            state[number] = deepcopy(values)
    optimizer.state, optimizer.param_groups = state, groups
    optimizer._compiled = CompiledUpdate(optimizer)
    for hook in optimizer._saving_hooks["load after"].values():
        hook(optimizer)


def _loaded_groups(optimizer: Optimizer, of_file: list[dict[str, Any]]) -> list[dict[str, Any]]:
    own = optimizer.param_groups
    if len(of_file) != len(own):
        raise ValueError("loaded state dict has a different number of parameter groups")
    groups = []
    for theirs, ours in zip(of_file, own, strict=True):
        if len(theirs["params"]) != len(ours["params"]):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        group = deepcopy({key: value for key, value in theirs.items() if key != "params"})
        for key, value in optimizer.defaults.items():  # what an older version did not write
            group.setdefault(key, value)
        if "param_names" in ours:
            group.setdefault("param_names", ours["param_names"])
        groups.append({**group, "params": ours["params"], **optimizer.fixed_options})
    return groups


def _loaded_state(
    optimizer: Optimizer, number: Any, param: Tensor, group: dict[str, Any], values: dict[str, Any]
) -> dict[str, Any]:
    own = optimizer.init_state(variants.wide(param), group) if values else {}
    state = {}
    for key, value in values.items():
        expected = own.get(key)
        if isinstance(expected, Tensor):
            if not isinstance(value, Tensor):  # a counter of an older version
                value = type(expected)([float(value)], dtype=expected.dtype).reshape(())
            elif value.shape != expected.shape:
                raise ValueError(
                    f"loaded state dict does not fit: {key!r} of parameter {number} has shape {list(value.shape)}, "
                    f"expected {list(expected.shape)} for a parameter of shape {list(param.shape)}"
                )
        state[key] = _fitting(param, group, key, value)
    return state


def _fitting(param: Tensor, group: dict[str, Any], key: Any, value: Any) -> Any:
    """A loaded value: a copy, of the precision that the state of this parameter has; counters keep their own."""
    if isinstance(value, Tensor):
        is_counter = key == "step" and not (group.get("capturable") or group.get("fused"))
        dtype = variants.wide_dtype(param) if key != "step" and param.is_floating_point() else value._array.dtype
        return value.detach().to(value.device if is_counter else param.device, dtypes.from_numpy(dtype), copy=True)
    if isinstance(value, dict):
        return {k: _fitting(param, group, k, v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_fitting(param, group, None, item) for item in value])
    return deepcopy(value)
