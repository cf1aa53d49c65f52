"""The order of products in `einsum`: whether opt_einsum, where it is installed, may choose it."""

from __future__ import annotations

import importlib.util

enabled, strategy = True, "auto"  # as PyTorch has them; `einsum` multiplies from left to right in any case


def is_available() -> bool:
    """Whether opt_einsum is installed."""
    return importlib.util.find_spec("opt_einsum") is not None
