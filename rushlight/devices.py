"""Devices: "cpu" (NumPy and the compiler), "cuda" (CuPy) and "meta" (shapes and dtypes, no data)."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class device:
    """Where a tensor lives.

    Inside `with device:` new tensors come to be there.

    Args:
        type: "cpu", "cuda" or "meta", with an index behind a colon if there are several ("cuda:1"), a device, or the number
            of a GPU.
        index: the index, if it is not in `type`.

    Raises:
        RuntimeError: a device type that does not exist.

    Example:
        >>> import rushlight as torch
        >>> with torch.device("meta"):
        ...     print(torch.zeros(2).device)
        meta
    """

    __slots__ = ("type", "index")
    _TYPES = ("cpu", "cuda", "meta")

    def __init__(self, type: Any, index: int | None = None):
        if isinstance(type, device):
            self.type, self.index = type.type, type.index
            return
        if type.__class__ is int:
            type, index = "cuda", type
        if not isinstance(type, str):
            raise TypeError(f"device(): argument 'type' must be str, not {type.__class__.__name__}")
        name, _, number = type.partition(":")
        if name not in self._TYPES:
            raise RuntimeError(
                f"Expected one of {', '.join(self._TYPES)} device type at start of device string: {name}"
            )
        if ":" in type and (not number.isdigit() or len(number) > 1 and number[0] == "0"):
            raise RuntimeError(f"Invalid device string: '{type}'")
        if number and index is not None:
            raise RuntimeError(f"type (string) must not include an index because index was passed explicitly: {type}")
        if index is not None and index < 0:
            raise RuntimeError("Device index must not be negative")
        self.type, self.index = name, int(number) if number else index

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __enter__(self) -> device:
        modes = _modes()
        modes.devices_before = (modes.device, *modes.devices_before)
        modes.device = _as_default(self)
        return self

    def __exit__(self, *error: object) -> None:
        modes = _modes()
        modes.device, *before = modes.devices_before
        modes.devices_before = tuple(before)


cpu = device("cpu")
meta = device("meta")


def require(given: Any) -> device:
    """The device that an argument names; None is the CPU.

    Raises:
        RuntimeError: a GPU that is not there.
    """
    if given is None:
        return cpu
    found = given if isinstance(given, device) else device(given)
    return on_gpu(found) if found.type == "cuda" else found


def has_gpu() -> bool:
    """Whether tensors can be on a GPU."""
    from rushlight.arrays import kinds

    try:
        kinds.gpu()
    except (RuntimeError, AssertionError):
        return False
    return True


def on_gpu(given: device) -> device:
    """A GPU by its number: of "cuda" alone, that of the current one.

    Raises:
        RuntimeError: there is no GPU, or none of that number.
    """
    from rushlight.arrays import kinds

    runtime = kinds.gpu().cupy.cuda.runtime
    index = runtime.getDevice() if given.index is None else given.index
    if index >= runtime.getDeviceCount():
        raise RuntimeError(
            f"CUDA error: invalid device ordinal (cuda:{index}, of {runtime.getDeviceCount()} devices). "
            "Devices are numbered from 0; torch.cuda.device_count() tells how many there are."
        )
    return device("cuda", index)


# ---------------------------------------------------------------- where new tensors come to be


def _modes() -> Any:
    from rushlight.autograd.modes import modes

    return modes


def _as_default(given: device) -> device | None:
    """As `modes.device` says it: None is the CPU."""
    return None if given.type == "cpu" else given


def set_default_device(device: Any) -> None:
    """Sets where new tensors come to be, in this thread, if nothing else is said; None is the CPU.

    Example:
        >>> import rushlight as torch
        >>> torch.set_default_device("meta")
        >>> torch.zeros(2).device
        device(type='meta')
        >>> torch.set_default_device(None)
    """
    _modes().device = None if device is None else _as_default(globals()["device"](device))


def get_default_device() -> device:
    """Where new tensors come to be; of "cuda" alone, the current GPU."""
    found = _modes().device
    if found is None:
        return cpu
    return on_gpu(found) if found.type == "cuda" else found


def get_device_module(device: Any = None) -> Any:
    """The module of a device's type, such as `torch.cuda`; of none given, the accelerator's if there is one.

    Raises:
        RuntimeError: there is no such module.
    """
    if device is None:
        kind = "cuda" if has_gpu() else "cpu"
    else:
        kind = globals()["device"](device).type
    if kind == "meta":
        raise RuntimeError("Device 'meta' does not have a corresponding module registered as 'torch.meta'.")
    return import_module(f"rushlight.{kind}")
