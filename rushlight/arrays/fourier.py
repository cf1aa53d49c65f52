"""Fourier transforms on NumPy arrays.

Part of the waist: names here are listed in `protocol.HOST`.
"""

from __future__ import annotations
