"""What `gradcheck` asks beside the Jacobians: zero weights, undefined gradients and tangents, and batches of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.autograd.differences import as_tuple, is_inexact
from rushlight.autograd.gradcheck_analytical import duals_of, requires_grad
from rushlight.autograd.gradcheck_text import BATCHED, BATCHED_FORWARD, GradcheckError, batched_mismatch
from rushlight.autograd.gradients import grad
from rushlight.ops.create import beside, zeros_like
from rushlight.ops.views import stack
from rushlight.random import Generator
from rushlight.tensor import Tensor

HANDLE_UNDEFINED = "Expected backward function to handle undefined output grads"


def check_zero_weights(outputs: list[Tensor], sources: list[Tensor], masked: bool) -> None:
    """A gradient is linear in that of the outputs: for zeros it is zero, of the input's size and kind."""
    weights = [zeros_like(output) for output in outputs]
    for found, x in zip(grad(outputs, sources, weights, allow_unused=True), sources, strict=True):
        if found is None:
            continue
        if found.is_sparse and not x.is_sparse:
            raise GradcheckError(f"grad is incorrect layout ({found.layout} is not {x.layout})")
        values = _values(found.to_dense() if found.is_sparse else found)
        if not (np.allclose(values, 0) if masked else (values == 0).all()):
            raise GradcheckError("backward not multiplied by grad_output")
        for attribute, word in (("dtype", "type"), ("device", "device"), ("shape", "size")):
            got, expected = getattr(found, attribute), getattr(x, attribute)
            if got != expected:
                raise GradcheckError(f"grad is incorrect {word}: {got}, for an input of {expected}")


def check_undefined_gradients(func: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    """Where one of several outputs has no gradient, and the others zeros, those of the inputs are undefined or zero."""
    sources = [x for x in inputs if requires_grad(x)]
    count = sum(requires_grad(output) for output in as_tuple(func(*inputs)))
    for left_out in range(count) if count > 1 else ():
        outputs = [output for output in as_tuple(func(*inputs)) if requires_grad(output)]
        del outputs[left_out]
        try:
            found = grad(outputs, sources, [zeros_like(output) for output in outputs], allow_unused=True)
        except (RuntimeError, TypeError, AttributeError, ValueError) as error:  # what arithmetic on None raises
            raise GradcheckError(f"{HANDLE_UNDEFINED}, but without that of output {left_out} got: {error}") from error
        if any(g is not None and bool((g != 0).any()) for g in found):
            raise GradcheckError(
                "Expected all input grads to be undefined or zero when all output grads are undefined or zero"
            )


def check_undefined_tangents(func: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    """An input without a tangent is one whose tangent is zero."""
    from rushlight.autograd import forward_ad

    draws = Generator()
    known = {id(x): random_like(x, draws) for x in inputs if requires_grad(x)}
    for i, x in enumerate(inputs):
        if not requires_grad(x):
            continue
        with forward_ad.dual_level():
            duals = duals_of(inputs, {key: value for key, value in known.items() if key != id(x)})
            defined = as_tuple(func(*duals))
            duals[i] = x.detach()
            undefined = as_tuple(func(*duals))
            for number, results in enumerate(zip(defined, undefined, strict=True)):
                if not is_inexact(results[0]):
                    continue
                expected, got = (forward_ad.unpack_dual(result).tangent for result in results)
                if expected is not None and got is not None and not np.allclose(_values(got), _values(expected)):
                    raise GradcheckError(
                        f"Mismatch in tangent values for output with index: {number} when input: {x} has an undefined tangent "
                        f"value. Got: {got} but expected: {expected}"
                    )


def check_batched_gradients(outputs: list[Tensor], sources: list[Tensor]) -> None:
    """The backward pass of two weights at once, against that of one after the other."""
    draws = Generator()
    for i, output in enumerate(outputs):
        weights = [random_like(output, draws) for _ in range(2)]
        single = [grad(output, sources, weight, retain_graph=True, allow_unused=True) for weight in weights]
        try:
            found = grad(
                output, sources, stack(*weights, axis=0), retain_graph=True, allow_unused=True, is_grads_batched=True
            )
        except RuntimeError as error:
            raise GradcheckError(f"While computing batched gradients, got: {error}\n\n{BATCHED}") from error
        for j, (got, *parts) in enumerate(zip(found, *single, strict=True)):
            if got is not None or parts[0] is not None:
                _require_close(i, j, got, parts, BATCHED)


def check_batched_tangents(func: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    """The forward pass of two tangents at once, against that of one after the other."""
    from rushlight.func import vmap

    draws = Generator()
    for j, x in enumerate(inputs):
        if not requires_grad(x):
            continue
        along = _tangents_along(func, inputs, j)
        directions = [random_like(x, draws) for _ in range(2)]
        single = [along(direction) for direction in directions]
        try:
            found = vmap(along)(stack(*directions, axis=0))
        except RuntimeError as error:
            raise GradcheckError(f"While computing batched gradients, got: {error}\n\n{BATCHED_FORWARD}") from error
        for i, (got, *parts) in enumerate(zip(found, *single, strict=True)):
            _require_close(i, j, got, parts, BATCHED_FORWARD)


def _tangents_along(
    func: Callable[..., Any], inputs: tuple[Any, ...], j: int
) -> Callable[[Tensor], tuple[Tensor, ...]]:
    from rushlight.autograd import forward_ad

    def along(direction: Tensor) -> tuple[Tensor, ...]:
        with forward_ad.dual_level():
            point = [x.detach() if isinstance(x, Tensor) else x for x in inputs]
            point[j] = forward_ad.make_dual(point[j], direction)
            parts = [forward_ad.unpack_dual(result) for result in as_tuple(func(*point)) if is_inexact(result)]
            return tuple(zeros_like(part.primal) if part.tangent is None else part.tangent for part in parts)

    return along


def _require_close(i: int, j: int, got: Any, parts: Any, advice: str) -> None:
    expected = stack(*parts, axis=0)
    if not np.allclose(_values(got), _values(expected)):
        raise GradcheckError(batched_mismatch(i, j, got, expected, advice))


def _values(tensor: Tensor) -> np.ndarray:
    return tensor._host_values("gradcheck()")


def random_like(tensor: Tensor, draws: Generator) -> Tensor:
    """Of a generator of gradcheck's own: the user's stream stays where it is."""
    values = draws.uniform(tuple(tensor.shape), -1.0, 1.0, np.float64)
    if tensor.is_complex():
        values = values + 1j * draws.uniform(tuple(tensor.shape), -1.0, 1.0, np.float64)
    return beside(tensor, values.astype(tensor._array.dtype))
