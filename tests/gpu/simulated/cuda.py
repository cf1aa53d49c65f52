"""`cupy.cuda` of the simulated GPUs: devices and which one is current."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

COUNT = 2


class _Thread(threading.local):
    current = 0


_thread = _Thread()


def current_device() -> int:
    """The number of the device on which this thread computes."""
    return _thread.current


class Device:
    """A device; in a `with` block, the current one."""

    def __init__(self, device: Any = None):
        self.id = _thread.current if device is None else int(device)
        self._before: list[int] = []

    def __enter__(self) -> Device:
        self._before.append(_thread.current)
        _thread.current = self.id
        return self

    def __exit__(self, *_: object) -> None:
        _thread.current = self._before.pop()

    def use(self) -> None:
        _thread.current = self.id

    def synchronize(self) -> None:
        pass

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


def _set_device(device: int) -> None:
    _thread.current = device


runtime = SimpleNamespace(getDeviceCount=lambda: COUNT, getDevice=current_device, setDevice=_set_device)
