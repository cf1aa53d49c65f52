"""Pooling: `rushlight.nn.pooling` as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight.nn import functional as F
from rushlight.nn.module import Module
from rushlight.nn.modules.conv import per_axis
from rushlight.tensor import Tensor

Lengths = int | Sequence[int]


class _MaxPool(Module):
    """The maxima of windows."""

    def __init__(
        self, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, dilation: Lengths = 1,
        return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        function = getattr(F, f"max_pool{type(self).__name__[-2:]}")
        return function(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The maxima of windows of sequences: arguments as those of `nn.functional.max_pool1d`."""


class MaxPool2d(_MaxPool):
    """The maxima of windows of images: arguments as those of `nn.functional.max_pool2d`.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.MaxPool2d(2)(torch.zeros(1, 3, 8, 8)).shape
        torch.Size([1, 3, 4, 4])
    """


class MaxPool3d(_MaxPool):
    """The maxima of windows of volumes: arguments as those of `nn.functional.max_pool3d`."""


class _MaxUnpool(Module):
    """Zeros with maxima where they were."""

    num_axes: int

    def __init__(self, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0) -> None:
        super().__init__()
        self.kernel_size = per_axis(kernel_size, self.num_axes)
        self.stride = self.kernel_size if stride is None else per_axis(stride, self.num_axes)
        self.padding = per_axis(padding, self.num_axes)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        function = getattr(F, f"max_unpool{self.num_axes}d")
        return function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """A partial inverse of `MaxPool1d`."""

    num_axes = 1


class MaxUnpool2d(_MaxUnpool):
    """A partial inverse of `MaxPool2d`."""

    num_axes = 2


class MaxUnpool3d(_MaxUnpool):
    """A partial inverse of `MaxPool3d`."""

    num_axes = 3


# ---------------------------------------------------------------- means and norms


class AvgPool1d(Module):
    """The means of windows of sequences: arguments as those of `nn.functional.avg_pool1d`."""

    def __init__(
        self, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = per_axis(kernel_size, 1)
        self.stride = self.kernel_size if stride is None else per_axis(stride, 1)
        self.padding = per_axis(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    """The means of windows of images or volumes."""

    def __init__(
        self, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        function = getattr(F, f"avg_pool{type(self).__name__[-2:]}")
        return function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The means of windows of images: arguments as those of `nn.functional.avg_pool2d`."""


class AvgPool3d(_AvgPool):
    """The means of windows of volumes: arguments as those of `nn.functional.avg_pool3d`."""


class _LPPool(Module):
    """The p-norms of windows."""

    def __init__(
        self, norm_type: float, kernel_size: Lengths, stride: Lengths | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        function = getattr(F, f"lp_pool{type(self).__name__[-2:]}")
        return function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """The p-norms of windows of sequences: arguments as those of `nn.functional.lp_pool1d`."""


class LPPool2d(_LPPool):
    """The p-norms of windows of images: arguments as those of `nn.functional.lp_pool2d`."""


class LPPool3d(_LPPool):
    """The p-norms of windows of volumes: arguments as those of `nn.functional.lp_pool3d`."""


# ---------------------------------------------------------------- a given number of windows


class _AdaptivePool(Module):
    """The means or maxima of windows that share out the axes."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, f"adaptive_avg_pool{type(self).__name__[-2:]}")(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """The means of `output_size` windows that share out sequences."""


class AdaptiveAvgPool2d(_AdaptivePool):
    """The means of windows that share out images. None keeps an axis as it is.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.AdaptiveAvgPool2d(1)(torch.zeros(1, 3, 8, 7)).shape
        torch.Size([1, 3, 1, 1])
    """


class AdaptiveAvgPool3d(_AdaptivePool):
    """The means of windows that share out volumes. None keeps an axis as it is."""


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        function = getattr(F, f"adaptive_max_pool{type(self).__name__[-2:]}")
        return function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The maxima of `output_size` windows that share out sequences."""


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The maxima of windows that share out images. None keeps an axis as it is."""


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The maxima of windows that share out volumes. None keeps an axis as it is."""


class _FractionalMaxPool(Module):
    """The maxima of windows at random places (Graham, 2014)."""

    num_axes: int

    def __init__(
        self, kernel_size: Lengths, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        name, n = type(self).__name__, self.num_axes
        self.kernel_size = per_axis(kernel_size, n)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else per_axis(output_size, n)
        self.output_ratio = None if output_ratio is None else per_axis(output_ratio, n)
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        function = getattr(F, f"fractional_max_pool{self.num_axes}d")
        return function(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """The maxima of windows at random places of images: arguments as those of `nn.functional.fractional_max_pool2d`."""

    num_axes = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """The maxima of windows at random places of volumes: arguments as those of `nn.functional.fractional_max_pool3d`."""

    num_axes = 3
