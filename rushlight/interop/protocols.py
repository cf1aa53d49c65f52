"""The methods by which other libraries recognise, read and compute with tensors. `methods.py` binds them.

Each is the door only: the tables behind it (NumPy's functions, the standard's namespace) are loaded at the first call.
"""

from __future__ import annotations

from typing import Any

from rushlight import devices, dtypes
from rushlight.interop import dlpack
from rushlight.tensor import Tensor


def array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NumPy's elementwise functions and operators: `np.sin(t)` and `np.ones(3) + t` are recorded like `t.sin()`."""
    from rushlight.interop import ufuncs

    return ufuncs.dispatch(ufunc, method, inputs, kwargs)


def array_function(self: Tensor, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """NumPy's other functions: `np.concatenate([t, t])` is recorded like `torch.cat([t, t])`."""
    from rushlight.interop import numpy_functions

    return numpy_functions.dispatch(function, types, args, kwargs)


def array_namespace(self: Tensor, *, api_version: str | None = None) -> Any:
    """The module with the functions of the Python array API standard.

    Raises:
        ValueError: a version of the standard that is not implemented.
    """
    from rushlight import array_api

    if api_version not in (None, *array_api.API_VERSIONS):
        raise ValueError(f"array API version {api_version!r} is not one of {', '.join(array_api.API_VERSIONS)}")
    return array_api


def buffer(self: Tensor, flags: int) -> memoryview:
    """The tensor's memory, for `memoryview(t)` and all that reads buffers (Python 3.12 and later)."""
    try:
        return memoryview(self._data("__buffer__()"))  # type: ignore[arg-type]  # typing knows buffers since Python 3.12
    except ValueError:  # bfloat16, which the buffer protocol has no letter for
        raise BufferError(f"the buffer protocol has no format for {self.dtype}") from None


def to_device(self: Tensor, device: Any, /, *, stream: Any = None) -> Tensor:
    """`to(device)`, as the array API standard spells it."""
    if stream is not None and not self.is_cuda:
        raise ValueError("stream must be None: CPU tensors have no streams")
    devices.require(device)
    return self.to(device)


def cuda_array_interface(self: Tensor) -> dict[str, Any]:
    """The tensor's memory on a GPU, for Numba, CuPy and others.

    Raises:
        AttributeError: on the CPU, or not strided. RuntimeError: the tensor requires gradients.
    """
    if not self.is_cuda:
        raise AttributeError(
            f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {self.type()!r} "
            "If CUDA data is required use tensor.cuda() to copy tensor to device memory."
        )
    if self.requires_grad:
        raise RuntimeError(
            "Can't get __cuda_array_interface__ on Variable that requires grad. "
            "If gradients aren't required, use var.detach() to get Variable that doesn't require grad."
        )
    array, is_bfloat16 = self._array, self.dtype is dtypes.bfloat16
    return {
        "typestr": "<V2" if is_bfloat16 else array.dtype.str,
        "shape": tuple(self.shape),
        "strides": None if self.is_contiguous() else tuple(array.strides),
        "data": (self.data_ptr() if self.numel() else 0, False),
        "version": 2,
    }


class _Count(int):
    """The number of elements, `x.size` of NumPy and the standard, which is called as PyTorch's `x.size(dim)`, too."""

    tensor: Tensor

    def __call__(self, dim: int | None = None) -> Any:
        return _size(self.tensor, dim)


class _SizeOrCount:
    """`Tensor.size`: on the class the method, on a tensor a number that can be called."""

    def __get__(self, tensor: Tensor | None, owner: type) -> Any:
        if tensor is None:
            return _size
        count = _Count(tensor._array.size)
        count.tensor = tensor
        return count


_size = Tensor.size
METHODS: dict[str, Any] = {
    "size": _SizeOrCount(),
    "__array_ufunc__": array_ufunc,
    "__array_function__": array_function,
    "__array_namespace__": array_namespace,
    "__buffer__": buffer,
    "__cuda_array_interface__": property(cuda_array_interface),
    "__dlpack__": dlpack.export,
    "__dlpack_device__": dlpack.device_of,
    "to_device": to_device,
}
