"""Numbers that say at a glance what is in a gradient or a saved value."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from rushlight import dtypes


@dataclass(slots=True)
class Statistics:
    """Of an array: its Euclidean norm, its extremes, and how many of its elements are zero, NaN or infinite.

    Norm and extremes are of the finite elements; of complex numbers, of their absolute values.
    """

    shape: tuple[int, ...]
    dtype: str
    size: int
    norm: float
    low: float
    high: float
    zeros: int
    nans: int
    infs: int

    @property
    def state(self) -> str:
        """ "nan", "inf", "zero" or "ok"; what is empty is ok."""
        if self.nans:
            return "nan"
        if self.infs:
            return "inf"
        return "zero" if self.size and self.zeros == self.size else "ok"

    def __str__(self) -> str:
        if not self.size:
            return "empty"
        if self.state == "zero":
            return "all zero"
        bad = "".join(f", {count} {name}" for count, name in ((self.nans, "NaN"), (self.infs, "Inf")) if count)
        if self.nans + self.infs == self.size:
            return f"no finite number{bad}"
        return f"norm {self.norm:.4g}, in [{self.low:.4g}, {self.high:.4g}]{bad}"


def statistics_of(array: Any) -> Statistics | None:
    """The statistics of an array or tensor; None of what has no data (symbolic arrays)."""
    array = getattr(array, "_array", array)
    if not isinstance(array, (np.ndarray, np.generic)):
        return None
    name, array = dtype_name(array.dtype), np.asarray(array)
    if array.dtype.kind == "c":
        array = np.abs(array)
    elif array.dtype.kind not in "fiub":
        array = array.astype(np.float32)  # bfloat16, which NumPy's functions do not all know
    with np.errstate(all="ignore"):
        finite = np.isfinite(array)
        is_finite = bool(finite.all())
        good = array if is_finite else array[finite]
        wide = good.astype(np.float64, copy=False)
        norm = min(float(np.sqrt(np.sum(wide * wide))), sys.float_info.max)
    nans = 0 if is_finite else int(np.isnan(array).sum())
    return Statistics(
        tuple(array.shape),
        name,
        int(array.size),
        norm,
        float(good.min()) if good.size else 0.0,
        float(good.max()) if good.size else 0.0,
        int(array.size - np.count_nonzero(array)),
        nans,
        0 if is_finite else int(array.size - good.size - nans),
    )


def dtype_name(dtype: Any) -> str:
    """PyTorch's name of a NumPy dtype, without `torch.`."""
    return str(dtypes.from_numpy(dtype)).removeprefix("torch.")
