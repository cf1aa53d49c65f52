"""Reductions in PyTorch's spelling: `dim` as an int or several, `keepdim`, `dtype`, named results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import dtypes, return_types
from rushlight.api.forms import numpy_names
from rushlight.ops import create, index as index_ops, namespaces, reduce as ops
from rushlight.ops.autocast import with_autocast
from rushlight.ops.copies import cast
from rushlight.tensor import Tensor, _checked_dim


def axes_of(dim: Any, ndim: int) -> tuple[int, ...] | None:
    """`dim` as the operations want it: None for all, else non-negative ints.

    Raises:
        IndexError: out of range. RuntimeError: a dimension twice.
    """
    if dim is None:
        return None
    if isinstance(dim, int):
        return (_checked_dim(dim, ndim),) if ndim else _nothing(dim, ndim)
    axes = tuple([_checked_dim(d, ndim) for d in dim])
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"dim {axes[-1]} appears multiple times in the list of dims")
    if not axes or not ndim:
        return None
    return axes


def _nothing(dim: int, ndim: int) -> None:
    _checked_dim(dim, ndim)


def cast_for_sum(input: Tensor, dtype: Any) -> Tensor:
    """The input in the dtype in which it is summed: the one asked for, or int64 for integers and truth values."""
    if dtype is not None:
        return cast(input, dtype=dtypes.as_numpy(dtype))
    kind = input._array.dtype.kind
    return cast(input, dtype=np.dtype(np.int64)) if kind in "iub" and input._array.dtype != np.int64 else input


def _require_float(name: str, input: Tensor, dtype: Any = None) -> Tensor:
    """The input in the dtype asked for, if any.

    Raises:
        RuntimeError: integers or truth values.
    """
    asked = input.dtype if dtype is None else dtype
    if asked.kind in "iub":
        raise RuntimeError(
            f"{name}(): could not infer output dtype. {'Input' if dtype is None else 'Optional'} dtype must be either "
            f"a floating point or complex dtype. Got: {dtypes.legacy_name(asked)}"
        )
    return input if dtype is None else cast(input, dtype=dtypes.as_numpy(dtype))


def refuse_kinds(kinds: str, kernel: str, input: Tensor) -> None:
    """Raises PyTorch's error for dtypes of these kinds ("c", "b", ...), which this function does not have."""
    if input.dtype.kind in kinds:
        raise dtypes.no_kernel(kernel, input)


@numpy_names
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum of all elements, or along `dim`; integers are summed as int64.

    Example:
        >>> import rushlight as torch
        >>> torch.sum(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
        tensor([4., 6.])
    """
    axis = None if dim is None else axes_of(dim, input._array.ndim)
    result = ops.sum(input if dtype is None else cast_for_sum(input, dtype), axis=axis, keepdims=keepdim)
    return result if dtype is None else in_dtype(dtype, result)


def in_dtype(dtype: Any, result: Tensor) -> Tensor:
    """A sum in the dtype that was asked for: NumPy adds small integers and booleans up in int64."""
    if dtype is None or result._array.dtype == dtypes.as_numpy(dtype):
        return result
    return cast(result, dtype=dtypes.as_numpy(dtype))


@numpy_names
def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of all elements, or along `dim`.

    Raises:
        RuntimeError: integers, without a `dtype` to compute in.
    """
    return ops.mean(_require_float("mean", input, dtype), axis=axes_of(dim, input.ndim), keepdims=keepdim)


@numpy_names
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product of all elements, or along `dim`."""
    return in_dtype(dtype, ops.prod(cast_for_sum(input, dtype), axis=axes_of(dim, input.ndim), keepdims=keepdim))


@numpy_names
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements are not zero, of all or along `dim`."""
    return sum(input != 0, dim)


# ---------------------------------------------------------------- extremes


def require_elements(name: str, input: Tensor, dim: int | None) -> None:
    """Raises PyTorch's error where there is nothing to choose from."""
    if dim is None and input.numel() == 0:
        kind = IndexError if name.startswith("arg") else RuntimeError
        raise kind(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with "
            "the 'dim' argument."
        )
    if dim is not None and input.ndim and input.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")


def pick_along(
    input: Tensor, dim: int, keepdim: bool, index: Callable[[Tensor, int], Tensor], result: Callable[..., Any]
) -> Any:
    """(values, indices) along a dimension, where `index(input, axis)` is which element each value is.

    `index` leaves the axis, with size 1. The gradient goes to the elements it names.
    """
    axis = _checked_dim(dim, input.ndim)
    if input.ndim == 0:
        return result(input.clone(), zero_index(input))
    require_elements(result.__name__.removeprefix("nan"), input, axis)
    indices = index(input, axis)
    values = index_ops.gather(input, indices, axis=axis)
    return result(values, indices) if keepdim else result(values.squeeze(axis), indices.squeeze(axis))


def zero_index(input: Tensor) -> Tensor:
    """The index of the only element of a tensor without dimensions."""
    return create.zeros_like(input, dtype=dtypes.int64)


def _extreme(
    result: Any, of_all: Callable[..., Tensor], arg: Callable[..., Tensor], input: Tensor, dim: Any, keepdim: bool
) -> Any:
    """What `max` and `min` share: the extreme of all elements, or along a dimension, or of each pair of two tensors."""
    name = result.__name__
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({type(input).__name__}, "
            f"{type(dim).__name__}), but expected one of:\n * (Tensor input, *, Tensor out = None)\n"
            " * (Tensor input, Tensor other, *, Tensor out = None)\n"
            " * (Tensor input, int dim, bool keepdim = False, *, tuple of Tensors out = None)"
        )
    if isinstance(dim, Tensor):
        return getattr(namespaces.tensor_arrays, name + "imum")(input, dim)
    if dim is None:
        require_elements(name, input, None)
        refuse_kinds("c", f"{name}_all", input)
        return of_all(input)
    if input.dtype.kind == "c":
        raise RuntimeError(f"{name}(): does not support complex input")
    return pick_along(input, dim, keepdim, lambda x, axis: arg(x, axis=axis, keepdims=True), result)


@numpy_names
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The largest element; with `dim`, (values, indices) along it; with a tensor, `maximum` of the two."""
    return _extreme(return_types.max, ops.amax, ops.argmax, input, dim if other is None else other, keepdim)


@numpy_names
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The smallest element; with `dim`, (values, indices) along it; with a tensor, `minimum` of the two."""
    return _extreme(return_types.min, ops.amin, ops.argmin, input, dim if other is None else other, keepdim)


def _axes_with_elements(name: str, input: Tensor, dim: Any) -> tuple[int, ...] | None:
    axes = axes_of(dim, input.ndim)
    if axes is None:
        require_elements(name, input, None)
    for axis in axes or ():
        require_elements(name, input, axis)
    return axes


@numpy_names
def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The largest element along the dimensions; equal ones share the gradient."""
    refuse_kinds("c", "max_values_cpu", input)
    return ops.amax(input, axis=_axes_with_elements("amax", input, dim), keepdims=keepdim)


@numpy_names
def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The smallest element along the dimensions; equal ones share the gradient."""
    refuse_kinds("c", "min_values_cpu", input)
    return ops.amin(input, axis=_axes_with_elements("amin", input, dim), keepdims=keepdim)


@numpy_names
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """(smallest, largest element), of all or along `dim`."""
    refuse_kinds("c", "aminmax_cpu", input)
    if dim is None and not input.numel():
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    if dim is not None and input.ndim and not input.shape[_checked_dim(dim, input.ndim)]:
        raise IndexError(f"aminmax: Expected reduction dim {_checked_dim(dim, input.ndim)} to have non-zero size.")
    axes = () if dim is None else dim
    return return_types.aminmax(amin(input, axes, keepdim), amax(input, axes, keepdim))


def _index_of_extreme(name: str, index: Callable[..., Tensor], input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if input.dtype.kind in "bc":
        raise RuntimeError(f"{name}(): does not support {'bool' if input.dtype.kind == 'b' else 'complex'} input")
    axis = None if dim is None else _checked_dim(dim, input.ndim)
    require_elements(name, input, axis)
    return index(input, axis=axis, keepdims=keepdim) if input.ndim else zero_index(input)


@numpy_names
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element, of the first one where there are several."""
    return _index_of_extreme("argmax", ops.argmax, input, dim, keepdim)


@numpy_names
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element, of the first one where there are several."""
    return _index_of_extreme("argmin", ops.argmin, input, dim, keepdim)


# ---------------------------------------------------------------- truth


@numpy_names
def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether an element is not zero."""
    return _truth(ops.any, input, dim, keepdim)


@numpy_names
def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether every element is not zero."""
    return _truth(ops.all, input, dim, keepdim)


def _truth(reduction: Callable[..., Tensor], input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    """Over no dimensions, here, each element is by itself. PyTorch answers bytes with bytes."""
    is_over_none = dim is not None and not isinstance(dim, int) and not len(dim)
    result = input != 0 if is_over_none else reduction(input, axis=axes_of(dim, input.ndim), keepdims=keepdim)
    return cast(result, dtype=np.dtype(np.uint8)) if input._array.dtype == np.uint8 else result


# ---------------------------------------------------------------- exponentials


@numpy_names
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) along `dim`, without overflow."""
    if input._array.dtype.kind in "iub":
        input = input.to(dtypes.get_default_dtype())
    return ops.logsumexp(input, axis=axes_of(dim, input.ndim), keepdims=keepdim)


def normalized(operation: Callable[..., Tensor], input: Tensor, dim: int, dtype: Any) -> Tensor:
    """The operation over an axis, for floating-point numbers."""
    if dtype is not None:
        input = input.to(dtype)
    array = input._array
    axis = _checked_dim(dim, array.ndim)
    if array.dtype.kind in "iubc":
        if not array.size:
            return input.clone()
        last = "_lastdim" if axis == array.ndim - 1 or not array.ndim else ""
        refuse_kinds("iubc", f"{operation.__name__}{last}_kernel_impl", input)
    if array.ndim == 0:
        return operation(input.reshape(1), axis=0).reshape(())
    return operation(input, axis=axis)


@numpy_names
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(input) over its sum along `dim`."""
    return normalized(ops.softmax, input, dim, dtype)


@numpy_names
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(input)) along `dim`, computed so that nothing underflows."""
    return normalized(ops.log_softmax, input, dim, dtype)


with_autocast(globals())
