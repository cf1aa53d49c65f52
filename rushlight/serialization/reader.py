"""load: what a `.pt` file holds. Nothing that the file names is run: see `unpickling.py`."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import pickle
import struct
import sys
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from rushlight import devices, dtypes
from rushlight.api.memory import UntypedStorage
from rushlight.arrays import kinds, numpy as numpy_arrays
from rushlight.serialization.unpickling import Storage, Unpickler

if TYPE_CHECKING:
    import zipfile

_PIECE = 2**18  # bytes read at a time


def load(
    f: Any, map_location: Any = None, pickle_module: Any = None, *, weights_only: bool | None = None,
    mmap: bool | None = None, **pickle_load_args: Any,
) -> Any:  # fmt: skip
    """Loads an object that `save`, here or in PyTorch, has written.

    Args:
        f: a path, or a file open for reading bytes, which can seek.
        map_location: where the tensors go: a device, a dict of devices by name, or a function.
        weights_only: accepted; a file is always read in the way that PyTorch calls so.
        mmap: map the file's memory and read it when it is used; writes stay in memory. For paths only.

    Raises:
        FileNotFoundError: no such file. RuntimeError: the file is damaged, or no `.pt` archive.
        pickle.UnpicklingError: the file names something that is no tensor and no plain container.
    """
    if mmap and not isinstance(f, (str, os.PathLike)):
        raise ValueError("f must be a file path in order to use the mmap argument")
    with _opened(f) as file, _archive_of(file) as archive:
        reader = _Reader(archive, file, map_location, bool(mmap))
        return reader.read()


@contextlib.contextmanager
def _opened(f: Any) -> Iterator[IO[bytes]]:
    if hasattr(f, "read"):
        yield f
        return
    with open(f, "rb") as file:
        yield file


def _archive_of(file: IO[bytes]) -> zipfile.ZipFile:
    try:
        start = file.tell()
        file.seek(start)
    except (OSError, AttributeError) as error:
        raise io.UnsupportedOperation(
            f"{error}. You can only torch.load from a file that is seekable. Please pre-load the data into a buffer like "
            "io.BytesIO and try to load from it instead."
        ) from None
    first = file.read(4)
    file.seek(start)
    if not first:
        raise EOFError("Ran out of input: the file is empty")
    if first != b"PK\x03\x04":
        old = first[:1] == pickle.PROTO
        raise RuntimeError(
            "Invalid magic number; corrupt file? "
            + (
                "This looks like a bare pickle or PyTorch's format from before version 1.6: load it with PyTorch and "
                "save it again."
                if old
                else f"A .pt file is a zip archive; this one starts with {first!r}."
            )
        )
    import zipfile  # 15 ms: loaded when it is needed

    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error) as error:
        raise RuntimeError(
            "PytorchStreamReader failed reading zip archive: failed finding central directory. The file is cut off or "
            f"damaged ({error})"
        ) from None


class _Reader:
    """Reads one archive."""

    def __init__(self, archive: zipfile.ZipFile, file: IO[bytes], map_location: Any, is_mapped: bool):
        self.archive, self.file, self.map_location, self.is_mapped = archive, file, map_location, is_mapped
        self.mapping: mmap.mmap | None = None  # of the whole file
        self.length = file.seek(0, os.SEEK_END)
        self.storages: dict[tuple[str, str | None], Storage] = {}
        self.memory: dict[tuple[str, str], Any] = {}  # by key and place
        names = archive.namelist()
        if not names:
            raise RuntimeError("PytorchStreamReader failed: the archive is empty")
        self.root = names[0].split("/")[0]
        if f"{self.root}/constants.pkl" in names:
            raise RuntimeError(
                "load: this file is a TorchScript archive (torch.jit.save), which holds a program, not tensors alone"
            )
        order = self._bytes("byteorder").decode() if f"{self.root}/byteorder" in names else sys.byteorder
        self.is_foreign = order != sys.byteorder

    def read(self) -> Any:
        data = self._bytes("data.pkl")
        try:
            return Unpickler(io.BytesIO(data), self.storage).load()
        except (pickle.UnpicklingError, RuntimeError):
            raise
        except Exception as error:  # a damaged pickle can fail in any way
            raise pickle.UnpicklingError(f"the pickle in the file is damaged: {error!r}") from error

    def _entry(self, name: str) -> zipfile.ZipInfo:
        try:
            return self.archive.getinfo(f"{self.root}/{name}")
        except KeyError:
            raise RuntimeError(
                f"PytorchStreamReader failed locating file {name}: file not found. This is a zip archive, but not one "
                "that save has written."
            ) from None

    def _bytes(self, name: str) -> bytes:
        return self._fill(self._entry(name)).tobytes()

    def _fill(self, entry: zipfile.ZipInfo) -> np.ndarray:
        """An entry's bytes, in memory of their own, checked by the archive's checksum."""
        from zipfile import BadZipFile

        is_plain = entry.compress_type == 0 and not entry.flag_bits & 1 and hasattr(self.file, "readinto")
        try:
            if is_plain and entry.file_size > self.length:
                raise EOFError("the file is cut off")
            data = np.empty(entry.file_size, np.uint8)
            done = self._read_plain(entry, data) if is_plain else self._read_packed(entry, data)
        except (BadZipFile, EOFError, OSError, ValueError, MemoryError, NotImplementedError, zlib.error) as error:
            raise RuntimeError(f"PytorchStreamReader failed reading file {entry.filename}: {error}") from None
        if done != len(data):
            raise RuntimeError(f"PytorchStreamReader failed reading file {entry.filename}: the file is cut off")
        return data

    def _read_plain(self, entry: zipfile.ZipInfo, data: np.ndarray) -> int:
        """Reads what is not packed straight to its place, and checks it while it is in cache: half of zipfile's time."""
        self.file.seek(self._start_of(entry))
        view, done, checksum = memoryview(data.data), 0, 0
        while count := self.file.readinto(view[done : done + _PIECE]):  # type: ignore[attr-defined]
            checksum = zlib.crc32(view[done : done + count], checksum)
            done += count
        if done == len(data) and checksum != entry.CRC:
            raise ValueError("Bad CRC-32: the file is damaged")
        return done

    def _read_packed(self, entry: zipfile.ZipInfo, data: np.ndarray) -> int:
        with self.archive.open(entry) as file:
            view, done = memoryview(data.data), 0
            while count := file.readinto(view[done:]):  # type: ignore[attr-defined]
                done += count
        return done

    def _start_of(self, entry: zipfile.ZipInfo) -> int:
        """Where an entry's bytes start in the file."""
        self.file.seek(entry.header_offset)
        header = self.file.read(30)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise EOFError("its place in the file is not where the directory says")
        return entry.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))

    # ------------------------------------------------------------ storages

    def storage(self, dtype: dtypes.dtype | None, key: str, device: str, count: int) -> Storage:
        """The storage of a key, the same one each time."""
        name = None if dtype is None else dtype.name
        found = self.storages.get((key, name))
        if found is None:
            found = self.storages[key, name] = self._read_storage(dtype, key, device, count)
        return found

    def _read_storage(self, dtype: dtypes.dtype | None, key: str, device: str, count: int) -> Storage:
        place = _placed(device, self.map_location)
        if place == "meta":
            return Storage(np.empty(0, np.uint8), dtype, "meta")
        if (key, "cpu") not in self.memory:
            entry = self._entry(f"data/{key}")
            can_map = self.is_mapped and entry.compress_type == 0 and entry.file_size
            data = self._mapped(entry) if can_map else self._fill(entry)
            self.memory[key, "cpu"] = self._native(data, dtype)
        data = self.memory[key, "cpu"]
        wanted = count * (1 if dtype is None else dtype.itemsize)
        if data.nbytes < wanted:
            raise RuntimeError(f"storage {key} has {data.nbytes} bytes where the pickle says {wanted}")
        place = self._placed_by_function(data, device) if place == "function" else place
        if (key, place) not in self.memory:
            self.memory[key, place] = numpy_arrays.to_device(data, devices.device(place))
        return Storage(self.memory[key, place], dtype, place)

    def _placed_by_function(self, data: np.ndarray, device: str) -> str:
        """Where a function wants a storage: where the one is that it gives back, or where it was if it gives none."""
        moved = self.map_location(UntypedStorage(data), device)
        return _placed(device, None) if moved is None else str(moved.device)

    def _native(self, data: np.ndarray, dtype: dtypes.dtype | None) -> np.ndarray:
        """The bytes in this machine's order."""
        if not self.is_foreign:
            return data
        if dtype is None:
            raise RuntimeError("untyped storages of another machine's byte order cannot be read")
        size = dtype.itemsize // (2 if dtype.is_complex else 1)
        return np.ascontiguousarray(data.reshape(-1, size)[:, ::-1]).reshape(-1)

    def _mapped(self, entry: zipfile.ZipInfo) -> np.ndarray:
        """An entry's bytes in the file, copied when they are written to."""
        try:
            start = self._start_of(entry)
            if start + entry.file_size > self.length:
                raise EOFError("the file is cut off")
        except EOFError as error:
            raise RuntimeError(f"PytorchStreamReader failed reading file {entry.filename}: {error}") from None
        if self.mapping is None:
            self.mapping = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_COPY)
        return np.ndarray((entry.file_size,), np.uint8, self.mapping, start)


def _placed(device: str, map_location: Any) -> str:
    """Where a storage of a device goes, by its name; "function" where a function says so.

    Raises:
        RuntimeError: to a device that is not here.
    """
    if isinstance(map_location, dict):
        map_location = map_location.get(device)
    elif callable(map_location) and not isinstance(map_location, devices.device):
        return "function"
    place = devices.device(map_location if map_location is not None else device)
    return str(_checked_gpu(place)) if place.type == "cuda" else place.type


def _checked_gpu(place: devices.device) -> devices.device:
    if not devices.has_gpu():
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are "
            "running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your "
            "storages to the CPU."
        )
    count = kinds.gpu().cupy.cuda.runtime.getDeviceCount()
    if place.index is not None and place.index >= count:
        raise RuntimeError(
            f"Attempting to deserialize object on CUDA device {place.index} but torch.cuda.device_count() is {count}. "
            "Please use torch.load with map_location to map your storages to an existing device."
        )
    return devices.on_gpu(place)
