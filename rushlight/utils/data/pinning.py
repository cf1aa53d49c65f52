"""Batches in pinned memory, from which a GPU copies while the program goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rushlight.utils.data.collate import _as_mapping, _as_sequence


def pin_memory(data: Any, device: Any = None) -> Any:
    """The same batch with all its tensors in pinned memory: in mappings, tuples, lists, and what has a `pin_memory()`."""
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, (str, bytes)):
        return data
    if isinstance(data, Mapping):
        return _as_mapping(data, {key: pin_memory(value) for key, value in data.items()})
    if isinstance(data, tuple):
        values = [pin_memory(value) for value in data]
        return type(data)(*values) if hasattr(data, "_fields") else type(data)(values)
    if isinstance(data, Sequence):
        return _as_sequence(data, [pin_memory(value) for value in data])
    return data
