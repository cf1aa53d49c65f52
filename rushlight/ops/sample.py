"""Random results that depend on tensors. Most are constants to autograd, with gradients of zeros, as in PyTorch.

Gamma and Dirichlet numbers have gradients: those of a sample that keeps its quantile (`arrays.implicit`).
"""

from __future__ import annotations

from typing import Any

from rushlight.ops.define import op


@op(wide=False, wirtinger=True)
def sampled(xp, drawn, *parameters):
    """What was drawn with these parameters."""
    return drawn


sampled.derivative(
    parameters=lambda xp, grad, drawn_dtype, parameters_shape, parameters_dtype: [
        None,
        *[xp.full(shape, 0, dtype) for shape, dtype in zip(parameters_shape, parameters_dtype, strict=True)],
    ]
)


@op(wide=False, grad_name="StandardGamma")
def gamma_sample(xp, drawn, concentration):
    """What was drawn from gamma distributions of these concentrations."""
    return drawn


@op(wide=False)
def dirichlet_sample(xp, drawn, concentration):
    """What was drawn from Dirichlet distributions, along the last dimension."""
    return drawn


@op(waist="standard_gamma_grad", name="_standard_gamma_grad")
def standard_gamma_grad(xp, concentration, sample):
    """How a gamma sample moves with its concentration."""
    return xp.standard_gamma_grad(concentration, sample)


@op(waist="dirichlet_grad", name="_dirichlet_grad")
def dirichlet_grad(xp, sample, concentration, total):
    """How a component of a Dirichlet sample moves with its concentration, over what is left for the others."""
    return xp.dirichlet_grad(sample, concentration, total)


gamma_sample.derivative(
    concentration=lambda xp, grad, drawn, concentration: grad * xp.standard_gamma_grad(concentration, drawn)
)


def _dirichlet_gradient(xp: Any, grad: Any, drawn: Any, concentration: Any) -> Any:
    total = xp.broadcast_to(xp.sum(concentration, axis=-1, keepdims=True), concentration.shape)
    moved = grad - xp.sum(drawn * grad, axis=-1, keepdims=True)
    return xp.dirichlet_grad(drawn, concentration, total) * moved


dirichlet_sample.derivative(concentration=_dirichlet_gradient)


def _not_implemented(name: str) -> Any:
    def formula(xp: Any, grad: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return formula


# PyTorch has no second derivatives of these samples either.
standard_gamma_grad.derivative(
    concentration=_not_implemented("_standard_gamma_grad"), sample=_not_implemented("_standard_gamma_grad")
)
dirichlet_grad.derivative(
    **{name: _not_implemented("_dirichlet_grad") for name in ("sample", "concentration", "total")}
)
