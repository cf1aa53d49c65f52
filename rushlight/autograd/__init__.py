"""Automatic differentiation: recording, the backward pass, and its modes."""

import importlib
from typing import Any

from rushlight.autograd.anomaly import (
    detect_anomaly as detect_anomaly,
    set_detect_anomaly as set_detect_anomaly,
)
from rushlight.autograd.modes import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_grad_enabled as is_grad_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)

# What needs Tensor, which needs this package's nodes, and what is not needed at once: {name: its module here}.
_LATER = {
    "backward": "gradients", "grad": "gradients", "Function": "function", "Variable": "variable", "function": "",
    "forward_ad": "", "graph": "", "anomaly_mode": "", "variable": "", "functional": "", "gradcheck": "gradcheck",
    "gradgradcheck": "gradcheck", "profiler": "",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """A name of `_LATER`, when first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module 'rushlight.autograd' has no attribute {name!r}")
    module = importlib.import_module(f"rushlight.autograd.{_LATER[name] or name}")
    globals()[name] = found = getattr(module, name) if _LATER[name] else module
    return found
