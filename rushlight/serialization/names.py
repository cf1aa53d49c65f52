"""What a `.pt` file calls things: the names of storages, by dtype, and back."""

from __future__ import annotations

from rushlight import dtypes

STORAGE_OF: dict[str, str] = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "complex64": "ComplexFloatStorage",
    "complex128": "ComplexDoubleStorage",
}  # uint16, uint32 and uint64 have no storage of their own: PyTorch saves them as untyped bytes

DTYPE_OF: dict[str, dtypes.dtype] = {storage: getattr(dtypes, name) for name, storage in STORAGE_OF.items()}
