"""Modules without the time that drawing their first values takes."""

from __future__ import annotations

import inspect
from typing import Any

from rushlight.nn.module import Module


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """Makes a module whose parameters have no values yet: for values that are loaded anyway.

    Args:
        module_cls: its class, which must take a `device`. The other arguments are those of the class.

    Raises:
        RuntimeError: it is no module class, or takes no device.
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    device = kwargs.pop("device", "cpu")
    return module_cls(*args, device="meta", **kwargs).to_empty(device=device)
