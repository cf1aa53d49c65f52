"""New tensors like others, and NumPy's `like=` argument: `np.zeros(3, like=t)`."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.interop.arguments import tensor_of
from rushlight.interop.numpy_functions.table import implements
from rushlight.tensor import Tensor


def _shaped_like(a: Any, dtype: Any, shape: Any) -> tuple[Any, dict[str, Any]]:
    """The shape, and the options of PyTorch's functions: the dtype, and the device of the array."""
    x = tensor_of(a)
    return x.shape if shape is None else shape, {"dtype": x.dtype if dtype is None else dtype, "device": x.device}


@implements("zeros_like")
def zeros_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None) -> Any:  # fmt: skip
    shape, options = _shaped_like(a, dtype, shape)
    return torch.zeros(shape, **options)


@implements("ones_like")
def ones_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None) -> Any:  # fmt: skip
    shape, options = _shaped_like(a, dtype, shape)
    return torch.ones(shape, **options)


@implements("empty_like")
def empty_like(prototype: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None) -> Any:  # fmt: skip
    shape, options = _shaped_like(prototype, dtype, shape)
    return torch.empty(shape, **options)


@implements("full_like")
def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
    device: Any = None,
) -> Any:  # fmt: skip
    shape, options = _shaped_like(a, dtype, shape)
    if isinstance(fill_value, Tensor):
        return torch.broadcast_to(fill_value.to(options["device"], options["dtype"]), shape).clone()
    return torch.full(shape, fill_value, **options)


# ---------------------------------------------------------------- like=


@implements("zeros")
def zeros(shape: Any, dtype: Any = float, order: str = "C", *, device: Any = None) -> Any:
    return torch.zeros(shape, dtype=dtype)


@implements("ones")
def ones(shape: Any, dtype: Any = None, order: str = "C", *, device: Any = None) -> Any:
    return torch.ones(shape, dtype=dtype)


@implements("empty")
def empty(shape: Any, dtype: Any = float, order: str = "C", *, device: Any = None) -> Any:
    return torch.empty(shape, dtype=dtype)


@implements("full")
def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None) -> Any:
    return torch.full((shape,) if isinstance(shape, int) else shape, fill_value, dtype=dtype)


@implements("arange")
def arange(*args: Any, dtype: Any = None, device: Any = None, **bounds: Any) -> Any:
    bounds = {{"stop": "end"}.get(key, key): value for key, value in bounds.items()}
    return torch.arange(*args, **bounds, dtype=dtype)


@implements("eye")
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = float, order: str = "C", *, device: Any = None) -> Any:  # fmt: skip  # noqa: N803
    if k:
        return NotImplemented
    return torch.eye(N, M, dtype=dtype)


@implements("identity")
def identity(n: int, dtype: Any = None) -> Any:
    return torch.eye(n, dtype=dtype)


@implements("array")
def array(object: Any, dtype: Any = None, *, copy: Any = True, order: str = "K", subok: bool = False, ndmin: int = 0, ndmax: int = 0) -> Any:  # fmt: skip
    x: Any = tensor_of(object) if dtype is None else tensor_of(object).to(dtype)
    x = x.clone() if copy else x
    return x.reshape(*(1,) * (ndmin - x.ndim), *x.shape) if x.ndim < ndmin else x


@implements("asarray", "asanyarray", "ascontiguousarray")
def asarray(a: Any, dtype: Any = None, order: str = "K", *, device: Any = None, copy: Any = None) -> Any:
    x: Any = tensor_of(a) if dtype is None else tensor_of(a).to(dtype)
    return x.clone() if copy else x
