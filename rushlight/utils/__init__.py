"""Tools around training: data loading, exchange with other libraries, checkpointing."""

from typing import Any

from rushlight.utils import data as data, dlpack as dlpack


def __getattr__(name: str) -> Any:
    """`checkpoint`, when first asked for."""
    if name == "checkpoint":
        import importlib

        globals()[name] = found = importlib.import_module("rushlight.utils.checkpoint")
        return found
    raise AttributeError(f"module 'rushlight.utils' has no attribute {name!r}")
