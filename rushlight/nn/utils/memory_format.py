"""The order of a convolution's weights in memory. PyTorch's kernels like it changed; here one order serves all."""

from __future__ import annotations

from typing import Any

from rushlight.nn.module import Module


def convert_conv2d_weight_memory_format(module: Module, memory_format: Any) -> Module:
    """The module as it is: the values of its weights are the same in any order."""
    return module


def convert_conv3d_weight_memory_format(module: Module, memory_format: Any) -> Module:
    """The module as it is: the values of its weights are the same in any order."""
    return module
