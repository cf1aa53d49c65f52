"""DataParallel: for models and checkpoints that wrap their modules in it. There is one device, which runs the module."""

from __future__ import annotations

from typing import Any

from rushlight.nn.module import Module


class DataParallel(Module):
    """Calls its module; the names in its state start with "module.", as in PyTorch."""

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[Any] = []
        self.output_device = output_device
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
