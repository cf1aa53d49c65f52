"""Unpickler: builds what a `.pt` file's pickle describes, out of a fixed list of functions and classes.

A pickle is a program that names functions and calls them. This one finds nothing but what is in `_KNOWN`, each of which
makes tensors or plain containers; any other name is refused before anything is called.
"""

from __future__ import annotations

import _codecs
import math
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import IO, Any, ClassVar

import numpy as np

from rushlight import devices, dtypes
from rushlight.arrays import kinds
from rushlight.nn.parameter import Parameter
from rushlight.nn.registry import _empty_registry
from rushlight.ops.namespaces import creation_on
from rushlight.serialization import numpy_pickles, safe
from rushlight.serialization.names import DTYPE_OF
from rushlight.tensor import Size, Tensor, wrap

_DEEPEST = 1000  # tuples within tuples


class Storage:
    """Memory that tensors of a file share: bytes, on the CPU or a GPU, and the dtype if the file says which."""

    def __init__(self, data: Any, dtype: dtypes.dtype | None, device: str):
        self.data, self.dtype, self.device = data, dtype, device


def _noted(opcode: int) -> Callable[[Any], None]:
    """An opcode that makes a tuple, done by Python's unpickler, and then looked at."""
    make = pickle._Unpickler.dispatch[opcode]  # type: ignore[attr-defined]

    def load(unpickler: Any) -> None:
        make(unpickler)
        unpickler._note_tuple()

    return load


class Unpickler(pickle._Unpickler):  # type: ignore[name-defined]
    """Reads one object.

    It is Python's unpickler in Python: the one in C fills memory for whatever number of objects a damaged file names. What
    calls something, or sets attributes, is done here, and only for what is known or was allowed (`safe.py`).

    Args:
        file: the pickle.
        read_storage: gives a storage's memory by (dtype or None, key, device, number of elements).
    """

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file: IO[bytes], read_storage: Callable[[Any, str, str, int], Storage]):
        super().__init__(file, encoding="utf-8")
        self._read_storage = read_storage
        self._allowed = safe.by_name()
        self._callable = [*_KNOWN.values(), *self._allowed.values()]
        self._nesting: dict[int, tuple[int, Any]] = {}  # id of a tuple that holds tuples -> (its depth, the tuple)

    def find_class(self, module: str, name: str) -> Any:
        module = {"__builtin__": "builtins"}.get(module, module)
        full_name = f"{module}.{name}"
        if full_name in _KNOWN:
            return _KNOWN[full_name]
        if module == "torch" and name in DTYPE_OF:
            return _StorageType(DTYPE_OF[name])
        if module == "torch" and isinstance(found := getattr(dtypes, name, None), dtypes.dtype):
            return found
        if full_name in self._allowed:
            return self._allowed[full_name]
        raise pickle.UnpicklingError(
            f"Weights only load failed. Unsupported global: GLOBAL {full_name} was not an allowed global by default. "
            "load() builds tensors and plain containers and runs nothing that a file names. If you trust the file, allow "
            f"the name: torch.serialization.add_safe_globals([{name}]), or the torch.serialization.safe_globals context "
            "manager. Of a whole model that PyTorch saved, save the state_dict() with PyTorch."
        )

    def persistent_load(self, reference: Any) -> Storage:
        if not isinstance(reference, tuple) or len(reference) != 5 or reference[0] != "storage":
            raise pickle.UnpicklingError(f"unknown reference in the pickle: {reference!r}")
        _, kind, key, device, count = reference
        if not isinstance(kind, _StorageType) or type(key) is not str or type(count) is not int:
            raise pickle.UnpicklingError(f"malformed reference to a storage: {reference!r}")
        return self._read_storage(kind.dtype, key, str(device), count)

    # ------------------------------------------------------------ opcodes that need care

    def _called(self, function: Any, args: Any) -> Any:
        if not any(function is known for known in self._callable) or type(args) is not tuple:
            raise pickle.UnpicklingError(f"the pickle calls something that cannot be called: {type(function).__name__}")
        return function(*args)

    def load_reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self._called(self.stack[-1], args)

    def _instantiate(self, klass: Any, args: Any) -> None:
        self.append(self._called(klass, tuple(args)))

    def load_newobj(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self._new(self.stack[-1], args, {})

    def load_newobj_ex(self) -> None:
        options, args = self.stack.pop(), self.stack.pop()
        self.stack[-1] = self._new(self.stack[-1], args, options)

    def _new(self, cls: Any, args: Any, options: Any) -> Any:
        if not any(cls is allowed for allowed in self._allowed.values()) or not isinstance(cls, type):
            return self._called(cls, args)
        return cls.__new__(cls, *args, **options)

    def load_build(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if type(made) is OrderedDict and type(state) is dict:  # a state dict's _metadata
            made.__dict__.update(state)
        elif isinstance(made, (numpy_pickles.EmptyArray, numpy_pickles.UnorderedDType)):
            self._replace_last(made, made.built(state))
        elif any(type(made) is allowed for allowed in self._allowed.values()):
            self.stack.append(state)
            super().load_build()  # type: ignore[misc]
        else:
            raise pickle.UnpicklingError(
                f"the pickle sets attributes of an object that has none: {type(made).__name__}"
            )

    def _replace_last(self, made: Any, built: Any) -> None:
        """Puts what has been built in the place of what stood for it, where the pickle may ask for it again, too."""
        self.stack[-1] = built
        for place, value in self.memo.items():
            if value is made:
                self.memo[place] = built

    def _refuse(self) -> None:
        raise pickle.UnpicklingError("the pickle refers to the registry of extensions, which files of tensors never do")

    def _note_tuple(self) -> None:
        """Counts how deep tuples are: the hash of one that is too deep would overflow the stack, and kill the process."""
        made = self.stack[-1]
        depths = [self._nesting.get(id(item), (1,))[0] for item in made if type(item) is tuple]
        if depths:
            if max(depths) > _DEEPEST:
                raise pickle.UnpicklingError(f"the pickle nests tuples more than {_DEEPEST} deep")
            self._nesting[id(made)] = (1 + max(depths), made)

    dispatch |= {
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.BUILD[0]: load_build,
        pickle.TUPLE[0]: _noted(pickle.TUPLE[0]),
        pickle.TUPLE1[0]: _noted(pickle.TUPLE1[0]),
        pickle.TUPLE2[0]: _noted(pickle.TUPLE2[0]),
        pickle.TUPLE3[0]: _noted(pickle.TUPLE3[0]),
        pickle.EXT1[0]: _refuse,
        pickle.EXT2[0]: _refuse,
        pickle.EXT4[0]: _refuse,
    }


class _StorageType:
    """What "torch.FloatStorage" stands for: a dtype; None for untyped bytes."""

    def __init__(self, dtype: dtypes.dtype | None):
        self.dtype = dtype


# ---------------------------------------------------------------- what a pickle may call


def _tensor(
    storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], requires_grad: bool = False,
    backward_hooks: Any = None, metadata: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor on a storage, at an offset, with strides in elements."""
    if not isinstance(storage, Storage) or storage.dtype is None:
        raise pickle.UnpicklingError("a tensor without a typed storage")
    return _view(storage, storage.dtype, offset, size, stride, requires_grad)


def _tensor_with_dtype(
    storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], requires_grad: bool,
    backward_hooks: Any, dtype: Any, metadata: Any = None,
) -> Tensor:  # fmt: skip
    """The same on an untyped storage."""
    if not isinstance(storage, Storage) or not isinstance(dtype, dtypes.dtype):
        raise pickle.UnpicklingError("a tensor without a storage or without a dtype")
    return _view(storage, dtype, offset, size, stride, requires_grad)


def _view(storage: Storage, dtype: dtypes.dtype, offset: int, size: Any, stride: Any, requires_grad: Any) -> Tensor:
    size, stride = tuple(int(n) for n in size), tuple(int(n) for n in stride)
    if storage.device == "meta":
        return _meta_tensor(dtype, size, stride, requires_grad)
    itemsize = dtype.itemsize
    if len(size) != len(stride) or min((offset, *size, *stride)) < 0:
        raise pickle.UnpicklingError(f"malformed tensor: size {size}, stride {stride}, offset {offset}")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and (last + 1) * itemsize > storage.data.nbytes:
        raise pickle.UnpicklingError(
            f"a tensor reaches beyond its storage: size {size}, stride {stride}, offset {offset}, of "
            f"{storage.data.nbytes // itemsize} elements"
        )
    if 0 in size:
        array = creation_on(devices.device(storage.device)).full(size, 0, dtype.numpy)
    elif storage.device != "cpu":
        array = _on_gpu(_typed(storage, dtype), offset, size, stride)
    else:
        memory = _typed(storage, dtype)
        array = np.ndarray(size, dtype.numpy, memory, offset * itemsize, tuple(step * itemsize for step in stride))
    return _finished(wrap(array), requires_grad)


def _typed(storage: Storage, dtype: dtypes.dtype) -> Any:
    """The storage's memory as an array of a dtype, the same one each time: tensors on it share its owner."""
    count = storage.data.nbytes // dtype.itemsize
    return storage.data[: count * dtype.itemsize].view(dtype.numpy)


def _on_gpu(memory: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Any:
    """A view of memory of a GPU: where it can be, one that knows whose memory it is."""
    steps = [math.prod(size[i + 1 :]) for i in range(len(size))]
    if all(n == 1 or step == other for n, step, other in zip(size, stride, steps, strict=True)):
        return memory[offset : offset + math.prod(size)].reshape(size)
    return kinds.GPU.affine_view(memory, size, (offset,), tuple([(step,) for step in stride]))


def _finished(tensor: Tensor, requires_grad: Any) -> Tensor:
    if requires_grad:
        tensor.requires_grad = True
    return tensor


def _meta_tensor(dtype: dtypes.dtype, size: Any, stride: Any, requires_grad: Any = False) -> Tensor:
    from rushlight.ops.create import empty

    return _finished(empty(tuple(size), dtype=dtype, device="meta"), requires_grad)


def _parameter(data: Tensor, requires_grad: bool, backward_hooks: Any = None, state: Any = None) -> Parameter:
    if not isinstance(data, Tensor):
        raise pickle.UnpicklingError("a parameter without a tensor")
    return Parameter(data.detach(), requires_grad=bool(requires_grad))


def _tensor_with_state(function: Any, kind: Any, args: Any, state: Any) -> Tensor:
    """A tensor that had attributes of its own; they are left behind."""
    if function not in _MAKERS:
        raise pickle.UnpicklingError("a tensor made by something that makes no tensors")
    return function(*args)


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """Bytes, as protocol 2 has them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in an unknown encoding: {encoding!r}")
    return _codecs.encode(text, "latin1")


def _no_bytes() -> bytes:
    """Empty bytes, which protocol 2 has as a call of their class."""
    return b""


def _layout(name: str) -> str:
    return str(name)


_MAKERS = (_tensor, _tensor_with_dtype, _parameter, _meta_tensor)
_KNOWN: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "collections.Counter": Counter,
    "builtins.set": set,
    "builtins.complex": complex,
    "builtins.bytearray": bytearray,
    "builtins.bytes": _no_bytes,
    "_codecs.encode": _encoded,
    "rushlight.nn.registry._empty_registry": _empty_registry,
    "torch.Size": Size,
    "torch.device": devices.device,
    "torch.Tensor": Tensor,
    "torch.nn.parameter.Parameter": Parameter,
    "torch.storage.UntypedStorage": _StorageType(None),
    "torch.serialization._get_layout": _layout,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_with_dtype,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta_tensor,
    "torch._tensor._rebuild_from_type_v2": _tensor_with_state,
    **numpy_pickles.KNOWN,
}
