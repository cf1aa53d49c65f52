"""save: an object into a `.pt` file, PyTorch's zip archive of a pickle and the tensors' memory.

The whole is pickled before a file is opened: what cannot be saved shows before anything is written (`atomic.py`).
"""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from rushlight.serialization.atomic import replacing
from rushlight.serialization.pickling import Pickler

if TYPE_CHECKING:
    import zipfile

_ALIGNMENT = 64  # bytes: where memory starts in the file, so that it can be mapped


def save(
    obj: Any, f: Any, pickle_module: Any = None, pickle_protocol: int = 2, _use_new_zipfile_serialization: bool = True
) -> None:
    """Saves an object, such as a state dict. `torch.load` reads the file too.

    Args:
        obj: tensors, numbers, strings, and lists, tuples, dicts and sets of these. Objects of other classes, such as a whole
            model, are written too, but `load` makes them only of classes that were passed to `add_safe_globals`.
        f: a path, or a file open for writing bytes.

    Raises:
        TypeError: something in the object cannot be saved. RuntimeError: the folder does not exist.

    Example:
        >>> import io
        >>> import rushlight as torch
        >>> file = io.BytesIO()
        >>> save({"weight": torch.ones(2)}, file)
        >>> _ = file.seek(0)
        >>> torch.serialization.load(file)
        {'weight': tensor([1., 1.])}
    """
    pickler = Pickler()
    pickle = pickler.dump(obj)  # before anything is opened: what cannot be saved shows here
    if hasattr(f, "write"):
        _write(f, pickle, pickler.storages)
        return
    with replacing(f) as file:
        _write(file, pickle, pickler.storages)


def _write(file: IO[bytes], pickle: bytes, storages: dict[str, np.ndarray]) -> None:
    import zipfile  # 15 ms: loaded when it is needed

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "data.pkl", pickle)
        _add(archive, ".format_version", b"1")
        _add(archive, ".storage_alignment", str(_ALIGNMENT).encode())
        _add(archive, "byteorder", sys.byteorder.encode())
        for key, array in storages.items():
            _add(archive, f"data/{key}", array.ravel(order="K").view(np.uint8).data)
        _add(archive, "version", b"3\n")


def _add(archive: zipfile.ZipFile, name: str, data: bytes | memoryview) -> None:
    """Adds an entry whose data start at a multiple of the alignment: a field without meaning fills the gap."""
    from zipfile import ZipInfo, sizeFileHeader  # type: ignore[attr-defined]

    entry = ZipInfo(f"archive/{name}", (1980, 1, 1, 0, 0, 0))
    start = archive.fp.tell() + sizeFileHeader + len(entry.filename) + 4  # type: ignore[union-attr]
    padding = -start % _ALIGNMENT
    entry.extra = b"FB" + padding.to_bytes(2, "little") + bytes(padding)
    archive.writestr(entry, data)
