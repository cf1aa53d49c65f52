"""Arguments and results between NumPy's functions and ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api import elementwise
from rushlight.autograd.history import note_write
from rushlight.autograd.modes import modes
from rushlight.ops import create
from rushlight.ops.copies import cast
from rushlight.ops.inplace import write
from rushlight.ops.precision import NUMBERS
from rushlight.tensor import Tensor, wrap


class NoCounterpart(TypeError):
    """An argument of a dtype that tensors do not have: strings, objects, dates."""


def tensor_of(x: Any) -> Tensor:
    """An argument as a tensor: arrays as they are, numbers and lists as NumPy reads them.

    Raises:
        NoCounterpart: no numbers.
    """
    if isinstance(x, Tensor):
        return x
    if isinstance(x, (list, tuple)) and any(isinstance(item, Tensor) for item in x):
        return _stacked([tensor_of(item) for item in x])
    array = np.asarray(x)
    if not _has_counterpart(array.dtype):
        raise NoCounterpart(f"no tensor has the dtype of {type(x).__name__}, {array.dtype}")
    return wrap(array)


def _stacked(tensors: list[Tensor]) -> Tensor:
    """Tensors in a list stand for an array of one more dimension, as arrays in a list do."""
    from rushlight.api.joining import stack

    return stack(promoted(tensors))


def promoted(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The tensors in their common dtype."""
    tensors = list(tensors)
    target = dtypes.result_type_of_kinds(*[(x.dtype, x.ndim) for x in tensors]).numpy
    return [x if x._array.dtype == target else cast(x, dtype=target) for x in tensors]


def floating(x: Tensor) -> Tensor:
    """Integers in the default dtype, for functions that compute with real numbers."""
    return x if x.is_floating_point() or x.is_complex() else x.to(dtypes.get_default_dtype())


def number_as_tensor(x: Any, others: Iterable[Any]) -> Any:
    """A number as a 0-dimensional tensor of the dtype it takes beside the others; other things as they are."""
    if x.__class__ not in NUMBERS:
        return x
    kinds: list[Any] = [(t.dtype, t.ndim) for t in others if isinstance(t, Tensor)]
    kinds.append(x.__class__)
    return create.full((), x, dtype=dtypes.result_type_of_kinds(*kinds))


# ---------------------------------------------------------------- results


def store(result: Any, out: Any, casting: Any = "same_kind", where: Any = True) -> Any:
    """Writes a result into `out`, a tensor (in place, recorded) or an array, where `where` holds. Returns `out`.

    Without `out` it returns the result.
    """
    if out is None:
        return result
    if isinstance(out, tuple):
        if len(out) == 1:
            return store(result, out[0], casting, where)
        return tuple([store(x, o, casting, where) for x, o in zip(result, out, strict=True)])
    result = tensor_of(result)
    if isinstance(out, Tensor):
        if not np.can_cast(result._array.dtype, out._array.dtype, casting):
            raise TypeError(f"cannot cast the result, {result.dtype}, to out's {out.dtype} by the rule {casting!r}")
        return write(out, result if where is True else elementwise.where(tensor_of(where), result, out), "out=")
    if result.requires_grad and modes.grad:
        raise TypeError(
            "a tensor that requires grad cannot be written into a NumPy array, which autograd does not follow: use "
            "tensor.detach()"
        )
    np.copyto(out, result._data("__array__()"), casting=casting, where=where if where is True else np.asarray(where))
    return out


def wrapped(result: Any) -> Any:
    """NumPy's results as tensors: arrays and NumPy's scalars, in tuples and lists too. Other things stay."""
    if isinstance(result, tuple):
        items = [wrapped(x) for x in result]
        return type(result)(*items) if hasattr(result, "_fields") else tuple(items)
    if isinstance(result, list):
        return [wrapped(x) for x in result]
    if isinstance(result, (np.ndarray, np.generic)) and _has_counterpart(result.dtype):
        return wrap(np.asarray(result))
    return result


def _has_counterpart(dtype: np.dtype) -> bool:
    try:
        dtypes.from_numpy(dtype)
    except TypeError:
        return False
    return True


# ---------------------------------------------------------------- functions that are left to NumPy


def by_numpy(function: Callable[..., Any], args: tuple, kwargs: dict[str, Any], writes: bool = False) -> Any:
    """Calls NumPy's function on the tensors' arrays. `writes`: it writes into its first argument.

    Raises:
        TypeError: a tensor requires gradients, and the result is one that should have them.
    """
    tensors: list[Tensor] = []
    out = kwargs.get("out")
    plain_args, plain_kwargs = _plain(args, tensors), _plain(kwargs, tensors)
    recorded = modes.grad and any(t.requires_grad for t in tensors)
    if recorded and (writes or out is not None):
        raise _no_derivative(function)
    result = function(*plain_args, **plain_kwargs)
    for target in (args[:1] if writes else ()) + (out if isinstance(out, tuple) else (out,)):
        if isinstance(target, Tensor):
            note_write(target, function.__name__)
    if out is not None:
        return out[0] if isinstance(out, tuple) and len(out) == 1 else out
    if recorded and _has_floats(result):
        raise _no_derivative(function)
    return wrapped(result)


def _no_derivative(function: Any) -> TypeError:
    name = f"{getattr(function, '__module__', None) or 'numpy'}.{function.__name__}"
    return TypeError(
        f"{name} is computed by NumPy, which autograd does not follow, and a tensor among its arguments requires grad. "
        "Use tensor.detach() or torch.no_grad() if no gradient is wanted."
    )


def _plain(x: Any, tensors: list[Tensor]) -> Any:
    if isinstance(x, Tensor):
        tensors.append(x)
        return x._data("__array__()")
    if type(x) in (list, tuple):
        return type(x)([_plain(item, tensors) for item in x])
    return {key: _plain(item, tensors) for key, item in x.items()} if type(x) is dict else x


def _has_floats(result: Any) -> bool:
    if isinstance(result, (tuple, list)):
        return any(_has_floats(x) for x in result)
    return isinstance(result, (np.ndarray, np.generic)) and result.dtype.kind in "fc" or isinstance(result, float)
