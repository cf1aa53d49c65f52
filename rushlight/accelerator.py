"""What programs ask before they choose a device: there is no accelerator yet."""

from __future__ import annotations

import warnings

from rushlight.devices import device

_PRECISIONS = ("highest", "high", "medium")
_precision = "highest"


def is_available() -> bool:
    """Whether there is an accelerator that tensors can live on."""
    return False


def device_count() -> int:
    """How many accelerators there are."""
    return 0


def current_accelerator(check_available: bool = False) -> device | None:
    """The accelerator's device: None, for there is none."""
    return None


def set_float32_matmul_precision(precision: str) -> None:
    """How exact products of float32 have to be. They are always computed in float32, which "highest" asks for.

    Another word has no effect, and a warning says so.
    """
    global _precision
    if precision in _PRECISIONS:
        _precision = precision
        return
    warnings.warn(
        f"{precision} is not one of 'highest', 'high', or 'medium'; the current set_float32_matmul_precision call has no "
        "effect.", stacklevel=2,
    )  # fmt: skip


def get_float32_matmul_precision() -> str:
    """What was set.

    Example:
        >>> get_float32_matmul_precision()
        'highest'
    """
    return _precision
