"""Tools around training: data, exchange with other libraries; checkpoints, timing and logs, when first asked for."""

from typing import Any

from rushlight.utils import data as data, dlpack as dlpack


def __getattr__(name: str) -> Any:
    if name in ("benchmark", "checkpoint", "tensorboard"):
        import importlib

        globals()[name] = found = importlib.import_module(f"rushlight.utils.{name}")
        return found
    raise AttributeError(f"module 'rushlight.utils' has no attribute {name!r}")
