"""Convolution in PyTorch's spelling, with its errors: what `torch.conv2d` and `nn.functional.conv2d` are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight import dtypes
from rushlight.arrays.windows import Spacing
from rushlight.nn.padding import pad
from rushlight.ops import conv as ops
from rushlight.ops.autocast import with_autocast
from rushlight.ops.elementwise import add
from rushlight.ops.views import reshape, squeeze, unsqueeze
from rushlight.tensor import Tensor

Lengths = int | Sequence[int]


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Lengths = 1, padding: Lengths | str = 0,
    dilation: Lengths = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The cross-correlation of sequences with kernels.

    Args:
        input: (batch, in, length) or (in, length). weight: (out, in / groups, kernel). bias: (out).
        padding: zeros on both sides; "same" keeps the length, "valid" adds none.
        groups: into how many parts the channels fall, each of them convolved for itself.

    Raises:
        RuntimeError: shapes, dtypes or lengths that do not fit.

    Example:
        >>> import rushlight as torch
        >>> torch.conv1d(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[[-1.0, 1.0]]]))
        tensor([[1., 2.]])
    """
    return _convolution(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Lengths = 1, padding: Lengths | str = 0,
    dilation: Lengths = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The cross-correlation of images with kernels: `conv1d` for (batch, in, height, width)."""
    return _convolution(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Lengths = 1, padding: Lengths | str = 0,
    dilation: Lengths = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The cross-correlation of volumes with kernels: `conv1d` for (batch, in, depth, height, width)."""
    return _convolution(3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Lengths = 1, padding: Lengths = 0,
    output_padding: Lengths = 0, groups: int = 1, dilation: Lengths = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv1d`: its gradient by the input, as a function.

    Args:
        input: (batch, in, length) or (in, length). weight: (in, out / groups, kernel). bias: (out).
        padding: how much is cut off on both sides.
        output_padding: how much longer the result is on one side: with a stride, more than one length leads to the
            input's.

    Raises:
        RuntimeError: shapes, dtypes or lengths that do not fit.
    """
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Lengths = 1, padding: Lengths = 0,
    output_padding: Lengths = 0, groups: int = 1, dilation: Lengths = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv2d`; arguments as those of `conv_transpose1d`."""
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Lengths = 1, padding: Lengths = 0,
    output_padding: Lengths = 0, groups: int = 1, dilation: Lengths = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv3d`; arguments as those of `conv_transpose1d`."""
    return _transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


# ---------------------------------------------------------------- what they share


def _convolution(
    num_axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Lengths, padding: Lengths | str,
    dilation: Lengths, groups: int,
) -> Tensor:  # fmt: skip
    _check_tensors(f"conv{num_axes}d", num_axes, input, weight, bias)
    if input._array.ndim == num_axes + 1:
        batch = unsqueeze(input, axis=0)
        return squeeze(_convolution(num_axes, batch, weight, bias, stride, padding, dilation, groups), axes=(0,))
    if isinstance(padding, str):
        input, padding = _padded(input, weight, stride, padding, dilation, groups)
    spacing = _spacing(weight, stride, padding, dilation, groups)
    _check_shapes(input, weight, bias, spacing)
    if bias is None:
        return ops.convolve(input, weight, spacing=spacing)
    return ops.convolve_biased(input, weight, bias, spacing=spacing)


def _transposed(
    num_axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Lengths, padding: Lengths,
    output_padding: Lengths, groups: int, dilation: Lengths,
) -> Tensor:  # fmt: skip
    name = f"conv_transpose{num_axes}d"
    if isinstance(padding, str):
        raise TypeError(f"{name}(): argument 'padding' must be tuple of ints, not str")
    _check_tensors(name, num_axes, input, weight, bias)
    if input._array.ndim == num_axes + 1:
        batch = unsqueeze(input, axis=0)
        out = _transposed(num_axes, batch, weight, bias, stride, padding, output_padding, groups, dilation)
        return squeeze(out, axes=(0,))
    spacing = _spacing(weight, stride, padding, dilation, groups)
    extra = _lengths("output_padding", output_padding, weight._array.ndim - 2)
    if min(extra) < 0:
        raise RuntimeError("negative output_padding is not supported")
    _check_shapes(input, weight, bias, spacing, transposed=True)
    axes = list(zip(input._array.shape[2:], weight._array.shape[2:], *spacing[:3], extra, strict=True))
    size = tuple([(n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, d, e in axes])
    _check_output(input, spacing, extra, size)
    out = ops.convolve_transposed(input, weight, size=size, spacing=spacing)
    return out if bias is None else add(out, reshape(bias, shape=(-1,) + (1,) * num_axes))


def _padded(
    input: Tensor, weight: Tensor, stride: Lengths, padding: str, dilation: Lengths, groups: int
) -> tuple[Tensor, Lengths]:
    """What a word says about padding. For "same", a zero that has no counterpart goes to the end."""
    if padding == "valid":
        return input, 0
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    _check_ndim(input, weight, groups)
    num_axes = weight._array.ndim - 2
    if any(s != 1 for s in _lengths("stride", stride, num_axes)):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    dilation = _lengths("dilation", dilation, num_axes)
    totals = [d * (k - 1) for d, k in zip(dilation, weight._array.shape[2:], strict=True)]
    if any(total % 2 for total in totals):
        input = pad(input, [n for total in reversed(totals) for n in (0, total % 2)])
    return input, [total // 2 for total in totals]


def _spacing(weight: Tensor, stride: Lengths, padding: Lengths, dilation: Lengths, groups: int) -> Spacing:
    num_axes = weight._array.ndim - 2
    if num_axes < 1:
        raise RuntimeError("weight should have at least three dimensions")
    spacing = Spacing(
        _lengths("stride", stride, num_axes), _lengths("padding", padding, num_axes),
        _lengths("dilation", dilation, num_axes), groups,
    )  # fmt: skip
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if min(spacing.padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(spacing.stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(spacing.dilation) <= 0:
        raise RuntimeError("dilation should be greater than zero")
    return spacing


def _lengths(name: str, value: Any, num_axes: int) -> tuple[int, ...]:
    """One length for each axis, from a number or a sequence."""
    if value.__class__ is int:
        return (value,) * num_axes
    values = tuple([int(n) for n in value]) if isinstance(value, (tuple, list)) else (int(value),)
    if len(values) == 1:
        return values * num_axes
    if len(values) != num_axes:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {num_axes} values to match the convolution "
            f"dimensions, but got {name}={list(values)}"
        )
    return values


# ---------------------------------------------------------------- checks


def _check_tensors(name: str, num_axes: int, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    for argument, value in (("input", input), ("weight", weight), ("bias", bias)):
        if not isinstance(value, Tensor) and (value is not None or argument != "bias"):
            raise TypeError(f"{name}(): argument '{argument}' must be Tensor, not {type(value).__name__}")
    if input._array.ndim - num_axes not in (1, 2):
        raise RuntimeError(
            f"Expected {num_axes + 1}D (unbatched) or {num_axes + 2}D (batched) input to {name}, "
            f"but got input of size: {list(input.shape)}"
        )
    dtype = input._array.dtype
    if dtype.kind == "b":
        raise NotImplementedError("\"slow_conv2d_cpu\" not implemented for 'Bool'")
    if bias is not None and bias._array.dtype != dtype:
        raise RuntimeError(f"Input type ({_c_name(input)}) and bias type ({_c_name(bias)}) should be the same")
    if weight._array.dtype != dtype:
        names = [f"torch.{dtypes.legacy_name(x)}Tensor" for x in (input, weight)]
        raise RuntimeError(
            f"Input type ({names[0]}) and weight type ({names[1]}) should be the same or input should be a MKLDNN "
            "tensor and weight is a dense tensor"
        )


_C_NAMES = {
    "float32": "float", "float64": "double", "int64": "long long", "int32": "int", "int16": "short", "int8": "signed char",
    "uint8": "unsigned char", "bool": "bool", "bfloat16": "c10::BFloat16", "float16": "c10::Half",
    "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
}  # fmt: skip


def _c_name(x: Tensor) -> str:
    """What C++ calls the dtype."""
    name = dtypes.from_numpy(x._array.dtype).name
    return _C_NAMES.get(name, name)


def _check_ndim(input: Tensor, weight: Tensor, groups: int) -> None:
    if weight._array.ndim <= 2:
        raise RuntimeError("weight should have at least three dimensions")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if weight._array.ndim != input._array.ndim:
        raise RuntimeError(
            f"Expected {weight.ndim}-dimensional input for {weight.ndim}-dimensional weight {list(weight.shape)}, "
            f"but got {input.ndim}-dimensional input of size {list(input.shape)} instead"
        )


def _check_shapes(
    input: Tensor, weight: Tensor, bias: Tensor | None, spacing: Spacing, transposed: bool = False
) -> None:
    _check_ndim(input, weight, spacing.groups)
    shape, size, groups = weight._array.shape, input._array.shape[2:], spacing.groups
    if shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, "
            f"but got weight of size {list(shape)} instead"
        )
    if shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{list(shape)}] instead"
        )
    channels_in, channels_out = (shape[0], shape[1] * groups) if transposed else (shape[1] * groups, shape[0])
    given = "Given transposed=1, " if transposed else f"Given groups={groups}, "
    if input._array.shape[1] != channels_in:
        raise RuntimeError(
            f"{given}weight of size {list(shape)}, expected input{list(input.shape)} to have {channels_in} channels, "
            f"but got {input._array.shape[1]} channels instead"
        )
    if bias is not None and bias._array.shape != (channels_out,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(shape)}, expected bias to be "
            f"1-dimensional with {channels_out} elements, but got bias of size {list(bias.shape)} instead"
        )
    if 0 in shape[2:]:
        raise RuntimeError(f"kernel size should be greater than zero, but got kernel of size {list(shape[2:])}")
    if not transposed and min(spacing.places(size, shape[2:])) < 1:
        padded = [n + 2 * p for n, p in zip(size, spacing.padding, strict=True)]
        reach = [d * (k - 1) + 1 for k, d in zip(shape[2:], spacing.dilation, strict=True)]
        raise RuntimeError(
            f"Calculated padded input size per channel: ({_by(padded)}). Kernel size: ({_by(reach)}). "
            "Kernel size can't be greater than actual input size"
        )


def _check_output(input: Tensor, spacing: Spacing, extra: tuple[int, ...], size: tuple[int, ...]) -> None:
    if any(e >= s and e >= d for e, s, d in zip(extra, spacing.stride, spacing.dilation, strict=True)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got output_padding: "
            f"{list(extra)} stride: {list(spacing.stride)} dilation: {list(spacing.dilation)}"
        )
    if 0 in input._array.shape[2:]:
        raise RuntimeError(
            f"Only zero batch or zero channel inputs are supported, but got input shape: {list(input.shape)}"
        )
    if min(size) < 1:
        raise RuntimeError(
            f"Given input size per channel: ({_by(input._array.shape[2:])}). "
            f"Calculated output size per channel: ({_by(size)}). Output size is too small"
        )


def _by(lengths: Sequence[int]) -> str:
    return " x ".join(str(n) for n in lengths)


with_autocast(globals())
