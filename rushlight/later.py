"""Parts of the package that `import rushlight` does not load: `rushlight.distributions` and others, when first asked for."""

from __future__ import annotations

import importlib
from typing import Any

PARTS = frozenset(
    {
        "__config__", "_dynamo", "cuda", "distributions", "hub", "jit", "overrides", "profiler", "testing", "types", "version",
    }
)  # fmt: skip


def load(name: str) -> Any:
    """The package's attribute of this name: what `rushlight.__getattr__` is.

    Raises:
        AttributeError: there is no such part.
    """
    if name in PARTS:
        return importlib.import_module(f"rushlight.{name}")
    raise AttributeError(f"module 'rushlight' has no attribute {name!r}")
