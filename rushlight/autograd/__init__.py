"""Automatic differentiation: recording, the backward pass, and its modes."""

from importlib import import_module
from typing import Any

from rushlight.autograd.modes import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_grad_enabled as is_grad_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)


# What is loaded when first asked for, since it needs Tensor, and Tensor needs this package's nodes: {name: its module}.
_LATER = {
    "backward": "gradients",
    "grad": "gradients",
    "gradcheck": "gradcheck",
    "gradgradcheck": "gradcheck",
}
_MODULES = ("functional",)


def __getattr__(name: str) -> Any:

    if name in _MODULES:
        return import_module(f"rushlight.autograd.{name}")
    if name in _LATER:
        globals()[name] = found = getattr(import_module(f"rushlight.autograd.{_LATER[name]}"), name)
        return found
    if name == "forward_ad":
        return import_module("rushlight.autograd.forward_ad")
    raise AttributeError(f"module 'rushlight.autograd' has no attribute {name!r}")
