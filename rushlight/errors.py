"""Exceptions of PyTorch's that are not Python's own."""

from __future__ import annotations


class AcceleratorError(RuntimeError):
    """A GPU has failed."""


class OutOfMemoryError(RuntimeError):
    """A GPU has not the memory that was asked for."""
