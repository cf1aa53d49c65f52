"""Automatic differentiation: recording, the backward pass, and its modes."""

from typing import Any

from rushlight.autograd.modes import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_grad_enabled as is_grad_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)


def __getattr__(name: str) -> Any:
    """`backward` and `grad`, when first asked for: they need Tensor, and Tensor needs this package's nodes."""
    if name in ("backward", "grad"):
        from rushlight.autograd import gradients

        globals()[name] = found = getattr(gradients, name)
        return found
    if name == "profiler":
        import importlib

        return importlib.import_module("rushlight.autograd.profiler")
    raise AttributeError(f"module 'rushlight.autograd' has no attribute {name!r}")
