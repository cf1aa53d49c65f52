"""`torch.accelerator`: the GPU without its name. What it says is what `torch.cuda` says."""

from __future__ import annotations

from typing import Any

from rushlight import devices


def is_available() -> bool:
    """Whether there is an accelerator that tensors can live on."""
    from rushlight import cuda

    return cuda.is_available()


def device_count() -> int:
    """How many accelerators there are."""
    from rushlight import cuda

    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> devices.device | None:
    """The accelerator's device, without an index: "cuda", or None where there is none.

    Args:
        check_available: accepted; PyTorch without it answers by what it was built for.
    """
    return devices.device("cuda") if is_available() else None


def current_device_index() -> int:
    """The index of the current accelerator."""
    from rushlight import cuda

    return cuda.current_device()


def set_device_index(device: Any, /) -> None:
    """Makes an accelerator the current one."""
    from rushlight import cuda

    cuda.set_device(device)


current_device_idx, set_device_idx = current_device_index, set_device_index


class device_index:
    """Inside a block `with`, another accelerator is the current one; None changes nothing."""

    def __init__(self, device: int | None, /):
        from rushlight import cuda

        self._block = cuda.device(-1 if device is None else device)

    def __enter__(self) -> None:
        self._block.__enter__()

    def __exit__(self, *error: object) -> None:
        self._block.__exit__(*error)


def current_stream(device: Any = None, /) -> Any:
    """The stream that an accelerator's operations run on."""
    from rushlight import cuda

    return cuda.current_stream(device)


def set_stream(stream: Any) -> None:
    """Makes a stream the current one."""
    from rushlight import cuda

    cuda.set_stream(stream)


def synchronize(device: Any = None, /) -> None:
    """Waits until an accelerator has done all that was asked of it; one that was not used has."""
    from rushlight import cuda

    if cuda.is_initialized():
        cuda.synchronize(device)


def empty_cache() -> None:
    """Gives back memory that is kept for the next tensors."""
    from rushlight import cuda

    cuda.empty_cache()


def memory_stats(device: Any = None, /) -> dict[str, Any]:
    """What is known of an accelerator's memory."""
    from rushlight import cuda

    return cuda.memory_stats(device)


def memory_allocated(device: Any = None, /) -> int:
    """Bytes that tensors take."""
    from rushlight import cuda

    return cuda.memory_allocated(device)


def max_memory_allocated(device: Any = None, /) -> int:
    """The most that tensors took."""
    from rushlight import cuda

    return cuda.max_memory_allocated(device)


def memory_reserved(device: Any = None, /) -> int:
    """Bytes that tensors take, and those kept for the next."""
    from rushlight import cuda

    return cuda.memory_reserved(device)


def max_memory_reserved(device: Any = None, /) -> int:
    """The most of these."""
    from rushlight import cuda

    return cuda.max_memory_reserved(device)


def reset_peak_memory_stats(device: Any = None, /) -> None:
    """From now on the peaks are those since now."""
    from rushlight import cuda

    cuda.reset_peak_memory_stats(device)


def get_memory_info(device: Any = None, /) -> tuple[int, int]:
    """(free bytes, all bytes) of an accelerator."""
    from rushlight import cuda

    return cuda.mem_get_info(device)
