"""Special functions on NumPy arrays, most by SciPy, which is imported when first needed.

Part of the waist: names here are listed in `protocol.HOST`.
"""

from __future__ import annotations
