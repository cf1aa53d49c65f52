"""The safetensors format: tensors by name in one file, with nothing in it that could run.

A file is the length of a header (8 bytes), the header in JSON (dtype, shape and place of each tensor), and the tensors' bytes.
Reading maps the file: a tensor's memory is the file's, copied page by page when it is written to. The functions are those of
the package `safetensors.torch`, which copies every tensor and needs PyTorch.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.serialization.atomic import replacing
from rushlight.serialization.pickling import memory_of
from rushlight.tensor import Tensor, wrap

NAME_OF: dict[str, str] = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32", "int16": "I16",
    "int8": "I8", "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64", "bool": "BOOL", "complex64": "C64",
}  # fmt: skip
_DTYPE_OF = {name: getattr(dtypes, dtype) for dtype, name in NAME_OF.items()}
_LONGEST_HEADER = 100_000_000  # bytes: the package's limit


class SafetensorError(Exception):
    """A file that is not as the format says."""


def save_file(tensors: dict[str, Tensor], filename: Any, metadata: dict[str, str] | None = None) -> None:
    """Writes tensors to a file, all or nothing.

    Args:
        tensors: by name. No two may share memory: the file would hold it twice.
        metadata: texts by name, to be kept beside the tensors.

    Raises:
        ValueError: what is no tensor, or shares memory. TypeError: a dtype that the format does not have.
    """
    header, arrays = _described(tensors, metadata)
    with replacing(filename) as file:
        file.write(header)
        for array in arrays:
            file.write(array.data)


def save(tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes that `save_file` writes.

    Example:
        >>> import rushlight as torch
        >>> load(save({"x": torch.arange(3)}))
        {'x': tensor([0, 1, 2])}
    """
    header, arrays = _described(tensors, metadata)
    return b"".join([header, *(array.tobytes() for array in arrays)])


def load_file(filename: Any, device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors of a file, by name; their memory is the file's until it is written to.

    Raises:
        FileNotFoundError, SafetensorError: no such file, or not such a file.
    """
    with safe_open(filename, framework="pt", device=device) as file:
        return {name: file.get_tensor(name) for name in file}


def load(data: bytes) -> dict[str, Tensor]:
    """The tensors in the bytes of a file."""
    file = _File(np.frombuffer(bytearray(data), np.uint8), "cpu")
    return {name: file.get_tensor(name) for name in file}


def safe_open(filename: Any, framework: str = "pt", device: Any = "cpu") -> _File:
    """Opens a file to read some of its tensors.

    Example:
        >>> import rushlight as torch, tempfile, os
        >>> path = os.path.join(tempfile.mkdtemp(), "x.safetensors")
        >>> save_file({"x": torch.eye(2), "y": torch.ones(1)}, path)
        >>> with safe_open(path) as file:
        ...     print(list(file.keys()), file.get_slice("x")[0])
        ['x', 'y'] tensor([1., 0.])
    """
    if os.path.getsize(filename) < 8:
        raise SafetensorError("Error while deserializing header: header too small")
    memory = np.memmap(filename, np.uint8, "c")
    return _File(np.ndarray(memory.shape, np.uint8, memory), device)


class _File:
    """A file's tensors, on its bytes."""

    def __init__(self, data: np.ndarray, device: Any) -> None:
        self._data, self._device = data, device
        self._entries, self._metadata = _checked_header(data)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *error: object) -> None:
        pass  # the file is unmapped when the last of its tensors goes

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def keys(self) -> Iterable[str]:
        return list(self._entries)

    def metadata(self) -> dict[str, str] | None:
        return self._metadata

    def get_tensor(self, name: str) -> Tensor:
        if name not in self._entries:
            raise SafetensorError(f"File does not contain tensor {name}")
        dtype, shape, start, stop = self._entries[name]
        array = np.ndarray(shape, dtype.numpy, self._data[start:stop]) if stop > start else np.empty(shape, dtype.numpy)
        if array.ctypes.data % dtype.numpy.alignment:
            array = array.copy()
        tensor = wrap(array)
        return tensor if str(self._device) == "cpu" else tensor.to(self._device)

    def get_slice(self, name: str) -> Tensor:
        """The tensor: indexing it is a view, and reads no more of the file than it shows."""
        return self.get_tensor(name)


def _described(tensors: dict[str, Tensor], metadata: dict[str, str] | None) -> tuple[bytes, list[np.ndarray]]:
    """The header of a file, and the arrays that follow it: the widest dtypes first, so that all are aligned."""
    _check_sharing(tensors)
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    arrays, start = [], 0
    for name in sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)):
        tensor = tensors[name]
        if tensor.dtype.name not in NAME_OF:
            raise TypeError(f"save: safetensors files hold no {tensor.dtype}, which {name!r} is")
        array = np.ascontiguousarray(tensor._host_values("save()")).reshape(-1).view(np.uint8)
        place = [start, start + array.size]
        header[name] = {"dtype": NAME_OF[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": place}
        arrays.append(array)
        start += array.size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, arrays


def _check_sharing(tensors: dict[str, Tensor]) -> None:
    owners: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(f"Key `{name}` is invalid, expected torch.Tensor but received {type(tensor)}")
        array = tensor._array if tensor.is_cuda else tensor._data("save()")
        if array.size:
            owner = memory_of(array)
            owners.setdefault(id(array if owner is None else owner), []).append(name)
    shared = [names for names in owners.values() if len(names) > 1]
    if shared:
        raise ValueError(
            f"Some tensors share memory, this will lead to duplicate memory on disk: {shared}. Save one of each."
        )


def _checked_header(data: np.ndarray) -> tuple[dict[str, tuple[dtypes.dtype, tuple[int, ...], int, int]], Any]:
    """The tensors that a header lists: (dtype, shape, start, stop) by name; and the metadata.

    Raises:
        SafetensorError: anything that is not as the format says.
    """
    if data.size < 8:
        raise SafetensorError("Error while deserializing header: header too small")
    length = int.from_bytes(data[:8].tobytes(), "little")
    if length > _LONGEST_HEADER:
        raise SafetensorError("Error while deserializing header: header too large")
    if 8 + length > data.size:
        raise SafetensorError("Error while deserializing header: invalid header length: the file is cut off or damaged")
    try:
        header = json.loads(data[8 : 8 + length].tobytes().decode())
        metadata = header.pop("__metadata__", None)
        entries = {name: _entry(8 + length, **entry) for name, entry in header.items()}
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise SafetensorError(f"Error while deserializing header: invalid JSON in header: {error!r}") from None
    position = 8 + length
    for name, (_, _, start, stop) in sorted(entries.items(), key=lambda entry: entry[1][2:]):
        if start != position:
            raise SafetensorError(f"Error while deserializing header: invalid offset for tensor `{name}`")
        position = stop
    if position != data.size:
        raise SafetensorError(
            f"Error while deserializing header: incomplete metadata, file not fully covered: the tensors end at byte "
            f"{position}, the file at {data.size}"
        )
    return entries, metadata


def _entry(base: int, dtype: str, shape: list[int], data_offsets: list[int]) -> Any:
    """One tensor of a header."""
    start, stop = data_offsets
    if not all(type(n) is int and n >= 0 for n in [*shape, start, stop]):
        raise ValueError("negative or broken sizes")
    kind = _DTYPE_OF[dtype]
    if stop - start != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{stop - start} bytes for shape {shape} of {dtype}")
    return kind, tuple(shape), base + start, base + stop
