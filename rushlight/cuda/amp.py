"""`rushlight.cuda.amp`: old names of `rushlight.amp`, for one device."""

from __future__ import annotations

import warnings
from typing import Any

from rushlight import amp, dtypes


def _warn(name: str) -> None:
    warnings.warn(
        f"`torch.cuda.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}('cuda', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )


class autocast(amp.autocast):
    """`torch.amp.autocast("cuda", ...)`."""

    def __init__(self, enabled: bool = True, dtype: dtypes.dtype = dtypes.float16, cache_enabled: bool = True):
        _warn("autocast")
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`torch.amp.GradScaler("cuda", ...)`."""

    def __init__(self, *args: Any, **kwargs: Any):
        _warn("GradScaler")
        super().__init__("cuda", *args, **kwargs)
