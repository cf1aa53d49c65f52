"""Derivatives of functions at a point: products with the Jacobian and the Hessian, and these whole.

Each function runs the user's function on fresh tensors, so that what it closes over is a constant, and asks `autograd.grad`
for the rest. A product from the right (jvp, hvp) is the gradient of a product from the left with regard to its vector, in
which the backward pass is linear. `points.py` has the checks. The functions that nest without `create_graph` are those of
`rushlight.func`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.autograd.jacobians import hessian, jacobian
from rushlight.autograd.modes import enable_grad, is_grad_enabled, set_grad_enabled
from rushlight.autograd.points import (
    called,
    detached,
    fresh,
    gradients_of,
    number_from,
    require_grads,
    single,
    tensors_in,
    vector_like,
    with_zeros,
)  # fmt: skip
from rushlight.ops.create import zeros_like
from rushlight.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Results = Any  # a tensor or a tuple of them, as the function's arguments or results are


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Results, Results]:
    """The product of a vector and the Jacobian of a function, `v @ J`.

    Args:
        func: of tensors, with a tensor or a tuple of tensors as result.
        inputs: the point, a tensor or a tuple of them.
        v: of the shapes of the results. It may be left out for a single result of one element.
        create_graph: whether results can be differentiated further.
        strict: raise where a result does not depend on an input, instead of giving zeros.

    Returns:
        The function's results, and the product: of the shapes of the inputs.

    Raises:
        TypeError: inputs or results are not tensors.
        RuntimeError: `v` does not fit.

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.vjp(lambda x: x.exp(), torch.zeros(2), torch.tensor([1.0, 2.0]))
        (tensor([1., 1.]), tensor([1., 2.]))
    """
    with enable_grad():
        is_tuple, inputs = tensors_in(inputs, "inputs", "vjp")
        inputs = fresh(inputs, create_graph)
        are_tuple, outputs = called(func, inputs, "vjp", strict)
        if v is not None:
            v = vector_like(v, outputs, are_tuple, create_graph, "vjp")
        elif len(outputs) != 1 or outputs[0].numel() != 1:
            raise RuntimeError(
                "The vector v can only be None if the user-provided function returns a single Tensor with a single element."
            )
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = gradients_of(outputs, inputs, v, create_graph=create_graph)
        product = with_zeros(product, inputs, strict, create_graph, "back")
    return _finished(outputs, product, create_graph, are_tuple, is_tuple)


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Results, Results]:
    """The product of the Jacobian of a function and a vector, `J @ v`, by two backward passes.

    `rushlight.func.jvp` computes it along with the function, in one forward pass.

    Args:
        func: of tensors, with a tensor or a tuple of tensors as result.
        inputs: the point, a tensor or a tuple of them.
        v: of the shapes of the inputs. It may be left out for a single input of one element.
        create_graph: whether results can be differentiated further.
        strict: raise where a result does not depend on an input, instead of giving zeros.

    Returns:
        The function's results, and the product: of the shapes of the results.

    Raises:
        TypeError: inputs or results are not tensors.
        RuntimeError: `v` does not fit.

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.jvp(lambda x: x.exp(), torch.zeros(2), torch.tensor([1.0, 2.0]))
        (tensor([1., 1.]), tensor([1., 2.]))
    """
    with enable_grad():
        is_tuple, inputs = tensors_in(inputs, "inputs", "jvp")
        inputs = fresh(inputs, create_graph)
        v = _vector_of_inputs(v, inputs, is_tuple, create_graph, "jvp")
        are_tuple, outputs = called(func, inputs, "jvp", strict)
        # What the weights are does not matter, since the pass is linear in them.
        weights = tuple(zeros_like(output, requires_grad=True) for output in outputs)
        grads = gradients_of(outputs, inputs, weights, create_graph=True)
        require_grads(grads, "grad_inputs", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = gradients_of(grads, weights, v, create_graph=create_graph)
        product = with_zeros(product, outputs, strict, create_graph, "back_trick")
    return _finished(outputs, product, create_graph, are_tuple, are_tuple)


def _gradient_at(
    func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool, name: str
) -> tuple[bool, Any, Any, Tensor, Any]:
    """(whether inputs are a tuple, the inputs and `v` made fresh, the function's number, its recorded gradient)."""
    is_tuple, inputs = tensors_in(inputs, "inputs", name)
    inputs = fresh(inputs, create_graph)
    v = _vector_of_inputs(v, inputs, is_tuple, create_graph, name)
    output = number_from(func, inputs, name, strict)
    gradient = gradients_of((output,), inputs, create_graph=True)
    require_grads(gradient, "jacobian", strict)
    return is_tuple, inputs, v, output, gradient


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensor, Results]:
    """The product of a vector and the Hessian of a function with one number as its result.

    Args:
        func: of tensors, with a tensor of one element as result.
        inputs: the point, a tensor or a tuple of them.
        v: of the shapes of the inputs. It may be left out for a single input of one element.
        create_graph: whether results can be differentiated further.
        strict: raise where the gradient does not depend on an input, instead of giving zeros.

    Returns:
        The function's result, and the product: of the shapes of the inputs.

    Raises:
        TypeError: inputs are not tensors.
        RuntimeError: the result is not one number, or `v` does not fit.

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.vhp(lambda x: (x**3).sum(), torch.ones(2), torch.tensor([1.0, 2.0]))
        (tensor(2.), tensor([ 6., 12.]))
    """
    with enable_grad():
        is_tuple, inputs, v, output, gradient = _gradient_at(func, inputs, v, create_graph, strict, "vhp")
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = gradients_of(gradient, inputs, v, create_graph=create_graph)
        product = with_zeros(product, inputs, strict, create_graph, "double_back")
    return _finished((output,), product, create_graph, False, is_tuple)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensor, Results]:
    """The product of the Hessian of a function with one number as its result and a vector, by three backward passes.

    Where the Hessian is symmetric (the function is smooth) `vhp` is the same and takes two.

    Args:
        func: of tensors, with a tensor of one element as result.
        inputs: the point, a tensor or a tuple of them.
        v: of the shapes of the inputs. It may be left out for a single input of one element.
        create_graph: whether results can be differentiated further.
        strict: raise where the gradient does not depend on an input, instead of giving zeros.

    Returns:
        The function's result, and the product: of the shapes of the inputs.

    Raises:
        TypeError: inputs are not tensors.
        RuntimeError: the result is not one number, or `v` does not fit.

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.hvp(lambda x: (x**3).sum(), torch.ones(2), torch.tensor([1.0, 2.0]))
        (tensor(2.), tensor([ 6., 12.]))
    """
    with enable_grad():
        is_tuple, inputs, v, output, gradient = _gradient_at(func, inputs, v, create_graph, strict, "hvp")
        weights = tuple(zeros_like(x, requires_grad=True) for x in inputs)
        second = gradients_of(gradient, inputs, weights, create_graph=True)
        require_grads(gradient, "hessian", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = gradients_of(second, weights, v, create_graph=create_graph)
        product = with_zeros(product, inputs, strict, create_graph, "double_back_trick")
    return _finished((output,), product, create_graph, False, is_tuple)


# ------------------------------------------------------------ what they share


def _vector_of_inputs(v: Any, inputs: Any, is_tuple: bool, create_graph: bool, name: str) -> Any:
    if v is not None:
        return vector_like(v, inputs, is_tuple, create_graph, name)
    if len(inputs) != 1 or inputs[0].numel() != 1:
        raise RuntimeError(
            "The vector v can only be None if the input to the user-provided function is a single Tensor with a single element."
        )
    return None


def _finished(outputs: Any, product: Any, create_graph: bool, are_tuple: bool, is_tuple: bool) -> tuple[Any, Any]:
    if not create_graph:
        outputs, product = detached(outputs), detached(product)
    return single(outputs, are_tuple), single(product, is_tuple)
