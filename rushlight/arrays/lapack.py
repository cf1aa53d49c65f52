"""Factorizations and solvers on NumPy arrays, batched over leading axes, by LAPACK through NumPy and SciPy.

Part of the waist: names here are listed in `protocol.HOST`.
"""

from __future__ import annotations
