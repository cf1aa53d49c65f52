"""Normalisation: what `rushlight.nn.functional` offers under the same names, and PyTorch's `torch.native_...` forms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rushlight import dtypes
from rushlight.autograd.modes import no_grad
from rushlight.nn.padding import pad
from rushlight.ops import normalization as ops
from rushlight.ops.arithmetic import add, div, floor_divide, mul, rsqrt
from rushlight.ops.autocast import with_autocast
from rushlight.ops.create import empty
from rushlight.tensor import Size, Tensor

Norm = tuple[Tensor, Tensor, Tensor]

# ---------------------------------------------------------------- over the last dimensions


def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """(input - mean) / sqrt(variance + eps) * weight + bias over the last dimensions (Ba et al., 2016).

    Args:
        normalized_shape: the sizes of those dimensions.
        weight, bias: of that shape.

    Raises:
        RuntimeError: shapes that do not fit.
    """
    shape = tuple(normalized_shape)
    _check_last(input, shape, weight, bias)
    scale: Any = 1.0 if weight is None else weight
    shift: Any = 0.0 if bias is None else bias
    return ops.layer_norm(input, scale, shift, num_axes=len(shape), eps=eps)


def native_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> Norm:
    """`layer_norm`, with the mean and 1 / sqrt(variance + eps), which are constants to autograd."""
    shape = tuple(normalized_shape)
    _check_last(input, shape, weight, bias)
    axes = tuple(range(input.ndim - len(shape), input.ndim))
    out, mean, rate = _normalized(input, weight, bias, axes, eps)
    return out, mean.detach().to(input.dtype), rate.detach().to(input.dtype)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """input / sqrt(mean of squares + eps) * weight over the last dimensions (Zhang & Sennrich, 2019).

    Args:
        eps: None for the smallest number that makes a difference to 1 in the input's dtype.

    Raises:
        RuntimeError: shapes that do not fit.
    """
    shape = tuple(normalized_shape)
    _check_last(input, shape, weight, None, "[*")
    if eps is None:
        eps = float(dtypes.finfo(input.dtype).eps)
    return ops.rms_norm(input, 1.0 if weight is None else weight, num_axes=len(shape), eps=eps)


def _check_last(
    input: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None, start: str = "[*, "
) -> None:
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, "
            "but got normalized_shape = []"
        )
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor._array.shape != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(tensor.shape)} and normalized_shape = {list(shape)}"
            )
    if input._array.shape[-len(shape) :] != shape:
        wanted = ", ".join(str(n) for n in shape)
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape {start}{wanted}], "
            f"but got input of size{list(input.shape)}"
        )


def _normalized(input: Tensor, weight: Any, bias: Any, axes: tuple[int, ...], eps: float) -> Norm:
    result: Norm = ops.normalize(
        input, 1.0 if weight is None else weight, 0.0 if bias is None else bias, axes=axes, eps=eps
    )
    return result


# ---------------------------------------------------------------- over groups of channels


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalises each sample of (N, C, ...) over each of `num_groups` groups of its channels (Wu & He, 2018).

    Args:
        weight, bias: for each channel.

    Raises:
        RuntimeError: channels that do not make groups. ValueError: groups of one value.
    """
    if input.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    batch, channels, *space = input.shape
    _require_more_than_one([batch * channels // num_groups, num_groups, *space])
    if channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input.shape)} and num_groups={num_groups}"
        )
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor.shape != (channels,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of "
                f"shape {list(tensor.shape)} and input of shape {list(input.shape)}"
            )
    return native_group_norm(input, weight, bias, batch, channels, math.prod(space), num_groups, eps)[0]


def native_group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None,
    N: int, C: int, HxW: int, group: int, eps: float,  # noqa: N803  (PyTorch's names)
) -> Norm:  # fmt: skip
    """`group_norm` of N samples of C channels of HxW values, with each group's mean and 1 / sqrt(variance + eps)."""
    scale, shift = (None if t is None else t.reshape(1, group, C // group, 1) for t in (weight, bias))
    out, mean, rate = _normalized(input.reshape(N, group, C // group, HxW), scale, shift, (2, 3), eps)
    mean, rate = (x.reshape(N, group).to(input.dtype) for x in (mean, rate))
    return out.reshape(input.shape), mean, rate


# ---------------------------------------------------------------- over a batch


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalises each channel of (N, C, ...) over the batch (Ioffe & Szegedy, 2015).

    Args:
        running_mean, running_var: in training moved by the share `momentum` towards the batch's; else used in their place.

    Raises:
        ValueError: in training one value per channel. RuntimeError: running statistics that are missing or do not fit.
    """
    if training:
        _require_more_than_one([input.shape[0], input.shape[1] if input.ndim > 1 else 1, *input.shape[2:]])
        if eps <= 0.0:
            raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    elif eps < 0.0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    return native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)[0]


def _require_more_than_one(size: list[int]) -> None:
    """Raises PyTorch's error for (N, C, ...) with one value for each C."""
    if size[0] * math.prod(size[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {Size(size)}")


def native_batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None,
    training: bool, momentum: float, eps: float,
) -> Norm:  # fmt: skip
    """`batch_norm`, in training with the batch's mean and 1 / sqrt(variance + eps), which are constants to autograd."""
    _check_channels(input, weight, bias, running_mean, running_var, training)
    if not training:
        none = empty((0,), dtype=input.dtype, device=input.device)
        return _normalized_by(input, weight, bias, running_mean, running_var, eps), none, none.clone()
    scale, shift = (None if t is None else _per_channel(t, input.ndim) for t in (weight, bias))
    if input.numel() == 0:  # a linear function of nothing, as in PyTorch
        out = input.clone() if scale is None else mul(input, scale)
        none = empty((0,), dtype=input.dtype, device=input.device)
        return out if shift is None else add(out, shift), none, none.clone()
    out, mean, rate = _normalized(input, scale, shift, (0, *range(2, input.ndim)), eps)
    mean, rate = mean.detach().reshape(-1), rate.detach().reshape(-1)
    count = input.numel() // mean.numel()
    with no_grad():
        if running_mean is not None:
            _move(running_mean, mean, momentum)
        if running_var is not None:
            variance = 1 / (rate * rate) - eps
            _move(running_var, variance * (count / (count - 1) if count > 1 else math.nan), momentum)
    beside = next((x for x in (weight, bias, running_mean, running_var) if x is not None), input)
    return out, mean.to(beside.dtype), rate.to(beside.dtype)


def _move(running: Tensor, value: Tensor, momentum: float) -> None:
    """Moves a running statistic by the share `momentum` towards a value."""
    running.mul_(1 - momentum).add_(value * momentum)


def _per_channel(x: Tensor, ndim: int) -> Tensor:
    """A vector as (1, C, 1, ...)."""
    return x.reshape(1, -1, *[1] * (ndim - 2)) if ndim > 1 else x


def _normalized_by(input: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, eps: float) -> Tensor:
    """With given statistics: a product and a sum for each channel."""
    scale = rsqrt(add(variance, eps))
    scale = scale if weight is None else mul(scale, weight)
    shift = -mul(mean, scale)
    shift = shift if bias is None else add(shift, bias)
    out = add(mul(input, _per_channel(scale, input.ndim)), _per_channel(shift, input.ndim))
    return out.to(input.dtype)


def _check_channels(input: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, training: bool) -> None:
    if not input.is_floating_point():
        raise dtypes.no_kernel("batch_norm", input)
    if input.ndim < 2 and input.numel():
        raise IndexError(f"Dimension out of range (expected to be in range of [-1, 0], but got {input.ndim})")
    channels = input.shape[1] if input.ndim > 1 else 0
    for name, tensor in (("running_mean", mean), ("running_var", variance), ("weight", weight), ("bias", bias)):
        if tensor is None and name.startswith("running") and not training:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
        if tensor is not None and tensor.numel() != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {tensor.numel()}")


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalises each channel of each sample of (N, C, ...) (Ulyanov et al., 2016).

    Args:
        use_input_stats: whether by its own statistics, towards whose mean over the samples the running ones are moved;
            else by the running ones.

    Raises:
        ValueError: one value per channel. RuntimeError: running statistics that are missing or do not fit.
    """
    if use_input_stats and math.prod(input.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
    if not use_input_stats:
        return native_batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)[0]
    batch, channels, *space = input.shape
    for name, tensor in (
        ("weight", weight),
        ("bias", bias),
        ("running_mean", running_mean),
        ("running_var", running_var),
    ):
        if tensor is not None and tensor.numel() != channels:
            raise RuntimeError(f"{name} should contain {batch * channels} elements not {batch * tensor.numel()}")
    scale, shift = (None if t is None else _per_channel(t, input.ndim) for t in (weight, bias))
    out, mean, rate = _normalized(input, scale, shift, tuple(range(2, input.ndim)), eps)
    with no_grad():
        if running_mean is not None:
            _move(running_mean, mean.detach().reshape(batch, channels).mean(0), momentum)
        if running_var is not None:
            count, variance = math.prod(space), 1 / rate.detach().reshape(batch, channels).square() - eps
            _move(running_var, variance.mean(0) * (count / (count - 1)), momentum)
    return out


# ---------------------------------------------------------------- others


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """input / (k + alpha * mean of the squares in `size` neighbouring channels)^beta (Krizhevsky et al., 2012).

    Raises:
        ValueError: fewer than three dimensions.
    """
    if input.ndim < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality                          input (got {input.ndim} dimensions)"
        )
    if input.numel() == 0:
        return input
    around = (0, 0) * (input.ndim - 2) + (size // 2, (size - 1) // 2)
    sums = pad(mul(input, input), around).unfold(1, size, 1).sum(-1)
    means = div(sums, size) if input.is_floating_point() else floor_divide(sums, size)
    return div(input, add(mul(means, alpha), k).pow(beta))


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """The input over its p-norm along `dim`, which counts as `eps` where it is less."""
    result = div(input, input.norm(p, dim, keepdim=True).clamp(min=eps))
    return result if out is None else out.copy_(result)


with_autocast(globals())
