"""Devices: "cpu" (NumPy and the compiler), "cuda" (CuPy) and "meta" (shapes and dtypes, no data)."""

from __future__ import annotations

from typing import Any


class device:
    """Where a tensor lives.

    Args:
        type: "cpu", "cuda" or "meta", with an index behind a colon if there are several ("cuda:1"), or a device.
        index: the index, if it is not in `type`.

    Raises:
        RuntimeError: a device type that does not exist.
    """

    __slots__ = ("type", "index")
    _TYPES = ("cpu", "cuda", "meta")

    def __init__(self, type: Any, index: int | None = None):
        if isinstance(type, device):
            self.type, self.index = type.type, type.index
            return
        if not isinstance(type, str):
            raise TypeError(f"device(): argument 'type' must be str, not {type.__class__.__name__}")
        name, _, number = type.partition(":")
        if name not in self._TYPES:
            raise RuntimeError(
                f"Expected one of {', '.join(self._TYPES)} device type at start of device string: {name}"
            )
        if number and not number.isdigit():
            raise RuntimeError(f"Invalid device string: '{type}'")
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
