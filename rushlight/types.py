"""`torch.types`: names of types for annotations."""

import os
from collections.abc import Sequence
from typing import IO, Any, TypeAlias

from rushlight import devices, dtypes, layouts
from rushlight.tensor import Size, Tensor

_int, _float, _bool, _complex, _str, _bytes = int, float, bool, complex, str, bytes
_dtype, _device, _layout = dtypes.dtype, devices.device, layouts.layout
_size: TypeAlias = Size | list[int] | tuple[int, ...]
_TensorOrTensors: TypeAlias = Tensor | Sequence[Tensor]
Number: TypeAlias = int | float | bool
_Number = (int, float, bool)
Device: TypeAlias = devices.device | str | int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
Storage: TypeAlias = Any
