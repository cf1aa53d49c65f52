"""Normalisation by statistics that are tracked: over a batch, and over each of its samples."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from rushlight import dtypes
from rushlight.nn import functional as F, init
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.ops.create import empty, ones, tensor, zeros
from rushlight.tensor import Tensor


class _Norm(Module):
    """What batch and instance normalisation share: weights and running statistics for each channel.

    Args:
        num_features: the number C of channels.
        eps: what keeps the square root from 0.
        momentum: the weight of the newest statistics; None for the mean of all so far.
        affine, bias: whether there are a weight and a bias.
        track_running_stats: whether statistics are kept and used in evaluation.
    """

    _version = 2  # since then num_batches_tracked is part of the state
    dimensions: ClassVar[tuple[int, ...]]  # numbers of dimensions of an input
    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        options = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(empty(num_features, **options)) if affine else None)
        self.register_parameter("bias", Parameter(empty(num_features, **options)) if affine and bias else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **options) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **options) if tracked else None)
        count = tensor(0, dtype=dtypes.int64, device=device) if tracked else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, of no batches."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Ones and zeros, and no statistics."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_dimensions(self, input: Tensor) -> None:
        if input.ndim not in self.dimensions:
            expected = " or ".join(f"{n}D" for n in self.dimensions)
            raise ValueError(f"expected {expected} input (got {input.ndim}D input)")

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *rest: Any
    ) -> None:
        if local_metadata.get("version", 1) < 2 and self.num_batches_tracked is not None:
            state_dict.setdefault(prefix + "num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Norm):
    def forward(self, input: Tensor) -> Tensor:
        self._check_dimensions(input)
        average = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                average = 1.0 / float(self.num_batches_tracked)
        by_batch = self.training or self.running_mean is None and self.running_var is None
        is_tracked = not self.training or self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if is_tracked else (None, None)
        return F.batch_norm(input, mean, var, self.weight, self.bias, by_batch, average, self.eps)


class BatchNorm1d(_BatchNorm):
    """Normalises each channel of (N, C) or (N, C, L) over the batch (Ioffe & Szegedy, 2015).

    Example:
        >>> import rushlight as torch
        >>> torch.nn.BatchNorm1d(1)(torch.tensor([[1.0], [3.0]])).tolist()[1][0] > 0.99
        True
    """

    dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalises each channel of (N, C, H, W) over the batch."""

    dimensions = (4,)


class BatchNorm3d(_BatchNorm):
    """Normalises each channel of (N, C, D, H, W) over the batch."""

    dimensions = (5,)


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation over the batches of all processes; there is one process, so over the batch.

    Shape:
        (N, C, ...).
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, process_group: Any = None, device: Any = None, dtype: Any = None, *,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _check_dimensions(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")
        if input.shape[1] == 0:
            raise ValueError("SyncBatchNorm number of input channels should be non-zero")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """The module with a `SyncBatchNorm` in the place of each batch normalisation, on the same parameters."""
        converted = module
        if isinstance(module, _BatchNorm):
            settings = (module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats)
            converted = SyncBatchNorm(*settings, process_group, bias=module.bias is not None)
            for name, own in (*module._parameters.items(), *module._buffers.items()):
                setattr(converted, name, own)
            converted.training = module.training
        for name, child in module.named_children():
            converted.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return converted


class _InstanceNorm(_Norm):
    """`dimensions` are those without and with a batch."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_dimensions(input)
        is_batched = input.ndim == self.dimensions[1]
        self._check_channels(input, 1 if is_batched else 0)
        by_sample = self.training or not self.track_running_stats
        result = F.instance_norm(
            input if is_batched else input.unsqueeze(0), self.running_mean, self.running_var, self.weight, self.bias,
            by_sample, 0.0 if self.momentum is None else self.momentum, self.eps,
        )  # fmt: skip
        return result if is_batched else result.squeeze(0)

    def _check_channels(self, input: Tensor, axis: int) -> None:
        if input.shape[axis] == self.num_features:
            return
        if self.affine:
            raise ValueError(
                f"expected input's size at dim={axis} to match num_features ({self.num_features}), but got: "
                f"{input.shape[axis]}."
            )
        warnings.warn(
            f"input's size at dim={axis} does not match num_features. You can silence this warning by not passing in "
            "num_features, which is not used because affine=False",
            stacklevel=3,
        )


class InstanceNorm1d(_InstanceNorm):
    """Normalises each channel of each sample of (N, C, L) or (C, L) (Ulyanov et al., 2016)."""

    dimensions = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Normalises each channel of each sample of (N, C, H, W) or (C, H, W)."""

    dimensions = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Normalises each channel of each sample of (N, C, D, H, W) or (C, D, H, W)."""

    dimensions = (4, 5)


_NormBase = _Norm  # PyTorch's name
