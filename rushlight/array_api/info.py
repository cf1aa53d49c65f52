"""`__array_namespace_info__`: what this namespace can do."""

from __future__ import annotations

from typing import Any

from rushlight import devices, dtypes
from rushlight.array_api.data_types import dtypes_of


class __array_namespace_info__:  # the standard's name
    """Devices, dtypes and capabilities, as the standard asks for them."""

    def capabilities(self) -> dict[str, Any]:
        """Everything: boolean indexing, shapes that depend on data, NumPy's 64 dimensions."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> devices.device:
        return devices.cpu

    def default_dtypes(self, *, device: Any = None) -> dict[str, dtypes.dtype]:
        """The dtypes of new arrays, by kind."""
        default = dtypes.get_default_dtype()
        return {
            "real floating": default, "complex floating": default.to_complex(), "integral": dtypes.int64,
            "indexing": dtypes.int64,
        }  # fmt: skip

    def dtypes(self, *, device: Any = None, kind: str | tuple[str, ...] | None = None) -> dict[str, dtypes.dtype]:
        """The standard's dtypes, all or of a kind."""
        return dtypes_of(kind)

    def devices(self) -> tuple[devices.device, ...]:
        return (devices.cpu,)
