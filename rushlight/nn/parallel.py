"""DataParallel: a batch in parts, each computed on a GPU of its own.

Parameters are copied to the other GPUs at every call, by operations that autograd follows: so the gradients of the parts come back and
are added up without more. Without a GPU it runs its module, for models and checkpoints that wrap their modules in it.
"""

from __future__ import annotations

import warnings
from typing import Any

from rushlight import devices
from rushlight.api.joining import cat, stack
from rushlight.arrays import kinds
from rushlight.nn.module import Module
from rushlight.nn.utils.stateless import call_with_tensors
from rushlight.tensor import Tensor


class DataParallel(Module):
    """Calls its module on parts of the inputs; the names in its state start with "module.", as in PyTorch.

    Args:
        module: its parameters are on the first of the GPUs.
        device_ids: the GPUs; default: all there are.
        output_device: where the results are put together; default: the first GPU.
        dim: the dimension of inputs and results that is the batch.

    Raises:
        RuntimeError: when called, if a parameter is on another device than the first GPU.
    """

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module, self.dim = module, dim
        if device_ids is None:
            device_ids = range(kinds.gpu().cupy.cuda.runtime.getDeviceCount()) if devices.has_gpu() else []
        self.device_ids = [devices.require(place).index for place in device_ids] if devices.has_gpu() else []
        self.output_device = output_device
        if self.device_ids:
            self.output_device = self.device_ids[0] if output_device is None else devices.require(output_device).index
        if len(self.device_ids) == 1:
            self.module.to(devices.device(self.device_ids[0]))

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        if not self.device_ids:
            return self.module(*inputs, **kwargs)
        first = devices.device(self.device_ids[0])
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            if tensor.device != first:
                raise RuntimeError(
                    f"module must have its parameters and buffers on device {first} (device_ids[0]) but found one of "
                    f"them on device: {tensor.device}"
                )
        parts = scattered((inputs, kwargs), self.device_ids, self.dim)
        results = [self._on(place, *part) for place, part in zip(self.device_ids, parts, strict=False)]
        return results[0] if len(self.device_ids) == 1 else gathered(results, self.output_device, self.dim)

    def _on(self, place: int, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if place == self.device_ids[0]:
            return self.module(*inputs, **kwargs)
        named = (*self.module.named_parameters(), *self.module.named_buffers())
        copies = {name: tensor.to(devices.device(place)) for name, tensor in named}
        with kinds.gpu().cupy.cuda.Device(place):
            return call_with_tensors(self.module, copies, inputs, kwargs)


def scattered(value: Any, places: list[int], dim: int) -> list[Any]:
    """For each GPU its part of tensors, in tuples, lists and dicts too; other values are the same for all."""
    if isinstance(value, Tensor):
        parts = value.chunk(len(places), dim)
        return [part.to(devices.device(place)) for part, place in zip(parts, places, strict=False)]
    if isinstance(value, (tuple, list)):
        columns = [scattered(item, places, dim) for item in value]
        return [type(value)(row) for row in zip(*columns, strict=False)] or [value] * len(places)
    if isinstance(value, dict):
        rows = scattered(list(value.values()), places, dim)
        return [type(value)(zip(value, row, strict=True)) for row in rows]
    return [value] * len(places)


def gathered(results: list[Any], place: int, dim: int) -> Any:
    """The results of all parts as one, on a GPU."""
    first = results[0]
    if isinstance(first, Tensor):
        here = [result.to(devices.device(place)) for result in results]
        if not first.ndim:
            warnings.warn(
                "Was asked to gather along dimension 0, but all input tensors were scalars; will instead unsqueeze and "
                "return a vector.",
                stacklevel=4,
            )
            return stack(here)
        return cat(here, dim)
    if isinstance(first, dict):
        return type(first)((key, gathered([result[key] for result in results], place, dim)) for key in first)
    if isinstance(first, (tuple, list)):
        return type(first)([gathered(list(column), place, dim) for column in zip(*results, strict=True)])
    return first
