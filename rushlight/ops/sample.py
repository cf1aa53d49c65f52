"""Random results that depend on tensors. Gradients are zeros, as PyTorch's are: a draw is taken for a constant."""

from __future__ import annotations

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
