"""Where a tensor's elements lie: their order in memory, the memory itself, and tensors given other memory."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import devices, dtypes, layouts
from rushlight.arrays import kinds
from rushlight.arrays.kinds import Abstract, device_of
from rushlight.arrays.sparse import SparseArray
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd.history import cell_of, note_write
from rushlight.ops import create, views as ops
from rushlight.tensor import Tensor, wrap

# ---------------------------------------------------------------- the order of elements

_LAST = {"channels_last": (0, 2, 3, 1), "channels_last_3d": (0, 2, 3, 4, 1)}


def _order(ndim: int, memory_format: Any) -> tuple[int, ...] | None:
    """The dimensions in the order of a memory format, the outermost first; None for the usual one."""
    order = _LAST.get(getattr(memory_format, "name", ""))
    if order is not None and len(order) != ndim:
        raise RuntimeError(f"required rank {len(order)} tensor to use {memory_format.name} format")
    return order


def is_contiguous(self: Tensor, memory_format: Any = layouts.contiguous_format) -> bool:
    """Whether elements lie in memory without gaps, in the order of dimensions or of another format."""
    array, order = self._array, _LAST.get(getattr(memory_format, "name", ""))
    if type(array) is SymbolicArray:
        return order is None
    if type(array) is not ndarray:  # inside a transform
        axes = order or range(array.ndim)
        return len(axes) == array.ndim and _is_dense(
            [array.shape[i] for i in axes], [array.strides[i] for i in axes], array.itemsize
        )
    if order is None:
        return array.flags.c_contiguous
    return len(order) == array.ndim and array.transpose(order).flags.c_contiguous


def _is_dense(shape: list[int], strides: list[int], itemsize: int) -> bool:
    """Whether elements of that size follow each other without gaps, the last dimension's the quickest."""
    expected = itemsize
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return True


def contiguous(self: Tensor, memory_format: Any = layouts.contiguous_format) -> Tensor:
    """The tensor itself if its elements lie in order in memory, else a copy where they do."""
    order = _order(self.ndim, memory_format)
    return self if is_contiguous(self, memory_format) else _ordered(self, order)


def _ordered(x: Tensor, order: tuple[int, ...] | None) -> Tensor:
    """A copy with dimensions in an order in memory."""
    if order is None or type(x._array) is SymbolicArray:
        return ops.contiguous(x)
    back = tuple([order.index(axis) for axis in range(len(order))])
    return ops.permute(ops.contiguous(ops.permute(x, axes=order)), axes=back)


def clone(input: Tensor, *, memory_format: Any = layouts.preserve_format) -> Tensor:
    """A copy that autograd follows, in the same order of elements unless another is given."""
    if memory_format is None or memory_format is layouts.preserve_format:
        array = input._array
        overlaps = type(array) is ndarray and 0 in array.strides and not array.flags.c_contiguous
        return ops.contiguous(input) if overlaps else ops.clone(input)
    return _ordered(input, _order(input.ndim, memory_format))


def dim_order(self: Tensor, *, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dimensions from the outermost in memory to the innermost.

    Raises:
        RuntimeError: with `ambiguity_check`, if another order describes the memory as well.
    """
    strides, shape = self.stride(), self.shape
    order = sorted(range(self.ndim), key=lambda axis: -strides[axis])
    if ambiguity_check:
        apart = [strides[axis] for axis in order if shape[axis] != 1]
        if len(set(apart)) != len(apart) or len(apart) != self.ndim:
            raise RuntimeError(
                "The tensor does not have unique dim order, or cannot map to exact one of the given memory formats."
            )
    return tuple(order)


# ---------------------------------------------------------------- the memory


def _owner(array: Any) -> Any:
    """The array whose memory this one shows a part of."""
    kind = array.__class__
    while True:
        base = array.base
        if not isinstance(base, kind):
            base = getattr(base, "base", None)  # what NumPy's as_strided puts in between
        if not isinstance(base, kind):
            return array
        array = base


def _bytes_of(array: Any) -> Any:
    """The bytes from the first element of an array to its last."""
    if array.__class__ is not ndarray:
        with_bytes: Any = kinds.GPU.memory(array)
        return with_bytes
    if not array.size:
        return np.empty(0, np.uint8)
    corner = array[tuple([slice(0, 1) if step >= 0 else slice(-1, None) for step in array.strides])]
    low, high = np.lib.array_utils.byte_bounds(array)
    as_bytes = corner.reshape(-1).view(np.uint8)
    return np.lib.stride_tricks.as_strided(as_bytes, (high - low,), (1,), writeable=array.flags.writeable)


def _as_tensor(array: Any) -> Tensor:
    """For reading and writing memory of any kind."""
    tensor: Tensor = wrap(array)
    return tensor


def _with_memory(x: Tensor, what: str) -> Any:
    """The array of a tensor that has memory, on the CPU or a GPU."""
    return x._array if x.is_cuda and not isinstance(x._array, Abstract) else x._data(what)


class UntypedStorage:
    """The memory that a tensor and its views share, as bytes."""

    def __init__(self, array: Any = None, owner: Any = None):
        self._bytes: Any = np.empty(0, np.uint8) if array is None else array
        self._owner = owner

    def data_ptr(self) -> int:
        return _as_tensor(self._bytes).data_ptr() if self._bytes.size else 0

    _cdata = property(data_ptr)

    def nbytes(self) -> int:
        return self._bytes.size

    size = __len__ = nbytes

    def element_size(self) -> int:
        return 1

    @property
    def device(self) -> devices.device:
        return device_of(self._bytes)

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    def to(self, *, device: Any, non_blocking: bool = False) -> UntypedStorage:
        """A copy on another device; itself if it is there."""
        place = devices.require(device)
        return self if place == self.device else UntypedStorage(_as_tensor(self._bytes).to(place)._array)

    def cuda(self, device: Any = None, non_blocking: bool = False) -> UntypedStorage:
        """On a GPU."""
        return self.to(device="cuda" if device is None else device)

    def cpu(self) -> UntypedStorage:
        """On the CPU."""
        return self.to(device="cpu")

    def get_device(self) -> int:
        """The number of the GPU; -1 on the CPU."""
        return -1 if self.device.index is None else self.device.index

    def tolist(self) -> list[int]:
        return self._bytes.tolist()

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def __getitem__(self, index: Any) -> Any:
        found = self._bytes[index]
        return UntypedStorage(found, self._owner) if isinstance(index, slice) else int(found)

    def __setitem__(self, index: Any, value: int) -> None:
        _as_tensor(self._bytes)[index] = value

    def fill_(self, value: int) -> UntypedStorage:
        _as_tensor(self._bytes).fill_(value)
        return self

    def copy_(self, source: UntypedStorage, non_blocking: bool | None = None) -> UntypedStorage:
        _as_tensor(self._bytes).copy_(_as_tensor(source._bytes))
        return self

    def clone(self) -> UntypedStorage:
        return UntypedStorage(self._bytes.copy())

    def is_shared(self) -> bool:
        return _is_shared(self._bytes)

    def __repr__(self) -> str:
        lines = "".join(f" {value}\n" for value in self.tolist())
        return f"{lines}[torch.storage.UntypedStorage(device={self.device}) of size {self.nbytes()}]"


class TypedStorage:
    """The memory that a tensor and its views share, as elements of the tensor's dtype."""

    def __init__(self, untyped: UntypedStorage, dtype: dtypes.dtype):
        self._untyped_storage, self.dtype = untyped, dtype
        self._array = untyped._bytes[: untyped.nbytes() // dtype.itemsize * dtype.itemsize].view(dtype.numpy)

    def untyped(self) -> UntypedStorage:
        return self._untyped_storage

    def data_ptr(self) -> int:
        return self._untyped_storage.data_ptr()

    def nbytes(self) -> int:
        return self._untyped_storage.nbytes()

    def size(self) -> int:
        return self._array.size

    __len__ = size

    def element_size(self) -> int:
        return self.dtype.itemsize

    @property
    def device(self) -> devices.device:
        return self._untyped_storage.device

    @property
    def is_cuda(self) -> bool:
        return self._untyped_storage.is_cuda

    def cuda(self, device: Any = None, non_blocking: bool = False) -> TypedStorage:
        """On a GPU."""
        return TypedStorage(self._untyped_storage.cuda(device), self.dtype)

    def cpu(self) -> TypedStorage:
        """On the CPU."""
        return TypedStorage(self._untyped_storage.cpu(), self.dtype)

    def tolist(self) -> list[Any]:
        return _as_tensor(self._array).tolist()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        return _as_tensor(self._array)[index].item()

    def __setitem__(self, index: Any, value: Any) -> None:
        _as_tensor(self._array)[index] = value

    def fill_(self, value: Any) -> TypedStorage:
        _as_tensor(self._array).fill_(value)
        return self

    def __repr__(self) -> str:
        lines = "".join(f" {value}\n" for value in self.tolist())
        return f"{lines}[torch.storage.TypedStorage(dtype={self.dtype}, device={self.device}) of size {self.size()}]"


def untyped_storage(self: Tensor) -> UntypedStorage:
    """The bytes of the memory that this tensor shares with its views."""
    owner = _owner(_with_memory(self, "untyped_storage()"))
    return UntypedStorage(_bytes_of(owner), owner)


def storage(self: Tensor) -> TypedStorage:
    """The elements of the memory that this tensor shares with its views."""
    return TypedStorage(untyped_storage(self), self.dtype)


def storage_offset(self: Tensor) -> int:
    """How many elements of the memory lie before this tensor's first."""
    array = self._array
    if isinstance(array, Abstract):  # of the first example, or of the value
        return storage_offset(array.inner if hasattr(array, "inner") else array.primal)
    if type(array) is SymbolicArray or array.base is None:
        return 0
    owner = _owner(array)
    first = np.lib.array_utils.byte_bounds(owner)[0] if type(owner) is ndarray else owner.data.ptr
    return (self.data_ptr() - first) // array.dtype.itemsize


def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both show the same memory in the same way."""
    mine, others = _with_memory(self, "is_set_to()"), _with_memory(tensor, "is_set_to()")
    is_same = mine.shape == others.shape and mine.strides == others.strides
    return is_same and self.data_ptr() == tensor.data_ptr()


def _is_shared(array: ndarray) -> bool:
    return isinstance(getattr(_owner(array).base, "obj", _owner(array).base), mmap.mmap)


def is_shared(self: Tensor) -> bool:
    """Whether forked processes see the same memory."""
    return self.is_cuda or _is_shared(self._data("is_shared()"))


def share_memory_(self: Tensor) -> Tensor:
    """Moves the elements to memory that forked processes share. Views made before stay where they were; so does a GPU's."""
    if self.is_cuda:
        return self
    array = self._data("share_memory_()")
    if not _is_shared(array):
        memory = np.frombuffer(mmap.mmap(-1, max(array.nbytes, 1)), array.dtype, array.size).reshape(array.shape)
        memory[...] = array
        self._array = memory
    return self


# ---------------------------------------------------------------- other memory


def _require_no_grad(self: Tensor, what: str) -> None:
    if self._needs_grad:
        raise RuntimeError(what)


def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Another shape for the elements as they lie in memory; what is added has no set values.

    Raises:
        RuntimeError: this tensor requires gradients.
    """
    _require_no_grad(self, "cannot resize variables that require grad")
    shape, array = create.shape_of(sizes), _with_memory(self, "resize_()")
    count, offset = math.prod(shape), storage_offset(self) * array.dtype.itemsize
    room = _bytes_of(_owner(array))[offset:]
    flat = room[: room.size // array.dtype.itemsize * array.dtype.itemsize].view(array.dtype)
    if count > flat.size:
        larger = create.empty(count, dtype=self.dtype, device=self.device)
        larger[: flat.size] = _as_tensor(flat)
        flat, self._view = larger._array, None
    self._array = flat[:count].reshape(shape)
    note_write(self, "resize_")
    return self


def resize_as_(self: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """`resize_` to the shape of another tensor."""
    return resize_(self, the_template.shape)


def set_(self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None) -> Tensor:
    """Shows the memory of another tensor, or of a storage by offset, sizes and strides, from now on.

    Raises:
        RuntimeError: a tensor of another dtype.
    """
    if source is None:
        source = create.empty(0, dtype=self.dtype, device=self.device)
    if not isinstance(source, Tensor):
        source = _of_storage(source, self._array.dtype, storage_offset, size, stride)
    elif size is not None:
        source = _of_storage(untyped_storage(source), self._array.dtype, storage_offset, size, stride)
    if source._array.dtype != self._array.dtype:
        names = {"float32": "float", "float64": "double", "int64": "long int", "int32": "int"}
        given, own = (names.get(x._array.dtype.name, x._array.dtype.name) for x in (source, self))
        raise RuntimeError(f"Could not set tensor of type {given} to a tensor of type {own}")
    self._array, self._cell, self._view = source._array, cell_of(source), source._view
    return self


def _of_storage(storage: Any, dtype: np.dtype, offset: int, size: Any, stride: Any) -> Tensor:
    flat = (storage._untyped_storage if isinstance(storage, TypedStorage) else storage)._bytes
    elements = flat[: flat.size // dtype.itemsize * dtype.itemsize].view(dtype)[offset:]
    if size is None:
        return wrap(elements)
    shape = tuple(size)
    steps = [math.prod(shape[i + 1 :]) for i in range(len(shape))] if stride is None else tuple(stride)
    last = sum(step * (n - 1) for n, step in zip(shape, steps, strict=True))
    if 0 not in shape and last >= elements.size:
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(steps)}, storage offset {offset}, and itemsize "
            f"{dtype.itemsize} requiring a storage size of {(offset + last + 1) * dtype.itemsize} are out of bounds for "
            f"storage of size {flat.size}"
        )
    if type(elements) is not ndarray:
        along = [(step,) for step in steps]
        return wrap(kinds.GPU.affine_view(elements, shape, (0,), along))
    return wrap(np.lib.stride_tricks.as_strided(elements, shape, [step * dtype.itemsize for step in steps]))


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """A copy in pinned memory, which a GPU reads by itself while the program goes on; or the tensor, if it is there already.

    Raises:
        RuntimeError: there is no GPU, or the tensor is not on the CPU.
    """
    from rushlight.cuda import devices as gpus, pinned

    if not gpus.is_available():
        raise RuntimeError("Cannot access accelerator device when none is available.")
    array = self._array
    if type(array) is not ndarray:
        raise RuntimeError(f"cannot pin '{self.type()}' only dense CPU tensors can be pinned")
    return self if pinned.is_pinned(array) else wrap(pinned.pinned_copy(array))


def record_stream(self: Tensor, stream: Any) -> None:
    """Says that work queued on a stream uses this tensor's memory: it is not used again before that work is done.

    For memory that is used on another stream than the one that was current when the tensor was made, and may be freed
    while that stream is still at work.

    Raises:
        NotImplementedError: the tensor is not on a GPU. RuntimeError: no stream.
    """
    from rushlight.cuda import lent
    from rushlight.cuda.streams import Stream

    if not self.is_cuda:
        raise NotImplementedError(
            f"Could not run 'aten::record_stream' with arguments from the '{self.device.type.upper()}' backend."
        )
    if not isinstance(stream, Stream):
        raise RuntimeError(f"record_stream(): unknown parameter type: {type(stream).__name__}, not a torch.cuda.Stream")
    array = self._array
    for part in (array.indices, array.values) if type(array) is SparseArray else (array,):
        lent.lend(part.data.mem, stream)


def is_same_size(self: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape."""
    return self._array.shape == other._array.shape
