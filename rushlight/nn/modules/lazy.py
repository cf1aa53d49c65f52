"""Lazy modules: what can be told from the first input (the number of its features) need not be said.

A lazy module has parameters without a shape; the first call, or a load, gives them theirs, and the class becomes the ordinary one.
"""

from __future__ import annotations

from typing import Any

from rushlight import dtypes
from rushlight.autograd.modes import no_grad
from rushlight.nn.module import Module
from rushlight.nn.modules.batchnorm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)  # fmt: skip
from rushlight.nn.modules.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    Lengths,
)  # fmt: skip
from rushlight.nn.modules.linear import Linear
from rushlight.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from rushlight.ops.create import tensor
from rushlight.tensor import Tensor


class LazyModuleMixin:
    """Makes a module lazy: its class defines `initialize_parameters(input)`, and may name the class to become.

    Example:
        >>> import rushlight as torch
        >>> layer = torch.nn.LazyLinear(3)
        >>> layer
        LazyLinear(in_features=0, out_features=3, bias=True)
        >>> layer(torch.zeros(2, 5)).shape
        torch.Size([2, 3])
        >>> layer
        Linear(in_features=5, out_features=3, bias=True)
    """

    cls_to_become: type | None = None
    _parameters: Any
    _buffers: Any

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._infer_parameters(self, args, kwargs)
        return Module.__call__(self, *args, **kwargs)  # type: ignore[arg-type]  # by now it may be of another class

    def _infer_parameters(self, module: Any, args: Any, kwargs: dict[str, Any] | None = None) -> None:
        """Gives the parameters the shapes that an input asks for."""
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {module._get_name()} has not been fully initialized")
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Materializes the parameters for an input; each lazy module has its own."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer has no shape yet."""
        return any(is_lazy(x) for x in (*self._parameters.values(), *self._buffers.values()))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """A load gives a parameter its shape too."""
        for name, own in (*self._parameters.items(), *self._buffers.items()):
            value = state_dict.get(prefix + name)
            if is_lazy(own) and value is not None and not is_lazy(value):
                with no_grad():
                    own.materialize(value.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)  # type: ignore[misc]


class _LazyLayer(LazyModuleMixin, Module):
    """What the layers below share. `num_inputs` is the attribute that the input tells."""

    num_inputs: str
    weight: Any
    bias: Any

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and getattr(self, self.num_inputs) != 0:
            super().reset_parameters()  # type: ignore[misc]

    def _wait_for(self, *names: str, device: Any, dtype: Any) -> None:
        for name in names:
            setattr(self, name, UninitializedParameter(device=device, dtype=dtype))


class LazyLinear(_LazyLayer, Linear):
    """A `Linear` that takes `in_features` from its first input."""

    cls_to_become, num_inputs = Linear, "in_features"

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        self.out_features = out_features
        self._wait_for("weight", *["bias"] * bias, device=device, dtype=dtype)

    def initialize_parameters(self, input: Tensor) -> None:
        """Takes the number of features."""
        if self.has_uninitialized_params():
            with no_grad():
                self.in_features = input.shape[-1]
                self.weight.materialize((self.out_features, self.in_features))
                if self.bias is not None:
                    self.bias.materialize((self.out_features,))
                self.reset_parameters()
        if self.in_features == 0:  # the shapes came from a load
            if input.shape[-1] != self.weight.shape[-1]:
                raise AssertionError(
                    f"The in_features inferred from input: {input.shape[-1]} is not equal to in_features from "
                    f"self.weight: {self.weight.shape[-1]}"
                )
            self.in_features = input.shape[-1]


# ---------------------------------------------------------------- convolutions


class _LazyConvolution(_LazyLayer):
    num_inputs = "in_channels"

    def initialize_parameters(self: Any, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Takes the number of channels."""
        if not self.has_uninitialized_params():
            return
        self.in_channels = self._channels_of(input)
        if self.in_channels % self.groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        outer, inner = self.out_channels, self.in_channels
        if self.transposed:
            outer, inner = inner, outer
        with no_grad():
            self.weight.materialize((outer, inner // self.groups, *self.kernel_size))
            if self.bias is not None:
                self.bias.materialize((self.out_channels,))
            self.reset_parameters()

    def _channels_of(self: Any, input: Tensor) -> int:
        n = self.num_axes + 1
        if input.ndim not in (n, n + 1):
            raise RuntimeError(
                f"Expected {n}D (unbatched) or {n + 1}D (batched) input to {self._get_name()}, but got input of size: "
                f"{input.shape}"
            )
        return input.shape[1 if input.ndim == n + 1 else 0]


class _LazyForward(_LazyConvolution):
    def __init__(
        self: Any, out_channels: int, kernel_size: Lengths, stride: Lengths = 1, padding: Any = 0,
        dilation: Lengths = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode, device, dtype)
        self.out_channels = out_channels
        self._wait_for("weight", *["bias"] * bias, device=device, dtype=dtype)


class _LazyTransposed(_LazyConvolution):
    def __init__(
        self: Any, out_channels: int, kernel_size: Lengths, stride: Lengths = 1, padding: Lengths = 0,
        output_padding: Lengths = 0, groups: int = 1, bias: bool = True, dilation: Lengths = 1,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode, device, dtype
        )  # fmt: skip
        self.out_channels = out_channels
        self._wait_for("weight", *["bias"] * bias, device=device, dtype=dtype)


class LazyConv1d(_LazyForward, Conv1d):
    """A `Conv1d` that takes `in_channels` from its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyForward, Conv2d):
    """A `Conv2d` that takes `in_channels` from its first input."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyForward, Conv3d):
    """A `Conv3d` that takes `in_channels` from its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyTransposed, ConvTranspose1d):
    """A `ConvTranspose1d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, ConvTranspose2d):
    """A `ConvTranspose2d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, ConvTranspose3d):
    """A `ConvTranspose3d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose3d


# ---------------------------------------------------------------- normalisation


class _LazyNorm(_LazyLayer):
    num_inputs = "num_features"
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self: Any, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        if affine:
            self._wait_for("weight", *["bias"] * bias, device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = tensor(0, dtype=dtypes.int64, device=device)

    def initialize_parameters(self: Any, input: Tensor) -> None:
        """Takes the number of channels."""
        if not self.has_uninitialized_params():
            return
        self.num_features = input.shape[1]
        with no_grad():
            for waiting in (self.weight, self.bias, self.running_mean, self.running_var):
                if waiting is not None:
                    waiting.materialize((self.num_features,))
            self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """A `BatchNorm1d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """A `BatchNorm2d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """A `BatchNorm3d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm3d


class _LazyInstanceNorm(_LazyNorm):
    def __init__(
        self, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype, bias=bias)


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """An `InstanceNorm1d` that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """An `InstanceNorm2d` that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """An `InstanceNorm3d` that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm3d
