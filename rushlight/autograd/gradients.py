"""`backward` and `grad`: what users call, around the engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.autograd.engine import run_backward
from rushlight.autograd.node import AccumulateGrad
from rushlight.ops.create import ones_like, zeros_like
from rushlight.tensor import Tensor, wrap


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    grad_variables: Any = None, inputs: Any = None,
) -> None:  # fmt: skip
    """Adds the gradients of the tensors' weighted sum to the `.grad` of the leaves.

    Args:
        tensors: a tensor or several.
        grad_tensors: for each tensor its weight, of its shape; None for tensors of one element.
        retain_graph: keep the graph for another pass. Default: `create_graph`.
        create_graph: record the computation of the gradients.
        inputs: accumulate into these tensors only.

    Raises:
        RuntimeError: a tensor requires no gradient, or has several elements and no weight.
    """
    if grad_tensors is None and inputs is None and hasattr(tensors, "_array"):  # as a rule
        retain = create_graph if retain_graph is None else retain_graph
        run_backward([tensors], [_weight(0, tensors, None)], retain, create_graph)
        return
    roots = _sequence(tensors)
    wanted = None if inputs is None else _sequence(inputs)
    if wanted is not None:
        if len(wanted) == 0:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        for x in wanted:
            if isinstance(x, Tensor):
                x.retain_grad()
            elif not isinstance(x.node, AccumulateGrad):
                raise RuntimeError("backward(inputs=...) takes tensors and edges of leaves: other edges have no .grad")
    retain = create_graph if retain_graph is None else retain_graph
    weights = _weights(roots, grad_tensors, create_graph)
    run_backward(roots, weights, retain, create_graph, wanted)


def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    only_inputs: bool = True, allow_unused: bool | None = None, is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of the outputs' weighted sum with regard to the inputs; `.grad` is left alone.

    Args:
        outputs, inputs: a tensor or several.
        grad_outputs: for each output its weight, of its shape; None for outputs of one element.
        retain_graph: keep the graph for another pass. Default: `create_graph`.
        create_graph: record the computation, for derivatives of higher order.
        allow_unused: give None for inputs that the outputs do not depend on, instead of raising.
        is_grads_batched: `grad_outputs` have a first dimension more, of several weights; so have the gradients.
        materialize_grads: give zeros for those.

    Returns:
        One gradient for each input.

    Raises:
        RuntimeError: an input requires no gradient, or is not part of the graph.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> torch.autograd.grad(x * x, x)
        (tensor(6.),)
    """
    roots, wanted = _sequence(outputs), _sequence(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True, but got False")
    if is_grads_batched:
        options = retain_graph, create_graph, only_inputs, allow_unused, False, materialize_grads
        return _of_each_weight(roots, wanted, _sequence(grad_outputs), options)
    _check_wanted(wanted)
    retain = create_graph if retain_graph is None else retain_graph
    grads = run_backward(roots, _weights(roots, grad_outputs, create_graph), retain, create_graph, wanted, False)
    if materialize_grads:
        if not all(isinstance(x, Tensor) for x in wanted):
            raise AssertionError("materialize_grads cannot be used when the given input is a GradientEdge")
        grads = [zeros_like(x) if g is None else g for g, x in zip(grads, wanted, strict=True)]
    elif not allow_unused and (unused := [i for i, g in enumerate(grads) if g is None]):
        raise RuntimeError(
            f"The differentiated Tensor at index {unused[0]} appears to not have been used in the graph. Set "
            "allow_unused=True if this is the desired behavior."
        )
    return tuple(grads)


def _of_each_weight(roots: list[Any], wanted: list[Any], weights: list[Any], options: tuple) -> tuple[Any, ...]:
    """The gradients for every example of the weights, by one backward pass inside `vmap`."""
    from rushlight.func.vectorize import vmap

    used: list[bool] = []

    def of_one(*weights: Any) -> tuple[Any, ...]:
        found = grad(roots, wanted, weights, *options)
        used[:] = [g is not None for g in found]
        return tuple([g for g in found if g is not None])

    found = iter(vmap(of_one, randomness="same")(*weights))
    return tuple([next(found) if is_used else None for is_used in used])


def _sequence(tensors: Any) -> list[Any]:
    return [tensors] if hasattr(tensors, "_array") or hasattr(tensors, "output_nr") else list(tensors)


def _check_wanted(inputs: list[Any]) -> None:
    for i, x in enumerate(inputs):
        if isinstance(x, Tensor) and not x._needs_grad:
            raise RuntimeError(f"One of the differentiated Tensors does not require grad (input {i})")


def _weights(roots: list[Any], given: Any, create_graph: bool) -> list[Any]:
    """The gradients to start from: ones for tensors of one element."""
    weights = [None] * len(roots) if given is None else _sequence(given)
    if len(weights) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(weights)} gradients")
    return [_weight(i, root, weight) for i, (root, weight) in enumerate(zip(roots, weights, strict=True))]


def _weight(i: int, root: Any, weight: Any) -> Any:
    if not isinstance(root, Tensor):  # a GradientEdge
        if root.like is not None:
            return _weight(i, root.like.detach().requires_grad_(), weight)
        if weight is None:
            raise RuntimeError("grad_outputs are needed for a GradientEdge that was not made by get_gradient_edge")
        return weight
    array = root._array
    if not root._needs_grad:
        raise RuntimeError(f"element {i} of tensors does not require grad and does not have a grad_fn")
    if weight is None:
        if array.size != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        if array.dtype.kind == "c":
            raise RuntimeError(
                f"grad can be implicitly created only for real scalar outputs but got torch.{root.dtype.name}"
            )
        return wrap(np.ones(array.shape, array.dtype)) if type(array) is np.ndarray else ones_like(root)
    if weight._array.shape != array.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {weight.shape} and output[{i}] has a shape of "
            f"{root.shape}."
        )
    return weight
