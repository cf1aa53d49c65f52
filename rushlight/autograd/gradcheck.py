"""Are derivatives right? `gradcheck` compares autograd's with finite differences, `gradgradcheck` those of gradients.

`gradcheck_compare.py` compares Jacobians: `differences.py` and `gradcheck_analytical.py` compute the two sides, `gradcheck_text.py`
says how they differ. `gradcheck_more.py` has what is asked besides.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from rushlight.autograd.differences import as_tuple, is_inexact, numerical_jacobians
from rushlight.autograd.gradcheck_analytical import are_equal, requires_grad, rows_for, unit_weights
from rushlight.autograd.gradcheck_compare import Options, backward_subjects, compare, forward_subjects
from rushlight.autograd.gradcheck_more import (
    check_batched_gradients,
    check_batched_tangents,
    check_undefined_gradients,
    check_undefined_tangents,
    check_zero_weights,
)  # fmt: skip
from rushlight.autograd.gradcheck_text import GradcheckError
from rushlight.autograd.gradients import grad
from rushlight.tensor import Tensor, wrap

__all__ = [
    "GradcheckError", "get_analytical_jacobian", "get_numerical_jacobian", "get_numerical_jacobian_wrt_specific_input",
    "gradcheck", "gradgradcheck",
]  # fmt: skip


# ---------------------------------------------------------------- what users call


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False, check_batched_grad: bool = False, check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False, check_backward_ad: bool = True, fast_mode: bool = False, masked: bool | None = None,
) -> bool:  # fmt: skip
    """Compares the derivatives of a function with finite differences.

    The defaults are for float64. Of a complex result the real and the imaginary part are checked one after the other, by
    Wirtinger derivatives.

    Args:
        func: of the inputs, with a tensor or a tuple of tensors as result.
        inputs: a tensor or a tuple; derivatives are checked by those that require gradients.
        eps: how far an input is moved.
        atol, rtol: elements may differ by `atol + rtol * |numerical|`.
        raise_exception: raise where derivatives are wrong, instead of giving False.
        nondet_tol: by how much a backward pass may differ from the same once more.
        check_undefined_grad: also check that gradients and tangents that are missing count as zero.
        check_grad_dtypes: also check that gradients have their inputs' dtypes.
        check_batched_grad: also check the backward pass of a batch of weights.
        check_batched_forward_grad: also check the forward pass of a batch of tangents.
        check_forward_ad: check forward-mode derivatives.
        check_backward_ad: check backward-mode derivatives.
        fast_mode: compare products with a random direction, one pass for each input and output.
        masked: for sparse gradients: elements that are not stored do not count.

    Returns:
        Whether all derivatives agree.

    Raises:
        GradcheckError: they do not. The text has both Jacobians and the element at which they differ most.
        ValueError: no input requires gradients.

    Example:
        >>> import rushlight as torch
        >>> x = torch.randn(3, dtype=torch.float64, requires_grad=True)
        >>> torch.autograd.gradcheck(torch.sin, x)
        True
    """
    _require(check_forward_ad or check_backward_ad, "at least one of check_forward_ad or check_backward_ad to be True")
    _require(not check_batched_grad or check_backward_ad, batched="check_batched_grad", other="check_backward_ad")
    _require(
        not check_batched_forward_grad or check_forward_ad,
        batched="check_batched_forward_grad",
        other="check_forward_ad",
    )
    options = Options(eps, atol, rtol, nondet_tol, check_grad_dtypes, fast_mode)
    inputs = as_tuple(inputs)
    _check_inputs(inputs)
    try:
        outputs = _check_outputs(as_tuple(func(*inputs)))
        for subject in backward_subjects(func, inputs) if check_backward_ad else ():
            compare(subject, options)
        for subject in forward_subjects(func, inputs) if check_forward_ad else ():
            compare(subject, options)
            if check_undefined_grad:
                check_undefined_tangents(subject.func, subject.inputs)
        if check_batched_forward_grad:
            check_batched_tangents(func, inputs)
        if check_backward_ad:
            sources = [x for x in inputs if requires_grad(x)]
            if check_batched_grad:
                check_batched_gradients(outputs, sources)
            if outputs:
                check_zero_weights(outputs, sources, bool(masked))
            if check_undefined_grad:
                check_undefined_gradients(func, inputs)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6, atol: float = 1e-5,
    rtol: float = 1e-3, gen_non_contig_grad_outputs: bool = False, raise_exception: bool = True, nondet_tol: float = 0.0,
    check_undefined_grad: bool = True, check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False, check_rev_over_rev: bool = True, fast_mode: bool = False, masked: bool = False,
) -> bool:  # fmt: skip
    """Compares the second derivatives of a function with finite differences of its first.

    Args:
        func, inputs: as of `gradcheck`.
        grad_outputs: the weights of the outputs, by which gradients are checked too. Default: random ones.
        gen_non_contig_grad_outputs: make the random ones with gaps in memory.
        check_fwd_over_rev: check the forward-mode derivative of the gradients.
        check_rev_over_rev: check the backward-mode derivative of the gradients.
        eps, atol, rtol, raise_exception, nondet_tol, check_undefined_grad, check_grad_dtypes, check_batched_grad, fast_mode,
            masked: as of `gradcheck`.

    Returns:
        Whether all derivatives agree.

    Raises:
        GradcheckError: they do not.

    Example:
        >>> import rushlight as torch
        >>> x = torch.randn(3, dtype=torch.float64, requires_grad=True)
        >>> torch.autograd.gradgradcheck(torch.sin, x)
        True
    """
    _require(
        check_fwd_over_rev or check_rev_over_rev, "at least one of check_fwd_over_rev or check_rev_over_rev to be True"
    )
    _require(not check_undefined_grad or check_rev_over_rev, batched="check_undefined_grad", other="check_rev_over_rev")
    _require(not check_batched_grad or check_rev_over_rev, batched="check_batched_grad", other="check_rev_over_rev")
    inputs = as_tuple(inputs)
    if grad_outputs is None:
        outputs = [output for output in as_tuple(func(*inputs)) if output.requires_grad]
        weights = tuple(_random_weight(output, gen_non_contig_grad_outputs) for output in outputs)
    else:
        weights = as_tuple(grad_outputs)
    return gradcheck(
        _gradients_of(func, inputs, weights), (*inputs, *weights), eps=eps, atol=atol, rtol=rtol,
        raise_exception=raise_exception, nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes, check_batched_grad=check_batched_grad, fast_mode=fast_mode,
        check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev, masked=masked,
    )  # fmt: skip


def _gradients_of(func: Callable[..., Any], inputs: tuple[Any, ...], weights: tuple[Any, ...]) -> Callable[..., Any]:
    """The gradients of a function as a function of its inputs and of its outputs' weights."""
    graded = [requires_grad(x) for x in (*inputs, *weights)]

    def gradients(*values: Any) -> tuple[Tensor, ...]:
        # `gradcheck` detaches inputs for the forward pass: here they require gradients again.
        values = tuple(x.requires_grad_() if needs else x for x, needs in zip(values, graded, strict=True))
        point, given = values[: len(inputs)], values[len(inputs) :]
        outputs = [output for output in as_tuple(func(*point)) if output.requires_grad]
        sources = [x for x, needs in zip(point, graded, strict=False) if needs]
        found = grad(outputs, sources, given, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradients


def _random_weight(output: Tensor, with_gaps: bool) -> Tensor:
    from rushlight.api.draws import rand

    dtype = output.dtype if is_inexact(output) else "float64"
    shape = (*output.shape[:-1], 2 * output.shape[-1]) if with_gaps and output.dim() else tuple(output.shape)
    weight = rand(shape, dtype=dtype, device=output.device) * 2 - 1
    if tuple(weight.shape) != tuple(output.shape):
        weight = weight[..., ::2]
    return weight.requires_grad_()


# ---------------------------------------------------------------- what can be checked


def _require(condition: bool, expected: str = "", batched: str = "", other: str = "") -> None:
    if not condition:
        raise AssertionError(
            f"Expected {expected}" if expected else f"Setting {batched}=True requires {other} to be True"
        )


def _check_inputs(inputs: tuple[Any, ...]) -> None:
    for i, x in enumerate(inputs):
        if not requires_grad(x):
            continue
        if x._array.dtype not in (np.float64, np.complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. This check will "
                "likely fail if all the inputs are not of double precision floating point or complex. ",
                stacklevel=3,
            )
        if any(stride == 0 and size > 1 for stride, size in zip(x._array.strides, x.shape, strict=True)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to "
                "be able to compute the numerical gradients correctly. You should call .contiguous on the input before "
                "passing it to gradcheck."
            )
    if not any(requires_grad(x) for x in inputs):
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )


def _check_outputs(results: tuple[Any, ...]) -> list[Tensor]:
    outputs = [output for output in results if output.requires_grad]
    if any(output.is_sparse for output in outputs):
        raise ValueError(
            "Sparse output is not supported at gradcheck yet. Please call to_dense(masked_grad=...) on the output of fn for "
            "gradcheck."
        )
    return outputs


# ---------------------------------------------------------------- single Jacobians, deprecated in PyTorch


def get_numerical_jacobian(
    fn: Callable[..., Any], inputs: Any, target: Any = None, eps: float = 1e-3, grad_out: float = 1.0
) -> tuple[Tensor, ...]:
    """The Jacobians by finite differences of `fn(inputs)`, or of its first result, by each tensor that requires gradients.

    Args:
        fn: takes the inputs as one tuple.
        target: the tensors by which to differentiate. Default: the inputs.
        eps: how far an element is moved.
        grad_out: 1.
    """
    _warn_deprecated("get_numerical_jacobian")
    _require_unit_weight("get_numerical_jacobian", grad_out)
    if any(result.is_complex() for result in as_tuple(fn(inputs))):
        raise ValueError(NO_COMPLEX.format("get_numerical_jacobian"))
    moved = [x for x in as_tuple(inputs if target is None else target) if requires_grad(x)]
    return tuple(wrap(numerical_jacobians(lambda *values: fn(values), as_tuple(inputs), x, eps)[0]) for x in moved)


def get_numerical_jacobian_wrt_specific_input(
    fn: Callable[..., Any], input_idx: int, inputs: Any, outputs: Any, eps: float, input: Any = None,
    is_forward_ad: bool = False,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The Jacobians by finite differences of all results of `fn(*inputs)` by one input."""
    moved = inputs[input_idx] if input is None else input
    if not moved.requires_grad:
        raise AssertionError("Expected input to have requires_grad=True")
    return tuple(wrap(part) for part in numerical_jacobians(fn, as_tuple(inputs), moved, eps))


def get_analytical_jacobian(
    inputs: Any, output: Tensor, nondet_tol: float = 0.0, grad_out: float = 1.0
) -> tuple[tuple[Tensor, ...], bool, bool, bool]:
    """(The Jacobians of an output by the inputs that require gradients, whether a second time gave the same, whether gradients
    had their inputs' sizes, whether their dtypes)."""
    _warn_deprecated("get_analytical_jacobian")
    _require_unit_weight("get_analytical_jacobian", grad_out)
    if output.is_complex():
        raise ValueError(NO_COMPLEX.format("get_analytical_jacobian"))
    sources = [x for x in as_tuple(inputs) if requires_grad(x)]
    first, second = (rows_for(output, sources, unit_weights(output)) for _ in range(2))
    same = are_equal(first.matrices, second.matrices, nondet_tol)
    return tuple(wrap(matrix) for matrix in first.matrices), same, first.shapes_fit, first.dtypes_fit


NO_COMPLEX = "Expected output to be non-complex. {} no longer supports functions that return complex outputs."  #


def _warn_deprecated(name: str) -> None:
    warnings.warn(
        f"`{name}` was part of PyTorch's private API and not meant to be exposed: it is deprecated.",
        FutureWarning,
        stacklevel=3,
    )


def _require_unit_weight(name: str, grad_out: float) -> None:
    if grad_out != 1.0:
        raise ValueError(f"Expected grad_out to be 1.0. {name} no longer supports values of grad_out != 1.0.")


class _Callable(ModuleType):
    """`autograd.gradcheck` is the function; once this module is imported, as for `GradcheckError`, its name there is the module."""

    def __call__(self, *args: Any, **kwargs: Any) -> bool:
        return gradcheck(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
