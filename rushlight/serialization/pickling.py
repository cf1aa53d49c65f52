"""Pickler: writes an object as PyTorch pickles it, in protocol 2, tensors by reference to their storages.

Tensors, parameters, dtypes, sizes, devices, plain containers, numbers and strings are what the reader can read by itself.
An object of another class is written by the name of its class, and read where that was said to be safe. Python's own pickler cannot be used: it imports what it names, and the names here are PyTorch's.
An object that occurs twice is written once, so that it is one object again after loading.
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
import types
from collections import Counter, OrderedDict
from typing import Any

import numpy as np

from rushlight import devices, dtypes
from rushlight.arrays import kinds
from rushlight.nn.parameter import Parameter
from rushlight.serialization import numpy_pickles
from rushlight.serialization.names import STORAGE_OF
from rushlight.tensor import Size, Tensor

_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)


class Pickler:
    """Pickles one object.

    Attributes:
        storages: after `dump`, the memory that the tensors share, each a contiguous array, by key ("0", "1", ...).
    """

    def __init__(self) -> None:
        self.storages: dict[str, np.ndarray] = {}
        self._out = io.BytesIO()
        self._memo: dict[int, int] = {}  # id of an object -> its place in the reader's memo
        self._alive: list[Any] = []  # so that ids stay those of the objects
        self._keys: dict[tuple[int, str], str] = {}  # (id of a memory's owner, dtype) -> key of the storage
        self._globals: dict[str, int] = {}
        self._num_memo = 0
        self._path: list[Any] = []

    def dump(self, value: Any) -> bytes:
        """The pickle of a value.

        Raises:
            TypeError: something in it cannot be saved, with where it is.
        """
        self._out.write(pickle.PROTO + b"\x02")
        self._save(value)
        self._out.write(pickle.STOP)
        return self._out.getvalue()

    def _save(self, value: Any) -> None:
        place = self._memo.get(id(value))
        if place is not None:
            self._get(place)
            return
        writer = _WRITERS.get(type(value))
        if writer is None:
            writer = self._writer_of_subclass(value)
        writer(self, value)

    def _writer_of_subclass(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return Pickler._save_parameter if isinstance(value, Parameter) else Pickler._save_tensor
        if isinstance(value, np.generic) and value.dtype.kind in "biufc":
            return lambda pickler, number: pickler._save(number.item())
        if isinstance(value, (np.ndarray, np.generic, np.dtype)):
            return Pickler._save_of_numpy
        return Pickler._save_named if isinstance(value, (type, *_FUNCTIONS)) else Pickler._save_object

    def _cannot_save(self, value: Any, hint: str) -> TypeError:
        where = "".join(f"[{step!r}]" for step in self._path)
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        return TypeError(f"save: cannot save {kind}" + (f", which is at {where}" if where else "") + f": {hint}")

    def _save_of_numpy(self, value: Any) -> None:
        """An array or a dtype, as NumPy pickles it."""
        dtype = value if isinstance(value, np.dtype) else value.dtype
        if dtype.kind not in numpy_pickles.KINDS or dtype.names or not isinstance(value, np.dtype | np.ndarray):
            raise self._cannot_save(value, "convert it with from_numpy()")
        reduced: Any = (np.asarray(value) if isinstance(value, np.ndarray) else value).__reduce__()
        _, args, state = reduced
        self._call("numpy.dtype" if value is dtype else "numpy._core.multiarray._reconstruct", *args)
        self._put(value)
        self._alive.append(state)
        self._save(state)
        self._out.write(pickle.BUILD)

    def _save_named(self, value: Any) -> None:
        """A class or function, by its name: `load` finds it only if it is said to be safe."""
        name = getattr(value, "__qualname__", "")
        found: Any = sys.modules.get(value.__module__ or "builtins")
        for step in name.split("."):
            found = getattr(found, step, None)
        if found is not value:
            raise self._cannot_save(
                value, f"{name or value!r} is no name at the top of a module, by which it could be found"
            )
        self._global(f"{value.__module__ or 'builtins'}.{name}")

    def _save_object(self, value: Any) -> None:
        """An object of another class, such as a whole model, in the way that its class has for pickling."""
        try:
            reduced = value.__reduce_ex__(2)
        except TypeError as error:
            raise self._cannot_save(value, str(error)) from None
        if isinstance(reduced, str):
            raise self._cannot_save(value, "it is known by a name only")
        function, args, state, items, pairs = (*reduced, None, None, None)[:5]
        is_new = getattr(function, "__name__", "") == "__newobj__"
        self._save(args[0] if is_new else function)
        self._save_tuple(tuple(args[1:] if is_new else args))
        self._out.write(pickle.NEWOBJ if is_new else pickle.REDUCE)
        self._put(value)
        self._alive.append(reduced)
        if items is not None:
            self._out.write(pickle.MARK)
            for i, item in enumerate(items):
                self._save_at(i, item)
            self._out.write(pickle.APPENDS)
        if pairs is not None:
            self._save_items(dict(pairs))
        if state is not None:
            self._save(state)
            self._out.write(pickle.BUILD)

    # ------------------------------------------------------------ the memo

    def _put(self, value: Any) -> None:
        """Remembers the value just written."""
        self._memo[id(value)] = self._num_memo
        self._alive.append(value)
        self._put_number()

    def _put_number(self) -> None:
        n = self._num_memo
        self._out.write(pickle.BINPUT + bytes([n]) if n < 256 else pickle.LONG_BINPUT + struct.pack("<I", n))
        self._num_memo += 1

    def _get(self, place: int) -> None:
        small = place < 256
        self._out.write(pickle.BINGET + bytes([place]) if small else pickle.LONG_BINGET + struct.pack("<I", place))

    def _global(self, name: str) -> None:
        """A function or class, such as "torch._utils._rebuild_tensor_v2"."""
        if name in self._globals:
            self._get(self._globals[name])
            return
        module, _, attribute = name.rpartition(".")
        self._out.write(pickle.GLOBAL + f"{module}\n{attribute}\n".encode())
        self._globals[name] = self._num_memo
        self._put_number()

    # ------------------------------------------------------------ plain values

    def _save_none(self, value: None) -> None:
        self._out.write(pickle.NONE)

    def _save_bool(self, value: bool) -> None:
        self._out.write(pickle.NEWTRUE if value else pickle.NEWFALSE)

    def _save_int(self, value: int) -> None:
        if 0 <= value < 256:
            self._out.write(pickle.BININT1 + bytes([value]))
        elif -(2**31) <= value < 2**31:
            self._out.write(pickle.BININT + struct.pack("<i", value))
        else:
            data = pickle.encode_long(value)
            self._out.write(pickle.LONG1 + bytes([len(data)]) + data)

    def _save_float(self, value: float) -> None:
        self._out.write(pickle.BINFLOAT + struct.pack(">d", value))

    def _save_complex(self, value: complex) -> None:
        self._call("__builtin__.complex", value.real, value.imag)

    def _save_str(self, value: str) -> None:
        data = value.encode("utf-8", "surrogatepass")
        self._out.write(pickle.BINUNICODE + struct.pack("<I", len(data)) + data)
        self._put(value)

    def _save_bytes(self, value: bytes) -> None:
        self._call("_codecs.encode", value.decode("latin1"), "latin1")
        self._put(value)

    # ------------------------------------------------------------ containers

    def _save_tuple(self, value: tuple[Any, ...]) -> None:
        self._out.write(pickle.MARK)
        for i, item in enumerate(value):
            self._save_at(i, item)
        self._out.write(pickle.TUPLE)
        self._put(value)

    def _save_list(self, value: list[Any]) -> None:
        self._out.write(pickle.EMPTY_LIST)
        self._put(value)
        self._out.write(pickle.MARK)
        for i, item in enumerate(value):
            self._save_at(i, item)
        self._out.write(pickle.APPENDS)

    def _save_dict(self, value: dict[Any, Any]) -> None:
        self._out.write(pickle.EMPTY_DICT)
        self._put(value)
        self._save_items(value)

    def _save_ordered_dict(self, value: OrderedDict[Any, Any]) -> None:
        self._call("collections.OrderedDict")
        self._put(value)
        self._save_items(value)
        if value.__dict__:  # a state dict's _metadata
            self._save(value.__dict__)
            self._out.write(pickle.BUILD)

    def _save_counter(self, value: Counter[Any]) -> None:
        self._call("collections.Counter", dict(value))
        self._put(value)

    def _save_set(self, value: set[Any]) -> None:
        self._call("__builtin__.set", list(value))
        self._put(value)

    def _save_items(self, value: dict[Any, Any]) -> None:
        self._out.write(pickle.MARK)
        for key, item in value.items():
            self._save(key)
            self._save_at(key, item)
        self._out.write(pickle.SETITEMS)

    def _save_at(self, step: Any, item: Any) -> None:
        self._path.append(step)
        self._save(item)
        self._path.pop()

    def _call(self, name: str, *args: Any) -> None:
        """A call, made when the file is read."""
        self._global(name)
        if args:
            self._out.write(pickle.MARK)
            for arg in args:
                self._save(arg)
            self._out.write(pickle.TUPLE)
            self._alive.extend(args)
        else:
            self._out.write(pickle.EMPTY_TUPLE)
        self._out.write(pickle.REDUCE)

    # ------------------------------------------------------------ tensors and what belongs to them

    def _save_size(self, value: Size) -> None:
        self._call("torch.Size", tuple(value))
        self._put(value)

    def _save_dtype(self, value: dtypes.dtype) -> None:
        self._global(f"torch.{value.name}")

    def _save_device(self, value: devices.device) -> None:
        self._call("torch.device", *([value.type] if value.index is None else [value.type, value.index]))

    def _save_parameter(self, value: Parameter) -> None:
        self._global("torch._utils._rebuild_parameter")
        self._out.write(pickle.MARK)
        self._save_array(value, requires_grad=False)
        self._save_bool(value.requires_grad)
        self._call("collections.OrderedDict")
        self._out.write(pickle.TUPLE + pickle.REDUCE)
        self._put(value)

    def _save_tensor(self, value: Tensor) -> None:
        self._save_array(value, value.requires_grad)
        self._put(value)

    def _save_array(self, tensor: Tensor, requires_grad: bool) -> None:
        if tensor.is_meta:
            self._call(
                "torch._utils._rebuild_meta_tensor_no_storage",
                tensor.dtype, tuple(tensor.shape), _row_strides(tensor.shape), requires_grad,
            )  # fmt: skip
            return
        array = tensor._array if tensor.is_cuda else tensor._data("save()")
        owner = memory_of(array)
        if owner is None:
            array = owner = array.astype(array.dtype.newbyteorder("="), order="C", copy=True)
        typed = tensor.dtype.name in STORAGE_OF
        self._global("torch._utils._rebuild_tensor_v2" if typed else "torch._utils._rebuild_tensor_v3")
        self._out.write(pickle.MARK)
        self._save_storage(owner, tensor.dtype, str(tensor.device))
        self._save_int((_address(array) - _address(owner)) // array.itemsize if array.size else 0)
        self._save(tuple(array.shape))
        strides = tuple(stride // array.itemsize for stride in array.strides)
        self._save(strides if array.size else _row_strides(array.shape))
        self._save_bool(requires_grad)
        self._call("collections.OrderedDict")
        if not typed:
            self._save_dtype(tensor.dtype)
        self._out.write(pickle.TUPLE + pickle.REDUCE)

    def _save_storage(self, owner: Any, dtype: dtypes.dtype, device: str) -> None:
        """A reference to memory that is written beside the pickle."""
        key = self._keys.get((id(owner), dtype.name))
        if key is None:
            key = self._keys[id(owner), dtype.name] = str(len(self.storages))
            self.storages[key] = owner if device == "cpu" else kinds.GPU.to_host(kinds.GPU.memory(owner))
            self._alive.append(owner)
        name = STORAGE_OF.get(dtype.name)
        self._out.write(pickle.MARK)
        self._save("storage")
        self._global(f"torch.{name}" if name else "torch.storage.UntypedStorage")
        for part in (key, device, owner.nbytes // dtype.itemsize if name else owner.nbytes):
            self._save(part)
        self._out.write(pickle.TUPLE + pickle.BINPERSID)


_WRITERS: dict[type, Any] = {
    type(None): Pickler._save_none, bool: Pickler._save_bool, int: Pickler._save_int, float: Pickler._save_float,
    complex: Pickler._save_complex, str: Pickler._save_str, bytes: Pickler._save_bytes, tuple: Pickler._save_tuple,
    list: Pickler._save_list, dict: Pickler._save_dict, OrderedDict: Pickler._save_ordered_dict,
    Counter: Pickler._save_counter, set: Pickler._save_set, Size: Pickler._save_size,
    dtypes.dtype: Pickler._save_dtype, devices.device: Pickler._save_device, Tensor: Pickler._save_tensor,
    Parameter: Pickler._save_parameter,
}  # fmt: skip


def memory_of(array: Any) -> Any:
    """The array that owns the memory of another, if a storage can stand for it: in whole elements, none backwards."""
    owner, itemsize = array, array.itemsize
    kind = np.ndarray if isinstance(array, np.ndarray) else type(array)
    while isinstance(owner.base, kind):
        owner = owner.base
    in_elements = all(stride >= 0 and stride % itemsize == 0 for stride in array.strides)
    if not array.dtype.isnative or not in_elements or not _is_dense(owner):
        return None
    return owner if (_address(array) - _address(owner)) % itemsize == 0 else None


def _is_dense(array: Any) -> bool:
    """Whether the elements fill the memory from the first to the last, in whatever order of axes."""
    expected = array.itemsize
    for stride, size in sorted((s, n) for s, n in zip(array.strides, array.shape, strict=True) if n != 1):
        if stride != expected:
            return array.size == 0
        expected *= size
    return True


def _address(array: Any) -> int:
    return array.__array_interface__["data"][0] if isinstance(array, np.ndarray) else array.data.ptr


def _row_strides(shape: Any) -> tuple[int, ...]:
    strides, step = [], 1
    for n in reversed(tuple(shape)):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))
