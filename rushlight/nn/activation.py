"""Activations: what `rushlight.nn.functional` offers under the same names."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api import draws, reduce as reduce_api, sample
from rushlight.api.elementwise import sigmoid as sigmoid, tanh
from rushlight.autograd.modes import no_grad
from rushlight.ops import activation as ops, create, reduce as reduce_ops
from rushlight.ops.activation import logsigmoid as logsigmoid
from rushlight.ops.arithmetic import abs as absolute, add, div, mul, sub
from rushlight.ops.inplace import in_place
from rushlight.tensor import Tensor, wrap

# ---------------------------------------------------------------- linear pieces


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0)."""
    return relu_(input) if inplace else ops.relu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """The input where it is positive, `negative_slope` times it elsewhere."""
    return (_leaky_relu_ if inplace else ops.leaky_relu)(input, negative_slope=negative_slope)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """In-place form of `leaky_relu`."""
    return _leaky_relu_(input, negative_slope=negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """The input where it is positive, `weight` times it elsewhere: one weight, or one for each channel (dimension 1).

    Raises:
        RuntimeError: weights that do not fit the channels.
    """
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    if weight.numel() != 1:
        if input.ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.shape[1] if input.ndim > 1 else 1
        if channels != weight.numel():
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()} "
                f"and channel size = {channels}."
            )
    if input.dtype is not weight.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {input.dtype} and {weight.dtype}")
    if weight.numel() == 1:
        weight = weight.reshape(())
    elif input.ndim > 2:
        weight = weight.reshape(-1, *[1] * (input.ndim - 2))
    return ops.prelu(input, weight)


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """`leaky_relu` with slopes that are uniform on [lower, upper]; their mean where not in training (Xu et al., 2015).

    A slope is drawn for each element that is not positive, in their order, as PyTorch does.

    Raises:
        RuntimeError: lower is above upper.
    """
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    return (
        ops.prelu(input, _slopes(input, lower, upper)) if not inplace else _prelu_(input, _slopes(input, lower, upper))
    )


def _slopes(input: Tensor, lower: float, upper: float) -> Tensor:
    """A drawn slope where the input is not positive, 1 elsewhere."""
    with no_grad():
        slopes, is_drawn = create.ones_like(input), input <= 0
        count, double = int(is_drawn.sum()), np.dtype(np.float64)
        drawn = draws.draw(create._namespace(input.device), None, "uniform", (count,), lower, upper, double)
        slopes[is_drawn] = wrap(drawn).to(input.dtype)
    return slopes


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """In-place form of `rrelu`."""
    return rrelu(input, lower, upper, training, True)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """The input between two limits.

    Raises:
        ValueError: min_val is above max_val.
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if input.dtype is dtypes.bool:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if input.dtype is dtypes.uint8 and (min_val < 0 or max_val < 0):
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return (_hardtanh_ if inplace else ops.hardtanh)(input, low=min_val, high=max_val)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """In-place form of `hardtanh`."""
    return hardtanh(input, min_val, max_val, True)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(input, 0), 6)."""
    return hardtanh(input, 0, 6, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """(input + 3) / 6 between 0 and 1."""
    return (_hardsigmoid_ if inplace else ops.hardsigmoid)(input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """The input where it is above the threshold, `value` elsewhere."""
    return (_threshold_ if inplace else ops.threshold)(input, threshold=threshold, value=value)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """In-place form of `threshold`."""
    return _threshold_(input, threshold=threshold, value=value)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """The input where it is above lambd or below -lambd, else 0."""
    return ops.hardshrink(input, lambd=lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """The input, nearer to 0 by lambd, but not beyond it.

    Raises:
        RuntimeError: lambd is negative.
    """
    if not 0 <= lambd <= float(dtypes.finfo(input.dtype).max if input.is_floating_point() else np.inf):
        limit = float(dtypes.finfo(input.dtype).max)
        kind = dtypes.legacy_name(input)
        raise RuntimeError(f"lambda must be in range [0, {limit:g}] for input dtype {kind}, but found {lambd:g}")
    return ops.softshrink(input, lambd=lambd)


# ---------------------------------------------------------------- smooth ones


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """The input where it is positive, `alpha * (exp(input) - 1)` elsewhere."""
    return (_elu_ if inplace else ops.elu)(input, alpha=alpha)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """In-place form of `elu`."""
    return _elu_(input, alpha=alpha)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """The input where it is positive, `alpha * (exp(input / alpha) - 1)` elsewhere.

    Raises:
        RuntimeError: alpha is 0.
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return (_celu_ if inplace else ops.elu)(input, alpha=alpha, input_scale=1 / alpha)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """In-place form of `celu`."""
    return celu(input, alpha, True)


# Of these the outputs have mean 0 and variance 1 if the inputs have (Klambauer et al., 2017, equation 14).
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`elu`, scaled so that activations keep mean 0 and variance 1."""
    return (_selu_ if inplace else ops.elu)(input, alpha=SELU_ALPHA, scale=SELU_SCALE)


def selu_(input: Tensor) -> Tensor:
    """In-place form of `selu`."""
    return selu(input, True)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input)."""
    return (_silu_ if inplace else ops.silu)(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * hardsigmoid(input)."""
    return (_hardswish_ if inplace else ops.hardswish)(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * tanh(softplus(input))."""
    return (_mish_ if inplace else ops.mish)(input)


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """The input times the normal distribution's function of it; "tanh" asks for the approximation by tanh.

    Raises:
        RuntimeError: another approximation.
    """
    if approximate == "none":
        return ops.gelu(input)
    if approximate == "tanh":
        return ops.gelu_tanh(input)
    raise RuntimeError("approximate argument must be either none or tanh.")


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta times it is above the threshold."""
    return ops.softplus(input, beta=beta, threshold=threshold)


def softsign(input: Tensor) -> Tensor:
    """input / (1 + |input|)."""
    return div(input, add(absolute(input), 1))


def tanhshrink(input: Tensor) -> Tensor:
    """input - tanh(input)."""
    return sub(input, tanh(input))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of the input along `dim`, times the sigmoid of the second (Dauphin et al., 2017).

    Raises:
        RuntimeError: a size that has no half.
    """
    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    size = input.size(dim)
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim % input.ndim} is size {size}")
    return mul(input.narrow(dim, 0, size // 2), sigmoid(input.narrow(dim, size // 2, size // 2)))


# ---------------------------------------------------------------- along a dimension


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(input) over its sum along `dim`."""
    return reduce_api.normalized(
        reduce_ops.softmax, input, _dim_or_guess("softmax", input, dim) if dim is None else dim, dtype
    )


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(input)) along `dim`."""
    dim = _dim_or_guess("log_softmax", input, dim) if dim is None else dim
    return reduce_api.normalized(reduce_ops.log_softmax, input, dim, dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-input)."""
    return reduce_api.softmax(-input, _dim_or_guess("softmin", input, dim) if dim is None else dim, dtype)


def _dim_or_guess(name: str, input: Tensor, dim: int | None) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=3,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:  # fmt: skip
    """Samples of the Gumbel-softmax distribution (Jang et al., 2017); `hard` ones are one-hot, with the soft gradient."""
    gumbels = -sample.exponential_(create.empty_like(logits)).log()
    soft = reduce_api.softmax((logits + gumbels) / tau, dim)
    if not hard:
        return soft
    index = soft.argmax(dim, keepdim=True)
    return create.zeros_like(logits).scatter_(dim, index, 1.0) - soft.detach() + soft


# ---------------------------------------------------------------- in place

relu_, _leaky_relu_, _prelu_, _hardtanh_, _hardsigmoid_, _threshold_, _elu_, _silu_, _hardswish_, _mish_ = (
    in_place(f)
    for f in (
        ops.relu, ops.leaky_relu, ops.prelu, ops.hardtanh, ops.hardsigmoid, ops.threshold, ops.elu, ops.silu, ops.hardswish,
        ops.mish,
    )
)  # fmt: skip
_celu_, _selu_ = in_place(ops.elu, "celu_"), in_place(ops.elu, "selu_")

Tensor.prelu, Tensor.hardshrink = prelu, hardshrink  # methods as well, as in PyTorch
