"""Pooling in PyTorch's spelling, with its errors: means, norms and maxima of windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight import dtypes
from rushlight.api.elementwise import div
from rushlight.ops import create, elementwise, pool as ops
from rushlight.ops.autocast import with_autocast
from rushlight.tensor import Tensor

if TYPE_CHECKING:
    from rushlight.arrays.taps import Windows

Lengths = int | Sequence[int]

# ---------------------------------------------------------------- means


def avg_pool1d(
    input: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The means of windows.

    Args:
        input: (batch, channels, length) or (channels, length).
        stride: from one window to the next; the kernel's size if it is not given.
        ceil_mode: a last window may go beyond the end.
        count_include_pad: whether zeros around the input count.

    Raises:
        RuntimeError: shapes or lengths that do not fit.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.avg_pool1d(torch.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
        tensor([[2., 7.]])
    """
    return _average(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The means of windows of images: as `avg_pool1d`; `divisor_override` is what sums are divided by instead."""
    return _average(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The means of windows of volumes: as `avg_pool2d`."""
    return _average(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _average(
    num_axes: int, input: Tensor, kernel_size: Lengths, stride: Lengths | None, padding: Lengths, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Tensor:  # fmt: skip
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    name = f"avg_pool{num_axes}d"
    require_dtype(input, "fl" if num_axes == 3 else "fhl", "avg_pool3d_out_frame" if num_axes == 3 else "avg_pool2d")
    is_integer = input._array.dtype.kind == "i"
    divisor = "none" if divisor_override or is_integer else "padded" if count_include_pad else "window"
    rules = _windows(name, input, num_axes, kernel_size, stride, padding, 1, ceil_mode, divisor)
    out = ops.average(input, rules=rules)
    if divisor_override:
        return div(out, divisor_override, rounding_mode="trunc" if is_integer else None)
    if is_integer:
        divisors = [rule.divisors("padded" if count_include_pad else "window") for rule in rules]
        grid = np.prod(np.meshgrid(*divisors, indexing="ij"), axis=0)
        return div(out, create.beside(out, grid.astype(np.int64)), rounding_mode="trunc")
    return out


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: int, stride: Lengths | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norms of windows, without absolute values: (sum of x^p)^(1/p), negative sums counting as zero."""
    return _power_mean(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Lengths, stride: Lengths | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norms of windows of images: as `lp_pool1d`."""
    return _power_mean(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Lengths, stride: Lengths | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norms of windows of volumes: as `lp_pool1d`."""
    return _power_mean(3, input, norm_type, kernel_size, stride, ceil_mode)


def _power_mean(
    num_axes: int, input: Tensor, norm_type: float, kernel_size: Lengths, stride: Lengths | None, ceil_mode: bool
) -> Tensor:
    powers = elementwise.pow(input, norm_type)
    means = _average(num_axes, powers, kernel_size, stride or None, 0, ceil_mode, True, None)
    count = int(np.prod(lengths_of("lp_pool", "kernel_size", kernel_size, num_axes)))
    positive = elementwise.mul(elementwise.sign(means), elementwise.relu(elementwise.abs(means)))
    return elementwise.pow(elementwise.mul(positive, count), 1.0 / norm_type)


# ---------------------------------------------------------------- maxima


def max_pool1d(
    input: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, dilation: Lengths = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maxima of windows.

    Args:
        input: (batch, channels, length) or (channels, length).
        stride: from one window to the next; the kernel's size if it is not given.
        dilation: from one element of a window to the next.
        ceil_mode: a last window may go beyond the end.
        return_indices: give the maxima's positions as well: `max_unpool1d` wants them.

    Raises:
        RuntimeError: shapes or lengths that do not fit.
    """
    result = max_pool1d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


def max_pool2d(
    input: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, dilation: Lengths = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maxima of windows of images: as `max_pool1d`; indices count the pixels row by row."""
    result = max_pool2d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


def max_pool3d(
    input: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, dilation: Lengths = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The maxima of windows of volumes: as `max_pool2d`."""
    result = max_pool3d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


def max_pool1d_with_indices(
    input: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, dilation: Lengths = 1,
    ceil_mode: bool = False, return_indices: bool = True,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`max_pool1d` with the positions of the maxima."""
    require_dtype(input, "fh", "max_pool1d_impl")
    rules = _windows("max_pool1d", input, 1, kernel_size, stride, padding, dilation, ceil_mode)
    return ops.max_windows(input, rules=rules)


def max_pool2d_with_indices(
    input: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, dilation: Lengths = 1,
    ceil_mode: bool = False, return_indices: bool = True,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`max_pool2d` with the positions of the maxima."""
    require_dtype(input, "fhi", "max_pool2d")
    rules = _windows("max_pool2d", input, 2, kernel_size, stride, padding, dilation, ceil_mode)
    return ops.max_windows(input, rules=rules)


def max_pool3d_with_indices(
    input: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, dilation: Lengths = 1,
    ceil_mode: bool = False, return_indices: bool = True,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`max_pool3d` with the positions of the maxima."""
    require_dtype(input, "fhi", "max_pool3d")
    rules = _windows("max_pool3d", input, 3, kernel_size, stride, padding, dilation, ceil_mode)
    return ops.max_windows(input, rules=rules)


# ---------------------------------------------------------------- the windows, after PyTorch's checks

_WORDS = {1: "one int", 2: "two ints", 3: "three ints"}


def lengths_of(name: str, argument: str, value: Any, num_axes: int) -> tuple[int, ...]:
    if isinstance(value, (list, tuple)):
        if len(value) == 1:
            return (int(value[0]),) * num_axes
        if len(value) != num_axes:
            omitted = "omitted, " if argument == "stride" else ""
            way = "be either" if argument == "dilation" else "either be"
            raise RuntimeError(f"{name}: {argument} must {way} {omitted}a single int, or a tuple of {_WORDS[num_axes]}")
        return tuple([int(n) for n in value])
    return (int(value),) * num_axes


def _windows(
    name: str, input: Tensor, num_axes: int, kernel_size: Lengths, stride: Lengths | None, padding: Lengths,
    dilation: Lengths, ceil_mode: bool, divisor: str = "none",
) -> tuple[Windows, ...]:  # fmt: skip
    """A rule for each of the last axes."""
    from rushlight.arrays.taps import Windows  # not at the top: the classes there take 7 ms to make

    kernel = lengths_of(name, "kernel_size", kernel_size, num_axes)
    omitted = stride is None or stride == [] or stride == ()
    strides = kernel if omitted else lengths_of(name, "stride", stride, num_axes)
    pads = lengths_of(name, "padding", padding, num_axes)
    dilations = lengths_of(name, "dilation", dilation, num_axes)
    shape = input._array.shape
    _check_lengths(name, shape, kernel, strides, pads, dilations)
    rules = []
    for n, k, s, p, d in zip(shape[len(shape) - num_axes :], kernel, strides, pads, dilations, strict=True):
        count = (n + 2 * p - d * (k - 1) - 1 + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1  # a window would begin beyond the end
        rules.append(Windows(n, count, k, s, p, divisor, d))
    counts = [rule.count for rule in rules]
    if min(counts) < 1:
        if name == "max_pool1d":
            raise RuntimeError(f"max_pool1d() Invalid computed output size: {counts[0]}")
        axes, rest = list(shape[-num_axes - 1 :]), [shape[-num_axes - 1], *counts]
        raise RuntimeError(
            f"Given input size: ({'x'.join(map(str, axes))}). Calculated output size: ({'x'.join(map(str, rest))}). "
            "Output size is too small"
        )
    return tuple(rules)


def _check_lengths(
    name: str, shape: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], pads: tuple[int, ...],
    dilations: tuple[int, ...],
) -> None:  # fmt: skip
    num_axes = len(kernel)
    is_empty = 0 in shape[1 if len(shape) == num_axes + 2 else 0 :]
    if len(shape) not in (num_axes + 1, num_axes + 2):
        if name == "avg_pool1d":
            raise wrong_ndim(name, len(shape))
        if num_axes > 1:
            raise RuntimeError(f"non-empty {num_axes + 1}D or {num_axes + 2}D (batch mode) tensor expected for input")
        is_empty = True
    if num_axes == 1:
        for what, value in (("kernel_size", kernel), ("stride", strides), ("dilation", dilations)):
            if value[0] <= 0:
                raise RuntimeError(f"{name}() {what} must be greater than zero, but got {value[0]}")
    elif 0 in strides:
        raise RuntimeError("stride should not be zero")
    elif min(kernel) <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got {list(kernel)}")
    elif min(dilations) <= 0:
        given = " ".join(f"dilation{axis}: {d}" for axis, d in zip("THW"[-num_axes:], dilations, strict=True))
        raise RuntimeError(f"dilation should be greater than zero, but got {given}")
    for k, p, d in zip(kernel, pads, dilations, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                f"dilation={d}"
            )
    if is_empty:
        if num_axes == 3:
            raise RuntimeError(f"{name}: Expected input's non-batch dimensions to have positive length, but input has a shape of {shape}")  # fmt: skip
        raise RuntimeError(
            f"Expected {num_axes + 1}D or {num_axes + 2}D (batch mode) tensor with optional 0 dim batch size for "
            f"input, but got:{list(shape)}"
        )


def wrong_ndim(name: str, ndim: int) -> RuntimeError:
    return RuntimeError(
        f"Expected 2 to 3 dimensions, but got {ndim}-dimensional tensor for argument #1 'self' "
        f"(while checking arguments for {name})"
    )


_KINDS = {
    "f": ("float32", "float64"), "h": ("float16", "bfloat16"), "l": ("int64",),
    "i": ("int64", "int32", "int16", "int8", "uint8"),
}  # fmt: skip


def require_dtype(input: Tensor, kinds: str, kernel: str) -> None:
    """Raises for dtypes that PyTorch's kernel of that name does not have; those for GPUs have half precision."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{kernel}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    name = dtypes.from_numpy(input._array.dtype).name
    if not any(name in _KINDS[kind] for kind in (*kinds, *"h" * input.is_cuda)):
        raise dtypes.no_kernel(kernel, input)


with_autocast(globals())
