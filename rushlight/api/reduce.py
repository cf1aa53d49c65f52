"""Reductions in PyTorch's spelling: `dim` as an int or several, `keepdim`, `dtype`, named results."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import dtypes, return_types
from rushlight.ops import create, define, index as index_ops, reduce as ops
from rushlight.ops.define import cast
from rushlight.ops.inplace import write
from rushlight.tensor import Tensor, _checked_dim, wrap


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


def _cast_for_sum(input: Tensor, dtype: Any) -> Tensor:
    if dtype is not None:
        return cast(input, dtype=dtypes.as_numpy(dtype))
    kind = input._array.dtype.kind
    return cast(input, dtype=np.dtype(np.int64)) if kind in "iub" and input._array.dtype != np.int64 else input


def _require_float(name: str, input: Tensor, dtype: Any = None) -> Tensor:
    if dtype is not None:
        return cast(input, dtype=dtypes.as_numpy(dtype))
    if input._array.dtype.kind in "iub":
        raise RuntimeError(
            f"{name}(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {dtypes.LEGACY_NAMES[input.dtype.name]}"
        )
    return input


def _refuse_complex(name: str, input: Tensor) -> Tensor:
    """Complex numbers need `real`, `imag` and `conj` here, which the waist does not have yet."""
    if input._array.dtype.kind == "c":
        raise NotImplementedError(f"{name}() of complex tensors is not built yet")
    return input


def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum of all elements, or along `dim`; integers are summed as int64.

    Example:
        >>> import rushlight as torch
        >>> torch.sum(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
        tensor([4., 6.])
    """
    axis = None if dim is None else axes_of(dim, input._array.ndim)
    result = ops.sum(_cast_for_sum(input, dtype), axis=axis, keepdims=keepdim)
    return result if dtype is None else _in(dtype, result)


def _in(dtype: Any, result: Tensor) -> Tensor:
    """A sum in the dtype that was asked for: NumPy adds small integers and booleans up in int64."""
    if dtype is None or result._array.dtype == dtypes.as_numpy(dtype):
        return result
    return cast(result, dtype=dtypes.as_numpy(dtype))


def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of all elements, or along `dim`.

    Raises:
        RuntimeError: integers, without a `dtype` to compute in.
    """
    return ops.mean(_require_float("mean", input, dtype), axis=axes_of(dim, input.ndim), keepdims=keepdim)


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product of all elements, or along `dim`."""
    return _in(dtype, ops.prod(_cast_for_sum(input, dtype), axis=axes_of(dim, input.ndim), keepdims=keepdim))


def var(input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Tensor:  # fmt: skip
    """The variance: the sum of squared deviations over `count - correction` (1 unless told)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = int(unbiased) if correction is None else correction
    axis = axes_of(dim, input.ndim)
    return ops.var(
        _refuse_complex("var", _require_float("var", input)), axis=axis, correction=correction, keepdims=keepdim
    )


def std(input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Tensor:  # fmt: skip
    """The standard deviation, the square root of `var`."""
    return var(input, dim, unbiased, keepdim, correction=correction).sqrt()


def var_mean(input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Any:  # fmt: skip
    """(variance, mean)."""
    axes = None if isinstance(dim, bool) else dim
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, axes, keepdim)


def std_mean(input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Any:  # fmt: skip
    """(standard deviation, mean)."""
    axes = None if isinstance(dim, bool) else dim
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, axes, keepdim)


def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements are not zero, of all or along `dim`."""
    return sum(input != 0, dim)


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """(smallest, largest element), of all or along `dim`."""
    _require_elements("aminmax", input, None if dim is None else _checked_dim(dim, input.ndim))
    axes = () if dim is None else dim
    return return_types.aminmax(amin(input, axes, keepdim), amax(input, axes, keepdim))


def _require_elements(name: str, input: Tensor, dim: int | None) -> None:
    if dim is None and input.numel() == 0:
        kind = IndexError if name.startswith("arg") else RuntimeError
        raise kind(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
    if dim is not None and input.ndim and input.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")


def _extreme_along(input: Tensor, dim: int, keepdim: bool, arg: Any, result: Any) -> Any:
    """(values, indices) along a dimension; the gradient goes to the elements the indices name."""
    if input.ndim == 0:
        _checked_dim(dim, 0)
        return result(input.clone(), _zero_index(input))
    axis = _checked_dim(dim, input.ndim)
    _require_elements(result.__name__, input, axis)
    indices = arg(input, axis=axis, keepdims=True)
    values = index_ops.gather(input, indices, axis=axis)
    return result(values, indices) if keepdim else result(values.squeeze(axis), indices.squeeze(axis))


def _zero_index(input: Tensor) -> Tensor:
    """The index of the only element of a tensor without dimensions."""
    return create.zeros_like(input, dtype=dtypes.int64)


def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element; with `dim`, (values, indices) along it; with a tensor, `maximum` of the two."""
    if isinstance(dim, Tensor):
        return define.tensor_arrays.maximum(input, dim)
    if dim is None:
        _require_elements("max", input, None)
        return ops.amax(input)
    return _extreme_along(input, dim, keepdim, ops.argmax, return_types.max)


def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element; with `dim`, (values, indices) along it; with a tensor, `minimum` of the two."""
    if isinstance(dim, Tensor):
        return define.tensor_arrays.minimum(input, dim)
    if dim is None:
        _require_elements("min", input, None)
        return ops.amin(input)
    return _extreme_along(input, dim, keepdim, ops.argmin, return_types.min)


def _axes_with_elements(name: str, input: Tensor, dim: Any) -> tuple[int, ...] | None:
    axes = axes_of(dim, input.ndim)
    if axes is None:
        _require_elements(name, input, None)
    for axis in axes or ():
        _require_elements(name, input, axis)
    return axes


def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The largest element along the dimensions; equal ones share the gradient."""
    return ops.amax(input, axis=_axes_with_elements("amax", input, dim), keepdims=keepdim)


def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The smallest element along the dimensions; equal ones share the gradient."""
    return ops.amin(input, axis=_axes_with_elements("amin", input, dim), keepdims=keepdim)


def _require_index_input(name: str, input: Tensor, dim: int | None) -> None:
    if input._array.dtype == np.bool_:
        raise RuntimeError(f"{name}(): does not support bool input")
    _require_elements(name, input, dim)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element, of the first one where there are several."""
    _require_index_input("argmax", input, dim)
    return ops.argmax(input, axis=None if dim is None else _checked_dim(dim, input.ndim), keepdims=keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element, of the first one where there are several."""
    _require_index_input("argmin", input, dim)
    return ops.argmin(input, axis=None if dim is None else _checked_dim(dim, input.ndim), keepdims=keepdim)


def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether an element is not zero."""
    return _truth(input, ops.any(input, axis=axes_of(dim, input.ndim), keepdims=keepdim))


def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether every element is not zero."""
    return _truth(input, ops.all(input, axis=axes_of(dim, input.ndim), keepdims=keepdim))


def _truth(input: Tensor, result: Tensor) -> Tensor:
    """PyTorch answers bytes with bytes."""
    return cast(result, dtype=np.dtype(np.uint8)) if input._array.dtype == np.uint8 else result


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) along `dim`, without overflow."""
    if input._array.dtype.kind in "iub":
        input = input.to(dtypes.get_default_dtype())
    return ops.logsumexp(_refuse_complex("logsumexp", input), axis=axes_of(dim, input.ndim), keepdims=keepdim)


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(input) over its sum along `dim`."""
    if dtype is not None:
        input = input.to(dtype)
    _require_float_kernel("softmax_lastdim_kernel_impl", input)
    if input._array.ndim == 0:
        return softmax(input.reshape(1), dim).reshape(())
    return ops.softmax(input, axis=_checked_dim(dim, input._array.ndim))


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(input)) along `dim`, computed so that nothing underflows."""
    if dtype is not None:
        input = input.to(dtype)
    _require_float_kernel("log_softmax_lastdim_kernel_impl", input)
    if input._array.ndim == 0:
        return log_softmax(input.reshape(1), dim).reshape(())
    return ops.log_softmax(input, axis=_checked_dim(dim, input._array.ndim))


def _require_float_kernel(kernel: str, input: Tensor) -> None:
    if input._array.dtype.kind in "iub" and input._array.size:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{dtypes.LEGACY_NAMES[input.dtype.name]}'")


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums along `dim`."""
    input = _cast_for_sum(input, dtype)
    return ops.cumsum(input, axis=_checked_dim(dim, input.ndim)) if input.ndim else input.clone()


def cumsum_(self: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """In-place form of `cumsum`."""
    if self._array.dtype == np.bool_ and self._array.size and self.ndim:
        raise NotImplementedError("\"cumsum_out_cpu\" not implemented for 'Bool'")
    if dtype is not None and dtype is not self.dtype:
        raise RuntimeError(
            f"Bad in-place call: input tensor dtype {self.dtype} and output tensor dtype {dtype} should match"
        )
    return write(self, cumsum(self, dim, dtype=dtype), "cumsum_")


def norm(input: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The p-norm of the elements along `dim`; p may be infinite. "fro" is 2."""
    axis = axes_of(dim, input.ndim)
    x = _require_float("norm", input, dtype)
    if p in (2, "fro", None):
        return ops.norm2(_refuse_complex("norm", x), axis=axis, keepdims=keepdim)
    if p == 1:
        return ops.sum(x.abs(), axis=axis, keepdims=keepdim)
    if p == float("inf"):
        return ops.amax(x.abs(), axis=axis, keepdims=keepdim)
    if p == float("-inf"):
        return ops.amin(x.abs(), axis=axis, keepdims=keepdim)
    if p == 0:
        return ops.norm0(x, axis=axis, keepdims=keepdim)
    return ops.sum(x.abs() ** p, axis=axis, keepdims=keepdim) ** (1 / p)


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort along `dim`."""
    if not input.ndim:
        return _zero_index(input)
    if define.recording:
        define.lift(input)
    axis = _checked_dim(dim, input.ndim)
    return wrap(define.namespace_of(input._array).argsort(input._array, axis=axis, descending=descending))


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """(values in order, their indices) along `dim`."""
    indices = argsort(input, dim, descending)
    if not input.ndim:
        return return_types.sort(input.clone(), indices)
    return return_types.sort(index_ops.gather(input, indices, axis=_checked_dim(dim, input.ndim)), indices)


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest (or smallest) values along `dim`, and their indices."""
    axis = _checked_dim(dim, input.ndim)
    if not 0 <= k <= (input.shape[axis] if input.ndim else 1):
        raise RuntimeError("selected index k out of range")
    values, indices = sort(input, dim, descending=largest)
    return return_types.topk(values.narrow(axis, 0, k), indices.narrow(axis, 0, k)) if input.ndim else return_types.topk(values, indices)
