"""What registered hooks make of gradients on their way, in PyTorch's order.

At a node: hooks of the tensors it made, `retain_grad`, the node's prehooks, its derivative, its hooks. At a leaf: hooks of
the tensor, prehooks of its `AccumulateGrad`, the accumulation, post-accumulate hooks, hooks of the `AccumulateGrad`
(`engine.accumulate`). Hooks see Tensors; the walk has arrays, unless it makes a graph of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.autograd.node import Node
from rushlight.ops.namespaces import is_array
from rushlight.tensor import Tensor, wrap


def as_tensor(grad: Any) -> Any:
    """A gradient of the walk as hooks see it."""
    if isinstance(grad, Tensor):
        return grad
    return wrap(grad if is_array(grad) else np.asarray(grad))


def of_tensors(node: Node, grad: Any, create_graph: bool) -> Any:
    """The gradient of a node's output ({number: gradient} of several), after the hooks of its tensors."""
    extras = node.extras
    if extras is None or not (extras.tensors or extras.retained):
        return grad
    if not isinstance(grad, dict):
        return _of_output(extras, 0, grad, create_graph)
    return {number: _of_output(extras, number, part, create_graph) for number, part in grad.items()}


def _of_output(extras: Any, number: int, grad: Any, create_graph: bool) -> Any:
    if number in extras.tensors:
        grad = _call(extras.tensors[number], grad, create_graph)
    reference = extras.retained.get(number)
    tensor = None if reference is None else reference()
    if tensor is not None:
        _retain(tensor, grad)
    return grad


def _retain(tensor: Tensor, grad: Any) -> None:
    """Adds a gradient to the `.grad` of a tensor that is no leaf."""
    before, given = tensor._grad, as_tensor(grad)
    tensor._grad = given.clone() if before is None else before + given


def _call(hooks: dict[int, Any], grad: Any, create_graph: bool) -> Any:
    tensor = as_tensor(grad)
    for hook in list(hooks.values()):
        replaced = hook(tensor)
        if replaced is not None:
            _check(hook, replaced, tensor)
            tensor = replaced
    return tensor if create_graph else tensor._array


def of_leaf(leaf: Tensor, grad: Any, create_graph: bool) -> Any:
    """The gradient of a leaf after its hooks."""
    hooks = leaf._hooks
    return grad if hooks is None or not hooks.before else _call(hooks.before, grad, create_graph)


def before_accumulating(leaf: Tensor, grad: Any, create_graph: bool) -> Any:
    (grad,) = _of_tuple(leaf._hooks.node_before, (grad,), create_graph)
    return grad


def before(node: Node, grad: Any, create_graph: bool) -> Any:
    """The gradient that a node differentiates: after the hooks of its tensors and its own prehooks."""
    grad = of_tensors(node, grad, create_graph)
    if node.extras is None or not node.extras.before:
        return grad
    several = node.op.several
    parts = grad if isinstance(grad, dict) else {0: grad}
    replaced = _of_tuple(node.extras.before, tuple(map(parts.get, range(len(node.op.outputs)))), create_graph)
    return dict(enumerate(replaced)) if several else replaced[0]


def is_undefined(grad: Any) -> bool:
    """Whether a hook took all gradients of a node's outputs away."""
    return grad is None or isinstance(grad, dict) and all(part is None for part in grad.values())


def _of_tuple(hooks: dict[int, Any], grads: tuple, create_graph: bool) -> tuple:
    shown = tuple([None if g is None else as_tensor(g) for g in grads])
    for hook in list(hooks.values()):
        shown = _replaced(hook, hook(shown), shown)
    return tuple([g if g is None or create_graph else g._array for g in shown])


def after(node: Node, grads: Any, outputs: Any, create_graph: bool) -> list[Any]:
    """The gradients of a node's inputs, after the node's hooks."""
    parts = outputs if isinstance(outputs, dict) else {0: outputs}
    given = [parts.get(number) for number in range(len(node.op.outputs))]
    outs = tuple([None if g is None else as_tensor(g) for g in given])
    shown = tuple([None if g is None else as_tensor(g) for g in grads])
    for hook in list((node.extras.after if node.extras else {}).values()):
        shown = _replaced(hook, hook(shown, outs), shown)
    return [g if g is None or create_graph else g._array for g in shown]


def _replaced(hook: Any, result: Any, shown: tuple) -> tuple:
    """What a hook of several gradients gave in their place, if it gave something."""
    if result is None:
        return shown
    if not isinstance(result, tuple):
        if len(shown) != 1 or not isinstance(result, Tensor):
            raise TypeError(f"expected tuple, but hook returned '{type(result).__name__}'")
        result = (result,)
    if len(result) != len(shown):
        raise RuntimeError(
            f"hook '{_name(hook)}' has returned an incorrect number of values (got {len(result)}, but expected "
            f"{len(shown)})"
        )
    for new, old in zip(result, shown, strict=True):
        if new is not None and old is not None:
            _check(hook, new, old)
    return result


def _check(hook: Any, replaced: Any, grad: Tensor) -> None:
    if not isinstance(replaced, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(replaced).__name__}'")
    if replaced._array.dtype != grad._array.dtype:
        raise RuntimeError(
            f"hook '{_name(hook)}' has changed the type of value (was torch.{dtypes.legacy_name(grad)}Tensor "
            f"got torch.{dtypes.legacy_name(replaced)}Tensor)"
        )
    if replaced.shape != grad.shape:
        raise RuntimeError(
            f"hook '{_name(hook)}' has changed the size of value: the gradient is {list(grad.shape)}, the hook gave "
            f"{list(replaced.shape)}"
        )


def _name(hook: Any) -> str:
    return getattr(hook, "__name__", type(hook).__name__)
