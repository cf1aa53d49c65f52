"""`rushlight.cpu`: the device that is always there, in the shape of PyTorch's device modules."""

from __future__ import annotations

from rushlight.cpu import amp as amp


def is_available() -> bool:
    """True."""
    return True


def device_count() -> int:
    """1: all cores are one device."""
    return 1


def current_device() -> str:
    """Its name."""
    return "cpu"


def synchronize(device: object = None) -> None:
    """Waits for nothing: operations have finished when they return."""
