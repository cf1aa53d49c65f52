"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight.tensor import Tensor


def functional_call(
    module: Any, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: dict[str, Any] | None = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """Calls a module with other parameters and buffers than its own.

    Args:
        module: the module.
        parameter_and_buffer_dicts: the tensors by their names, or several such dicts without common names.
        args: the argument, or a tuple of several. kwargs: those given by name.
        tie_weights: parameters that are one tensor under several names are replaced together.
        strict: the names must be all of the module's.

    Raises:
        ValueError: a name in two dicts. TypeError: no dicts. RuntimeError: names that do not fit, with `strict`.
    """
    from rushlight.nn.utils import stateless

    dicts = parameter_and_buffer_dicts
    if not isinstance(dicts, dict):
        if not isinstance(dicts, Sequence) or not all(isinstance(d, dict) for d in dicts):
            raise TypeError(
                f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(dicts)}"
            )
        names = [name for d in dicts for name in d]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"{', '.join(twice)} appeared in multiple dictionaries; behavior of functional call is ambiguous"
            )
        dicts = {name: value for d in dicts for name, value in d.items()}
    return stateless._functional_call(module, dicts, args, kwargs, tie_weights=tie_weights, strict=strict)


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, buffers) of models of one kind, each stacked along a new first dimension: for `vmap` over models.

    Raises:
        RuntimeError: no model, models of different classes or modes, or of which only some want gradients.
    """
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if len({type(m) for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return (
        {name: _stacked(name, [p[name] for p in parameters]) for name in parameters[0]},
        {name: _stacked(name, [b[name] for b in buffers]) for name in buffers[0]},
    )


def _stacked(name: str, tensors: list[Tensor]) -> Tensor:
    from rushlight.api.joining import stack

    wanting = {x.requires_grad for x in tensors}
    if len(wanting) > 1:
        raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
    return stack([x.detach() for x in tensors]).requires_grad_(wanting.pop())
