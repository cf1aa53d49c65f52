"""What `gradcheck` says when derivatives differ: both Jacobians, and where they part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight.tensor import wrap

if TYPE_CHECKING:
    from rushlight.autograd.gradcheck_compare import Subject


class GradcheckError(RuntimeError):
    """Derivatives that `gradcheck` or `gradgradcheck` found to be wrong."""


IN_FAST_MODE = """
The above quantities relating the numerical and analytical jacobians are computed
in fast mode: along one random direction. Below, the jacobians in slow mode:

"""
ONLY_FAST = """Fast gradcheck failed but element-wise differences are small. This means that the
test might've passed in slow_mode! Call gradcheck/gradgradcheck with `fast_mode=False`.
"""
NOT_REENTRANT = (
    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives different "
    "values, although analytical gradient matches numerical gradient. The tolerance for nondeterminism was {}. If the "
    "operation is not deterministic by its nature, call gradcheck/gradgradcheck with a larger `nondet_tol`."
)
BATCHED = (
    "gradcheck or gradgradcheck failed while testing batched gradient computation: vmap over the backward pass. If the "
    "derivative cannot be batched, call gradcheck/gradgradcheck with `check_batched_grad=False`."
)
BATCHED_FORWARD = (
    "gradcheck failed while testing batched gradient computation with forward-mode AD: vmap over the forward pass. If the "
    "function cannot be batched, call gradcheck/gradgradcheck with `check_batched_forward_grad=False`."
)


def mismatch(subject: Subject, i: int, j: int, analytical: Any, numerical: Any) -> str:
    """The first lines, which are PyTorch's, for result `i` and input `j`."""
    prefix, mode = "", ""
    if subject.of_complex(i, j):
        element = "inputs" if subject.forward else "outputs"
        prefix = f"While considering the {subject.part} part of complex {element} only, "
    if subject.forward:
        mode = "computed with forward mode "
    return (
        f"{prefix}Jacobian {mode}mismatch for output {i:d} with respect to input {j:d},\n"
        f"numerical:{tensor_text(numerical)}\nanalytical:{tensor_text(analytical)}\n"
    )


def where_they_part(subject: Subject, i: int, j: int, analytical: Any, numerical: Any, rtol: float, atol: float) -> str:
    """A line on the element that differs most, and how many do. Jacobians have the input's elements as rows."""
    difference, allowed = np.abs(analytical - numerical), atol + rtol * np.abs(numerical)
    wrong = ~(difference <= allowed)  # NaN is wrong
    excess = np.where(np.isnan(difference), np.inf, difference - allowed)
    row, column = np.unravel_index(np.argmax(excess), excess.shape)
    source, result = subject.sources[j], subject.outputs[i]
    at_input, at_output = np.unravel_index(row, source.shape), np.unravel_index(column, result.shape)
    made_by = f", made by {result.grad_fn.name()}," if result.grad_fn is not None else ""
    return (
        f"They part most in the derivative of output{_index(at_output)}{made_by} with respect to input{_index(at_input)}: "
        f"numerical {numerical[row, column]:.6g}, analytical {analytical[row, column]:.6g}, "
        f"difference {difference[row, column]:.3g}, allowed {allowed[row, column]:.3g}. "
        f"{wrong.sum()} of {wrong.size} elements differ.\n"
    )


def in_slow_mode(analytical: np.ndarray, numerical: np.ndarray) -> str:
    """What fast mode adds: the whole Jacobians."""
    largest = np.abs(analytical - numerical).max()
    return (
        f"{IN_FAST_MODE}Numerical:\n {tensor_text(numerical)}\nAnalytical:\n{tensor_text(analytical)}\n\n"
        f"The max per-element difference (slow mode) is: {largest}.\n"
    )


def batched_mismatch(i: int, j: int, got: Any, expected: Any, advice: str) -> str:
    return f"For output {i} and input {j}:\n\n{advice}\n\nGot:\n{got}\n\nExpected:\n{expected}"


def tensor_text(array: Any) -> str:
    return str(wrap(np.asarray(array)))


def _index(at: tuple[Any, ...]) -> str:
    return str([int(i) for i in at]) if at else ""
