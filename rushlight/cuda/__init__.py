"""The cuda device, which is not built yet: what scripts ask before they use it."""

from __future__ import annotations


from rushlight.cuda import amp as amp


def is_available() -> bool:
    """Whether tensors can live on a GPU: not yet."""
    return False


def device_count() -> int:
    """How many GPUs can be used: none yet."""
    return 0


def manual_seed_all(seed: int) -> None:
    """Seeds the generators of all GPUs, of which there are none."""


manual_seed = manual_seed_all


def memory_allocated(device: object = None) -> int:
    """Bytes that tensors take on a GPU: none."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def empty_cache() -> None:
    """Gives memory of a GPU back: there is none to give."""


def is_bf16_supported() -> bool:
    """Whether a GPU computes in bfloat16."""
    return False


def synchronize(device: object = None) -> None:
    """Waits for a GPU.

    Raises:
        AssertionError: there is none, in PyTorch's words.
    """
    raise AssertionError("Torch not compiled with CUDA enabled")
