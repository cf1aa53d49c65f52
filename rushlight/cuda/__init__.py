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
