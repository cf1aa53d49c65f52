"""A function at a point: its arguments and results as tuples of tensors, their gradients, and what `strict` refuses.

What `functional.py` and `jacobians.py` share. The texts of the errors are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.autograd.gradients import grad
from rushlight.ops.create import zeros_like
from rushlight.tensor import Tensor


def tensors_in(value: Any, what: str, name: str) -> tuple[bool, tuple[Tensor, ...]]:
    """(whether it was a tuple, the tensors of a tensor or tuple)."""
    is_tuple = isinstance(value, tuple)
    tensors = value if is_tuple else (value,)
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            which = f"value at index {i}" if is_tuple else f"given {what}"
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the {which} has type {type(x)}."
            )
    return is_tuple, tensors


def single(values: tuple[Any, ...], is_tuple: bool) -> Any:
    """What `tensors_in` took apart, put together."""
    return values if is_tuple else values[0]


def fresh(tensors: tuple[Tensor, ...], create_graph: bool, requires_grad: bool = True) -> tuple[Tensor, ...]:
    """New tensors of the same values, so that a function's arguments differ from the same tensors in its closure."""
    return tuple(
        x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_(requires_grad) for x in tensors
    )


def detached(tensors: Any) -> tuple[Tensor, ...]:
    return tuple(x.detach() for x in tensors)


def called(func: Callable[..., Any], inputs: tuple[Tensor, ...], name: str, strict: bool) -> tuple[bool, Any]:
    """(whether the function gave a tuple, its results as a tuple)."""
    are_tuple, outputs = tensors_in(func(*inputs), "outputs of the user-provided function", name)
    require_grads(outputs, "outputs", strict)
    return are_tuple, outputs


def number_from(func: Callable[..., Any], inputs: tuple[Tensor, ...], name: str, strict: bool) -> Tensor:
    """The result of a function that has to give one number."""
    are_tuple, outputs = called(func, inputs, name, strict)
    if are_tuple:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if outputs[0].numel() != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
    return outputs[0]


def vector_like(v: Any, like: tuple[Tensor, ...], is_tuple: bool, create_graph: bool, name: str) -> tuple[Tensor, ...]:
    """`v` as a tuple of tensors of the shapes of others."""
    vectors = fresh(tensors_in(v, "v", name)[1], create_graph, requires_grad=False)
    if len(vectors) != len(like):
        if not is_tuple:
            raise RuntimeError("The given v should contain a single Tensor.")
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(vectors)}.")
    for i, (vector, other) in enumerate(zip(vectors, like, strict=True)):
        if vector.shape != other.shape:
            entry = f"Entry {i} in " if is_tuple else ""
            raise RuntimeError(f"{entry}v has invalid size: should be {other.shape} but got {vector.shape}.")
    return vectors


def gradients_of(
    outputs: Any, inputs: tuple[Tensor, ...], weights: Any = None, create_graph: bool = False,
    retain_graph: bool | None = None, batched: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """`autograd.grad` that passes over results which are None or need no gradient."""
    pairs = zip(outputs, weights or (None,) * len(outputs), strict=True)
    chosen = [(output, weight) for output, weight in pairs if output is not None and output.requires_grad]
    if not chosen:
        return (None,) * len(inputs)
    roots, grad_outputs = zip(*chosen, strict=True)
    return grad(roots, inputs, grad_outputs, retain_graph, create_graph, allow_unused=True, is_grads_batched=batched)


# ---------------------------------------------------------------- strict mode

NOT_ALLOWED = "This is not allowed in strict mode"
INDEPENDENT = {  # at which pass a gradient is missing: what that says
    "back": "The output of the user-provided function is independent of input {}. " + NOT_ALLOWED + ".",
    "back_trick": (
        "The gradient with respect to the input is independent of entry {} in the grad_outputs when using the double "
        "backward trick to compute forward mode gradients. " + NOT_ALLOWED + "."
    ),
    "double_back": "The jacobian of the user-provided function is independent of input {}. " + NOT_ALLOWED + ".",
    "double_back_trick": (
        "The hessian of the user-provided function is independent of entry {} in the grad_jacobian. " + NOT_ALLOWED
        + " as it prevents from using the double backward trick to replace forward mode AD."
    ),
}  # fmt: skip
WITHOUT_GRAD = {  # of what has to require gradients: what it says that something does not
    "outputs": (
        "Output {} of the user-provided function does not require gradients. The outputs must be computed in a "
        "differentiable manner from the input when running in strict mode."
    ),
    "grad_inputs": (
        "The gradient with respect to input {} is independent of the inputs of the user-provided function. "
        + NOT_ALLOWED + "."
    ),
    "jacobian": (
        "While computing the hessian, found that the jacobian of the user-provided function with respect to input {} is "
        "independent of the input. " + NOT_ALLOWED + ". You should ensure that your function is twice differentiable and "
        "that the jacobian depends on the inputs (this would be violated by a linear function for example)."
    ),
    "hessian": (
        "The hessian of the user-provided function with respect to input {} is independent of the input. " + NOT_ALLOWED
        + ". You should ensure that your function is thrice differentiable and that the hessian depends on the inputs."
    ),
}  # fmt: skip


def require_grads(tensors: tuple[Any, ...], what: str, strict: bool) -> None:
    """In strict mode, raises where one of the tensors is None or requires no gradient."""
    for i, x in enumerate(tensors if strict else ()):
        if x is None:
            raise RuntimeError(INDEPENDENT["back"].format(i))
        if not x.requires_grad:
            raise RuntimeError(WITHOUT_GRAD[what].format(i))


def with_zeros(
    grads: tuple[Any, ...], like: tuple[Tensor, ...], strict: bool, create_graph: bool, stage: str
) -> tuple[Tensor, ...]:
    """The gradients with zeros for those that are missing; in strict mode, raises for these."""
    for i, found in enumerate(grads if strict else ()):
        if found is None:
            raise RuntimeError(INDEPENDENT[stage].format(i))
        if create_graph and not found.requires_grad:
            raise RuntimeError(independent_in_graph("hessian" if "double" in stage else "jacobian", i))
    return tuple(zeros_like(x) if found is None else found for found, x in zip(grads, like, strict=True))


def independent_in_graph(what: str, i: int) -> str:
    return (
        f"The {what} of the user-provided function is independent of input {i}. {NOT_ALLOWED} when create_graph=True."
    )
