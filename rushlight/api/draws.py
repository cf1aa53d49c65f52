"""New tensors of random numbers, and how all random numbers are drawn: in PyTorch's order (`rushlight.random`)."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from rushlight import devices, dtypes, random as random_numbers
from rushlight.arrays import numpy as numpy_arrays
from rushlight.arrays.kinds import levels
from rushlight.dtypes import legacy_name
from rushlight.ops import create, draw as _draw_on_gpu, namespaces
from rushlight.ops.inplace import write
from rushlight.tensor import Tensor, wrap

_INT64 = np.dtype(np.int64)


# ---------------------------------------------------------------- drawing


def draw(xp: Any, generator: Any, method: str, shape: tuple[int, ...], *args: Any) -> Any:
    """An array by one of a generator's methods; `args` end with the dtype. Complex numbers are pairs of real ones."""
    source = source_of(generator, xp)
    if levels():
        return namespaces.transforms().drawn(lambda sizes: _draw(xp, source, method, sizes, *args), shape)
    return _draw(xp, source, method, shape, *args)


def _draw(xp: Any, source: Any, method: str, shape: tuple[int, ...], *args: Any) -> Any:
    *parameters, dtype = args
    if dtype.kind != "c" or xp is create._MetaArrays:
        return xp.draw(source, method, shape, *parameters, dtype)
    real = np.dtype(np.float32 if dtype.itemsize == 8 else np.float64)
    if method != "uniform":  # each part of a normal number has half of the variance
        mean, std = parameters
        parameters = [mean, std / math.sqrt(2.0)]
    parts = xp.draw(source, method, (*shape, 2), *parameters, real)
    return xp.complex(xp.slice(parts, (..., 0)), xp.slice(parts, (..., 1)))


def source_of(generator: Any, xp: Any) -> Any:
    """The generator that was given, or the default one of the device whose arrays `xp` makes.

    Raises:
        RuntimeError: it is another type of device's.
    """
    if generator is None and xp is numpy_arrays:
        return random_numbers.default_generator
    current = getattr(xp, "current_device", None)
    place = devices.cpu if current is None else current()
    if generator is None:
        return random_numbers.generator_of(place)
    if not isinstance(generator, random_numbers.Generator):
        raise TypeError(f"argument 'generator' must be torch.Generator, not {type(generator).__name__}")
    if generator.device.type != place.type:
        raise RuntimeError(f"Expected a '{place.type}' device type for generator but found '{generator.device.type}'")
    return generator


def draw_like(like: Tensor, generator: Any, method: str, *args: Any, dtype: Any = None, device: Any = None) -> Any:
    """An array of a tensor's shape. The numbers fill it in the order in which the tensor lies in memory, as in PyTorch."""
    xp, shape, numpy_dtype = create._like(like, dtype, device)
    order = _memory_order(like._array)
    if order == tuple(range(len(shape))) or xp is create._MetaArrays:
        return draw(xp, generator, method, shape, *args, numpy_dtype)
    method = "normal_in_pairs" if method == "normal" else method
    drawn = draw(xp, generator, method, tuple([shape[i] for i in order]), *args, numpy_dtype)
    return xp.permute_dims(drawn, tuple(int(i) for i in np.argsort(order)))


def _memory_order(array: Any) -> tuple[int, ...]:
    """The dimensions from the widest stride to the narrowest."""
    if not hasattr(array, "flags") or array.flags.c_contiguous:
        return tuple(range(array.ndim))
    return tuple(sorted(range(array.ndim), key=lambda i: -abs(array.strides[i])))


def require_kind(dtype: Any, kinds: str, kernel: str) -> None:
    """Raises PyTorch's error for a dtype whose kind has no such kernel."""
    if np.dtype(dtype).kind not in kinds and np.dtype(dtype).name != "bfloat16":
        raise dtypes.no_kernel(kernel, dtype)


def require_bounds_dtype(dtype: Any) -> None:
    if np.dtype(dtype).kind == "c":
        raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean types")


def require_continuous(name: str, dtype: Any) -> None:
    if np.dtype(dtype).kind != "f" and np.dtype(dtype).name != "bfloat16":
        kind = random_numbers.C_NAMES[np.dtype(dtype).name] if name == "Cauchy" else legacy_name(dtype)
        raise RuntimeError(
            f"{name} distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {kind}"
        )


# ---------------------------------------------------------------- new tensors


def _new(
    method: str, kernel: str, size: tuple, generator: Any, out: Any, dtype: Any, device: Any, requires_grad: bool,
    pin_memory: bool,
) -> Tensor:  # fmt: skip
    """`rand` and `randn`: standard numbers of a shape."""
    if out is not None and dtype is None:
        dtype = out.dtype
    numpy_dtype = create._float_dtype(dtype)
    require_kind(numpy_dtype, "fc", kernel)
    array = draw(create._namespace(device), generator, method, create.shape_of(size), 0.0, 1.0, numpy_dtype)
    return finished(array, out, requires_grad, pin_memory)


def finished(array: Any, out: Tensor | None, requires_grad: bool, pin_memory: bool = False) -> Tensor:
    if out is None:
        array = create.pinned(array) if pin_memory else array
        return wrap(array).requires_grad_(requires_grad) if requires_grad else wrap(array)
    if tuple(out.shape) != tuple(array.shape):
        out._array = array.astype(out._array.dtype)
        return out
    return write(out, wrap(array), "copy_")


def rand(
    *size: Any, generator: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False, **named: Any,
) -> Tensor:  # fmt: skip
    """Uniform on [0, 1).

    Example:
        >>> import rushlight as torch
        >>> torch.manual_seed(0) and torch.rand(2)
        tensor([0.4963, 0.7682])
    """
    size = _size_of("rand", size, named)
    return _new("uniform", "check_uniform_bounds", size, generator, out, dtype, device, requires_grad, pin_memory)


def randn(
    *size: Any, generator: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False, **named: Any,
) -> Tensor:  # fmt: skip
    """From the standard normal distribution."""
    size = _size_of("randn", size, named)
    return _new("normal", "normal_kernel_cpu", size, generator, out, dtype, device, requires_grad, pin_memory)


def _size_of(name: str, size: tuple, named: dict[str, Any]) -> tuple:
    if set(named) - {"size"} or bool(size) == bool(named):
        raise TypeError(f"{name}() received an invalid combination of arguments: sizes {size}, {sorted(named)}")
    return (named["size"],) if named else size


def rand_like(
    input: Tensor, *, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Uniform on [0, 1), in another tensor's shape and dtype."""
    require_kind(create._like(input, dtype, device)[2], "fc", "check_uniform_bounds")
    array = draw_like(input, generator, "uniform", 0.0, 1.0, dtype=dtype, device=device)
    return finished(array, None, requires_grad, pin_memory)


def randn_like(
    input: Tensor, *, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """From the standard normal distribution, in another tensor's shape and dtype."""
    require_kind(create._like(input, dtype, device)[2], "fc", "normal_kernel_cpu")
    array = draw_like(input, generator, "normal", 0.0, 1.0, dtype=dtype, device=device)
    return finished(array, None, requires_grad, pin_memory)


def randint(
    *args: Any, generator: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False, **named: Any,
) -> Tensor:  # fmt: skip
    """`randint(low=0, high, size)`: integers from `low` to `high - 1`.

    Raises:
        RuntimeError: `high` is not above `low`.
    """
    low, high, size = _bounds_and("size", "randint", args, named)
    if isinstance(size, int):
        raise TypeError("randint(): argument 'size' (position 2) must be tuple of ints, not int")
    numpy_dtype = dtypes.as_numpy(dtype) if dtype is not None else out._array.dtype if out is not None else _INT64
    require_bounds_dtype(numpy_dtype)
    shape = create.shape_of((size,))
    array = draw(create._namespace(device), generator, "randint", shape, low, high, numpy_dtype)
    return finished(array, out, requires_grad, pin_memory)


def randint_like(
    input: Tensor, *args: Any, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None, **named: Any,
) -> Tensor:  # fmt: skip
    """`randint_like(input, low=0, high)`: integers from `low` to `high - 1`, in another tensor's shape and dtype."""
    low, high, _ = _bounds_and(None, "randint_like", args, named)
    require_bounds_dtype(create._like(input, dtype, device)[2])
    array = draw_like(input, generator, "randint", low, high, dtype=dtype, device=device)
    return finished(array, None, requires_grad, pin_memory)


def _bounds_and(last: str | None, name: str, args: tuple, named: dict[str, Any]) -> tuple[int, int, Any]:
    """(low, high, the argument named `last`) of the calls with and without `low`."""
    names = ["low", "high", *([last] if last else [])]
    given = len(args) + len(named)
    if set(named) - set(names) or not len(names) - 1 <= given <= len(names):
        kinds = ", ".join(type(x).__name__ for x in (*args, *named.values()))
        raise TypeError(f"{name}() received an invalid combination of arguments - got ({kinds})")
    order = names if given == len(names) else names[1:]
    found = {"low": 0, **named, **dict(zip([n for n in order if n not in named], args, strict=True))}
    for key in ("low", "high"):
        try:
            found[key] = operator.index(found[key].item() if isinstance(found[key], Tensor) else found[key])
        except TypeError:
            kind, position = type(found[key]).__name__, order.index(key) + 1
            raise TypeError(f"{name}(): argument '{key}' (position {position}) must be int, not {kind}") from None
    return found["low"], found["high"], found.get(last) if last else None


def randperm(
    n: int, *, generator: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A random order of the integers from 0 to n - 1.

    Raises:
        RuntimeError: n is negative, or more than the dtype holds.
    """
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"randperm(): argument 'n' (position 1) must be int, not {type(n).__name__}") from None
    numpy_dtype = dtypes.as_numpy(dtype) if dtype is not None else out._array.dtype if out is not None else _INT64
    require_kind(numpy_dtype, "iuf", "randperm")
    _check_permutation(n, numpy_dtype)
    array = draw(create._namespace(device), generator, "permutation", (n,), numpy_dtype)
    return finished(array, out, requires_grad, pin_memory)


def _check_permutation(n: int, dtype: np.dtype) -> None:
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    largest = {"float16": 2**11 + 1, "bfloat16": 2**8 + 1, "float32": 2**24 + 1, "float64": 2**53 + 1}.get(dtype.name)
    if largest is not None and n > largest:
        raise RuntimeError(f"n cannot be greater than {largest} for {legacy_name(dtype)} type.")
    if largest is None and n > np.iinfo(dtype).max:
        raise RuntimeError(f"value cannot be converted to type {dtype.name}_t without overflow")
