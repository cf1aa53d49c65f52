"""Which GPU: the current one, blocks with another, and what a GPU is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from rushlight import devices
from rushlight.arrays import kinds
from rushlight.cuda import library
from rushlight.cuda.library import device_count as device_count


def is_available() -> bool:
    """Whether tensors can live on a GPU.

    Example:
        >>> import rushlight as torch
        >>> device = "cuda" if torch.cuda.is_available() else "cpu"
    """
    return library.device_count() > 0 and not library.is_forked()


def is_initialized() -> bool:
    """Whether a GPU has been used in this process."""
    return library.is_ready()


def init() -> None:
    """Makes ready for use, which is otherwise done at first use.

    Raises:
        RuntimeError: there is no GPU, in PyTorch's words.
    """
    library.cupy()


_lazy_init = init


def index_of(device: Any, optional: bool = True) -> int:
    """The index that a device, its name, its number or None (the current one) stands for.

    Raises:
        ValueError: another device than a GPU.
        RuntimeError: there is no such GPU.
    """
    if isinstance(device, bool):
        raise ValueError(f"Expected a cuda device, but got: {device}")
    if isinstance(device, int):
        return device
    if isinstance(device, _Block):
        return device.idx
    if device is None:
        if not optional:
            raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{device}")
        return current_device()
    found = device if isinstance(device, devices.device) else devices.device(device)
    if found.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {found}")
    if found.index is None:
        if not optional:
            raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{device}")
        return current_device()
    return found.index


def require_index(device: Any) -> int:
    """The same, of a GPU that there is.

    Raises:
        AcceleratorError: there is none of this index.
    """
    library.cupy()
    index = index_of(device)
    if not 0 <= index < device_count():
        raise library.failed(RuntimeError("cudaErrorInvalidDevice: invalid device ordinal"))
    return index


# ---------------------------------------------------------------- the current one


def current_device() -> int:
    """The index of the current GPU: where "cuda" without an index is."""
    return int(library.cupy().cuda.runtime.getDevice())


def set_device(device: Any) -> None:
    """Makes a GPU the current one; a negative number changes nothing. Prefer `with torch.cuda.device(...)`."""
    library.cupy()
    index = index_of(device)
    if index >= 0:
        library.cupy().cuda.Device(require_index(index)).use()


class _Block:
    """Inside a block `with`, another GPU is the current one; after it the one that was before."""

    def __init__(self, index: int):
        self.idx, self._before = index, -1

    def __enter__(self) -> None:
        if self.idx >= 0:
            self._before = current_device()
            set_device(self.idx)

    def __exit__(self, *error: object) -> None:
        if self.idx >= 0:
            set_device(self._before)


class device(_Block):
    """A block with another current GPU.

    Args:
        device: a device, its name or its index; a negative index changes nothing.
    """

    def __init__(self, device: Any):
        super().__init__(index_of(device))


class device_of(_Block):
    """A block in which the current GPU is that of a tensor; a tensor elsewhere changes nothing."""

    def __init__(self, obj: Any):
        super().__init__(obj.device.index if obj.device.type == "cuda" else -1)


def synchronize(device: Any = None) -> None:
    """Waits until a GPU, the current one unless named, has done all that was asked of it.

    Raises:
        IndexError: it has found an index out of range.
    """
    library.cupy().cuda.Device(require_index(device)).synchronize()
    kinds.check_bounds()


# ---------------------------------------------------------------- what a GPU is


@dataclass(frozen=True, slots=True)
class _CudaDeviceProperties:
    """What a GPU is, by the names of CUDA's runtime that PyTorch keeps."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    uuid: str
    pci_bus_id: int
    pci_device_id: int
    pci_domain_id: int
    L2_cache_size: int
    is_integrated: int
    is_multi_gpu_board: int
    max_threads_per_multi_processor: int
    max_threads_per_block: int
    warp_size: int
    regs_per_multiprocessor: int
    shared_memory_per_block: int
    shared_memory_per_block_optin: int
    shared_memory_per_multiprocessor: int
    clock_rate: int
    memory_clock_rate: int
    memory_bus_width: int

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // 2**20}MB, multi_processor_count={self.multi_processor_count}, "
            f"uuid={self.uuid}, pci_bus_id={self.pci_bus_id}, pci_device_id={self.pci_device_id}, "
            f"pci_domain_id={self.pci_domain_id}, L2_cache_size={self.L2_cache_size // 2**20}MB)"
        )


# Where the runtime's names differ from PyTorch's.
_RUNTIME_NAMES = {
    "total_memory": "totalGlobalMem", "multi_processor_count": "multiProcessorCount", "pci_bus_id": "pciBusID",
    "pci_device_id": "pciDeviceID", "pci_domain_id": "pciDomainID", "L2_cache_size": "l2CacheSize",
    "is_integrated": "integrated", "is_multi_gpu_board": "isMultiGpuBoard", "warp_size": "warpSize",
    "max_threads_per_multi_processor": "maxThreadsPerMultiProcessor", "max_threads_per_block": "maxThreadsPerBlock",
    "regs_per_multiprocessor": "regsPerMultiprocessor", "shared_memory_per_block": "sharedMemPerBlock",
    "shared_memory_per_block_optin": "sharedMemPerBlockOptin",
    "shared_memory_per_multiprocessor": "sharedMemPerMultiprocessor", "clock_rate": "clockRate",
    "memory_clock_rate": "memoryClockRate", "memory_bus_width": "memoryBusWidth",
}  # fmt: skip


def get_device_properties(device: Any = None) -> _CudaDeviceProperties:
    """What a GPU is: `name`, `major` and `minor`, `total_memory`, `multi_processor_count` and more.

    Raises:
        AssertionError: there is no such GPU.
    """
    library.cupy()
    index = index_of(device)
    if not 0 <= index < device_count():
        raise AssertionError("Invalid device id")
    return _properties(index)


@cache
def _properties(index: int) -> _CudaDeviceProperties:
    found = library.cupy().cuda.runtime.getDeviceProperties(index)
    values = {
        field.name: found.get(_RUNTIME_NAMES.get(field.name, field.name), 0) for field in fields(_CudaDeviceProperties)
    }
    values["name"] = found["name"].decode() if isinstance(found["name"], bytes) else found["name"]
    digits = bytes(found.get("uuid") or b"").ljust(16, b"\0").hex()
    values["uuid"] = "-".join(digits[start:stop] for start, stop in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
    return _CudaDeviceProperties(**values)


def get_device_name(device: Any = None) -> str:
    """A GPU's name, such as "NVIDIA H100 80GB HBM3"."""
    return get_device_properties(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """A GPU's compute capability, such as (9, 0)."""
    found = get_device_properties(device)
    return found.major, found.minor


def get_arch_list() -> list[str]:
    """For which GPUs programs can be compiled, as NVRTC knows them: ["sm_75", "sm_80", ...]; none without a GPU."""
    if not is_available():
        return []
    return [f"sm_{number}" for number in library.cupy().cuda.nvrtc.getSupportedArchs()]


def get_gencode_flags() -> str:
    """The same as a compiler's options."""
    numbers = [name.removeprefix("sm_") for name in get_arch_list()]
    return " ".join(f"-gencode compute=compute_{number},code=sm_{number}" for number in numbers)


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Whether one GPU can read another's memory.

    Raises:
        AssertionError: there is no such GPU.
    """
    library.cupy()
    index, peer = index_of(device), index_of(peer_device)
    if not 0 <= index < device_count():
        raise AssertionError("Invalid device id")
    if not 0 <= peer < device_count():
        raise AssertionError("Invalid peer device id")
    return bool(library.cupy().cuda.runtime.deviceCanAccessPeer(index, peer))


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether a GPU computes in bfloat16: in hardware from capability 8.0 on, else by float32."""
    return is_available() and (including_emulation or get_device_capability()[0] >= 8)


def is_tf32_supported() -> bool:
    """Whether products of float32 can be computed in TensorFloat-32: from capability 8.0 on."""
    return is_available() and get_device_capability()[0] >= 8


def ipc_collect() -> None:
    """Gives back memory shared with other processes: none is."""
    library.cupy()


def visible_devices() -> Iterable[str]:
    """The GPUs' names for people; what CUDA_VISIBLE_DEVICES hides is not among them."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    for index in range(device_count()):
        found = _properties(index)
        text = f"{found.name}, {found.total_memory / 2**30:.1f} GiB, sm_{found.major}{found.minor}"
        yield text if hidden is None else f"{text} (CUDA_VISIBLE_DEVICES={hidden})"
