"""Reverse mode as functions of functions: `vjp`, `grad`, `grad_and_value`.

The arguments are made fresh variables of autograd's own graph, aliases of what was given. If that had history, or the function
reaches other tensors that want gradients, the backward pass is recorded in turn: so transforms nest in each other, and in
ordinary autograd.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rushlight.arrays.kinds import levels
from rushlight.autograd.engine import run_backward
from rushlight.autograd.history import edge_of
from rushlight.autograd.modes import enable_grad, modes
from rushlight.autograd.node import Node
from rushlight.func.arguments import as_given, chosen, replaced, require_outputs, require_tensors, split_aux
from rushlight.ops import namespaces
from rushlight.ops.create import ones_like, zeros_like
from rushlight.ops.views import alias
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_map, tree_map_only, tree_unflatten


def fresh(tree: Any) -> Any:
    """The tree with a new variable for each tensor of floating-point or complex numbers, on the same memory."""
    return tree_map(_fresh, tree)


def _fresh(x: Any) -> Any:
    if not isinstance(x, Tensor):
        raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
    running = levels()
    if running:  # the variable is of the innermost transform, whose operations are to be recorded
        x = namespaces.transforms().raised(running[-1], x)
    variable = alias(x)  # recorded, if x has history: here, or in what a transform computes with
    if variable._node is None:
        variable._view = None
        variable._needs_grad = variable.dtype.kind in "fc"
    return variable


def reaches_beyond(outputs: list[Tensor], variables: list[Tensor]) -> bool:
    """Whether the outputs depend on a tensor that wants a gradient and is none of these variables, nor below one."""
    own = {id(x) for x in variables}
    if any(x._node is not None for x in variables):
        return True
    seen: set[Node] = set()
    pending = [edge_of(x) for x in outputs if x._needs_grad]
    while pending:
        edge = pending.pop()
        node = edge[0] if isinstance(edge, tuple) else edge
        if isinstance(node, Tensor):
            if id(node) not in own:
                return True
        elif node is not None and node not in seen:
            seen.add(node)
            pending.extend(node.edges)
    return False


def detached(tree: Any) -> Any:
    """The tree with tensors that have no history in this transform."""
    without_history = namespaces.transforms().without_history
    return tree_map_only(Tensor, lambda x: without_history(x) if x._needs_grad else x, tree)


def gradients(
    outputs: list[Tensor], weights: list[Any], variables: list[Tensor], retain_graph: bool, create_graph: bool
) -> list[Tensor]:
    """The gradients of weighted outputs; zeros where they do not depend on a variable."""
    pairs = [(x, w) for x, w in zip(outputs, weights, strict=True) if x._needs_grad]
    asked = [x for x in variables if x._needs_grad]
    found: Any = iter(())
    if pairs and asked:
        roots, given = zip(*pairs, strict=True)
        found = iter(run_backward(list(roots), list(given), retain_graph, create_graph, asked, accumulate=False))
    grads = [next(found, None) if x._needs_grad else None for x in variables]
    return [zeros_like(x) if g is None else g for g, x in zip(grads, variables, strict=True)]


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of a function, and the function from weights of its results to gradients.

    Args:
        func: from tensors to a tensor or a tree of tensors.
        primals: its arguments, trees of tensors.
        has_aux: `func` returns (what is differentiated, something else).

    Returns:
        (value, vjp_fn), with `has_aux` (value, vjp_fn, aux). `vjp_fn(*weights)` gives a gradient for each of `primals`: a
        tuple, or for one argument the gradient itself.

    Raises:
        RuntimeError: results that are no tensors; weights that do not fit the results.

    Example:
        >>> import rushlight as torch
        >>> value, vjp_fn = torch.func.vjp(torch.sin, torch.zeros(2))
        >>> vjp_fn(torch.ones(2))
        (tensor([1., 1.]),)
    """
    outer = modes.grad
    require_tensors("vjp(f, *primals): Expected primals", primals)
    with enable_grad():
        variables = fresh(primals)
        flat, spec = tree_flatten(variables)
        output, aux = split_aux("vjp(f, *primals)", func(*variables), has_aux)
    outputs = require_outputs("vjp(f, *primals)", output)
    output_spec = tree_flatten(output)[1]
    beyond = outer and reaches_beyond(outputs, flat)

    def vjp_fn(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        weights = require_tensors("vjp_fn: Expected cotangents", cotangents)
        _check_weights(weights, tree_flatten(cotangents)[1], outputs, output_spec)
        tracked = modes.grad and (beyond or any(w._needs_grad for w in weights))
        create = tracked if create_graph is None else create_graph
        return tree_unflatten(gradients(outputs, weights, flat, retain_graph, create), spec)

    def of_all(*cotangents: Any, **options: Any) -> Any:
        return vjp_fn(cotangents[0] if len(cotangents) == 1 else cotangents, **options)

    value = output if beyond else detached(output)
    return (value, of_all, aux if beyond else detached(aux)) if has_aux else (value, of_all)


def _check_weights(weights: list[Tensor], spec: Any, outputs: list[Tensor], output_spec: Any) -> None:
    if spec != output_spec:
        raise RuntimeError(
            "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
            f"cotangents: {spec}, primal output: {output_spec}"
        )
    for weight, output in zip(weights, outputs, strict=True):
        if weight.shape != output.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[0] has a shape of {weight.shape} and output[0] has a shape of "
                f"{output.shape}."
            )


def grad_and_value(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives the gradient of `func`, a number, and its value.

    Args:
        argnums: the argument to differentiate by, or a tuple of several.
        has_aux: `func` returns (value, something else); the result is then (gradient, (value, something else)).

    Raises:
        RuntimeError: `func` gives no tensor of no dimensions.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        outer = modes.grad
        with enable_grad():
            variables = fresh(chosen(args, argnums))
            flat, spec = tree_flatten(variables)
            output, aux = split_aux(
                "grad_and_value(f)(*args)", func(*replaced(args, argnums, variables), **kwargs), has_aux
            )
        if not isinstance(output, Tensor):
            raise RuntimeError(f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(output)}")
        if output.ndim != 0:
            raise RuntimeError(
                "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with "
                f"{output.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
            )
        beyond = outer and reaches_beyond([output], flat)
        found = gradients([output], [ones_like(output)], flat, beyond, beyond)
        result = as_given(argnums, tree_unflatten(found, spec))
        output, aux = (output, aux) if beyond else (detached(output), detached(aux))
        return (result, (output, aux)) if has_aux else (result, output)

    return wrapper


def grad(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives the gradient of `func`, whose result is a number.

    Args:
        argnums: the argument to differentiate by, or a tuple of several.
        has_aux: `func` returns (value, something else); the result is then (gradient, something else).

    Raises:
        RuntimeError: `func` gives no tensor of no dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.func.grad(torch.func.grad(torch.sin))(torch.tensor(0.5))
        tensor(-0.4794)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result, rest = both(*args, **kwargs)
        return (result, rest[1]) if has_aux else result

    return wrapper
