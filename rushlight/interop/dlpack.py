"""DLPack: tensors to and from other libraries on the same memory.

NumPy speaks the protocol; this file adds what it lacks. bfloat16 travels as uint16 with one byte of the exchanged
structure changed, in both directions.
"""

from __future__ import annotations

import ctypes
import enum
from typing import Any

import numpy as np

from rushlight import devices, dtypes
from rushlight.arrays import kinds
from rushlight.ops.create import from_numpy
from rushlight.tensor import Tensor, wrap

DLDeviceType = enum.IntEnum(  # the device numbers of dlpack.h
    "DLDeviceType",
    {
        "kDLCPU": 1, "kDLCUDA": 2, "kDLCUDAHost": 3, "kDLOpenCL": 4, "kDLVulkan": 7, "kDLMetal": 8, "kDLVPI": 9,
        "kDLROCM": 10, "kDLROCMHost": 11, "kDLExtDev": 12, "kDLCUDAManaged": 13, "kDLOneAPI": 14, "kDLWebGPU": 15,
        "kDLHexagon": 16, "kDLMAIA": 17,
    },
)  # fmt: skip


# ---------------------------------------------------------------- out


def export(
    self: Tensor, *, stream: int | None = None, max_version: tuple[int, int] | None = None,
    dl_device: tuple[Any, int] | None = None, copy: bool | None = None,
) -> Any:  # fmt: skip
    """A capsule with the tensor's memory, which another library's `from_dlpack` takes over.

    Raises:
        BufferError: the tensor requires gradients, has no data, or cannot be had without a copy if `copy=False`.
    """
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if self.device.type == "meta":
        raise BufferError("Cannot pack tensors on meta")
    if stream is not None and type(stream) is not int:
        raise TypeError("stream must be ``int`` or ``none``")
    if self.is_cuda:
        return _export_from_gpu(self, stream, max_version, dl_device, copy)
    if stream not in (None, -1):
        raise AssertionError("stream should be None on cpu.")
    if dl_device is not None and dl_device[0] != DLDeviceType.kDLCPU:
        raise BufferError(f"Cannot export a CPU tensor to DLPack device {tuple(dl_device)}")
    array = self._data("__dlpack__()")
    if not array.dtype.isnative:
        raise BufferError("DLPack only supports native byte order.")
    return _capsule(array, max_version=max_version, dl_device=dl_device, copy=copy)


def _capsule(array: Any, **options: Any) -> Any:
    is_bfloat16 = array.dtype == dtypes.bfloat16.numpy
    capsule = (array.view(np.uint16) if is_bfloat16 else array).__dlpack__(**options)
    if is_bfloat16:
        _type_code(capsule).value = _BFLOAT
    return capsule


def _export_from_gpu(x: Tensor, stream: int | None, max_version: Any, dl_device: Any, copy: bool | None) -> Any:
    """By CuPy, which also makes the other library's stream wait for ours."""
    current = kinds.gpu().cupy.cuda.runtime.getDevice()
    if x.device.index != current:
        raise BufferError(
            "Can't export tensors on a different CUDA device index. "
            f"Expected: {x.device.index}. Current device: {current}."
        )
    return _capsule(x._array, stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)


def device_of(self: Tensor) -> tuple[DLDeviceType, int]:
    """(device type, index) in DLPack's numbers."""
    if self.device.type == "meta":
        raise ValueError("Unknown device type meta for Dlpack")
    return (DLDeviceType.kDLCUDA, self.get_device()) if self.is_cuda else (DLDeviceType.kDLCPU, 0)


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule for libraries that take one: `tensor.__dlpack__()`, of a tensor that requires gradients detached."""
    return export(tensor.detach())


# ---------------------------------------------------------------- in


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of another library's array (anything with `__dlpack__`), or of a DLPack capsule.

    Args:
        device: where the tensor is to be; it is copied there, if the memory is elsewhere.
        copy: True for a copy, False to raise rather than copy, None to copy if necessary.

    Raises:
        BufferError: memory that cannot be shared: on another device, of a dtype without counterpart.
        RuntimeError: no such object, or a capsule that was used before.

    Example:
        >>> import numpy as np
        >>> import rushlight as torch
        >>> torch.from_dlpack(np.arange(3))
        tensor([0, 1, 2])
    """
    if device is not None:
        here = from_dlpack(ext_tensor, copy=copy)
        return here.to(devices.require(device))
    if hasattr(ext_tensor, "__dlpack__"):
        if ext_tensor.__dlpack_device__()[0] in _GPU:
            return _of_gpu(ext_tensor, copy)
        source = _Producer(*_capsule_of(ext_tensor, copy), device=tuple(ext_tensor.__dlpack_device__()))
    elif type(ext_tensor).__name__ == "PyCapsule":
        source = _Producer(ext_tensor, copies=False, device=_device_in(ext_tensor))
        if source.device[0] in _GPU:
            return _of_gpu(source, copy)
    else:
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you "
            f"might have already constructed a tensor from it once. (got {type(ext_tensor).__name__})"
        )
    if source.device[0] not in (DLDeviceType.kDLCPU, DLDeviceType.kDLCUDAHost):
        raise BufferError(f"cannot use memory on DLPack device {source.device}: rushlight computes on the CPU here")
    code, is_legacy = _type_code(source.capsule), _get_name(source.capsule) == b"dltensor"
    is_bfloat16 = code.value == _BFLOAT
    if is_bfloat16:
        code.value = _UNSIGNED
    array = np.from_dlpack(source)
    if is_legacy:
        array = np.asarray(_Writable(array))
    if is_bfloat16:
        array = array.view(dtypes.bfloat16.numpy)
    if copy and not source.copies:
        array = array.copy()
    return from_numpy(array) if array.flags.writeable else wrap(array)


_GPU = (DLDeviceType.kDLCUDA, DLDeviceType.kDLCUDAManaged)


def _of_gpu(producer: Any, copy: bool | None) -> Tensor:
    """A tensor on the memory of a GPU. bfloat16, which CuPy takes from nobody, comes as integers."""
    place = tuple(producer.__dlpack_device__())
    if not devices.has_gpu():
        raise BufferError(f"cannot use memory on DLPack device {place}: there is no GPU here that could be used")
    cupy = kinds.gpu().cupy
    with cupy.cuda.Device(place[1]):
        capsule = producer.__dlpack__()
        code = _type_code(capsule)
        is_bfloat16 = code.value == _BFLOAT
        if is_bfloat16:
            code.value = _UNSIGNED
        array = cupy.from_dlpack(_Producer(capsule, copies=False, device=place))
        array = array.view(dtypes.bfloat16.numpy) if is_bfloat16 else array
        tensor: Tensor = wrap(array.copy() if copy else array)
        return tensor


def _capsule_of(producer: Any, copy: bool | None) -> tuple[Any, bool]:
    """(the producer's capsule, whether it has seen to `copy`): producers of before DLPack 1.0 know no arguments."""
    arguments = {"max_version": (1, 0)} | ({} if copy is None else {"copy": copy})
    try:
        return producer.__dlpack__(**arguments), copy is not None
    except TypeError:
        return producer.__dlpack__(), False


class _Producer:
    """What `np.from_dlpack` asks: an object that hands out a capsule."""

    def __init__(self, capsule: Any, copies: bool, device: tuple[Any, int]):
        self.capsule, self.copies, self.device = capsule, copies, device

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[Any, int]:
        return self.device if self.device[0] in _GPU else (DLDeviceType.kDLCPU, 0)


class _Writable:
    """An array's memory as writable: before DLPack 1.0 nothing says that it is, and NumPy takes it for read-only."""

    def __init__(self, array: np.ndarray):
        self.owner, interface = array, array.__array_interface__
        self.__array_interface__ = interface | {"data": (interface["data"][0], False)}


# ---------------------------------------------------------------- the exchanged structure

_UNSIGNED, _BFLOAT = 1, 4  # DLDataTypeCode
# Where dtype.code lies, on a 64-bit machine. DLTensor: data (8 bytes), device (4 + 4), ndim (4), dtype. Versioned ones
# have before it version (4 + 4), manager_ctx (8), deleter (8), flags (8).
_CODE_AT = {b"dltensor": 20, b"dltensor_versioned": 32 + 20}

_get_name, _get_pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
_get_name.restype, _get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
_get_pointer.restype, _get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _device_in(capsule: Any) -> tuple[Any, int]:
    """(device type, index) in a capsule's structure."""
    at = ctypes.addressof(_type_code(capsule))
    kind, index = ctypes.c_int32.from_address(at - 12).value, ctypes.c_int32.from_address(at - 8).value
    return DLDeviceType(kind), index


def _type_code(capsule: Any) -> ctypes.c_uint8:
    """The byte of a capsule's structure that says what kind of number the elements are."""
    name = _get_name(capsule)
    if name not in _CODE_AT:
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you "
            "might have already constructed a tensor from it once."
        )
    return ctypes.c_uint8.from_address(_get_pointer(capsule, name) + _CODE_AT[name])
