"""`torch.autograd.profiler`: the older name of `rushlight.profiler`, which is above this package and loaded when asked for."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from rushlight import profiler

    if name == "profile":
        from rushlight.profiler.session import autograd_profile

        return autograd_profile
    if name in ("record_function", "kineto_available"):
        return getattr(profiler, name)
    raise AttributeError(f"module 'rushlight.autograd.profiler' has no attribute {name!r}")
