"""NumPy's elementwise functions on tensors, with their methods: `np.sin(t)`, `np.ones(3) + t`, `np.add.reduce(t)`.

Each is our function of the same meaning, so that autograd follows it; dtypes are PyTorch's, with arrays as
`from_numpy(array)`. What has no counterpart is left to NumPy, unless a gradient is wanted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import rushlight as torch
from rushlight.interop.arguments import NoCounterpart, by_numpy, number_as_tensor, promoted, store, tensor_of
from rushlight.tensor import Tensor

# NumPy's names that are not ours.
_RENAMED = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "conjugate": "conj", "degrees": "rad2deg", "equal": "eq", "fabs": "abs",
    "invert": "bitwise_not", "left_shift": "bitwise_left_shift", "power": "pow", "radians": "deg2rad",
    "right_shift": "bitwise_right_shift", "rint": "round", "sign": "sgn",
}  # fmt: skip
_TAKE_NUMBERS = {
    torch.add,
    torch.sub,
    torch.mul,
    torch.div,
    torch.pow,
    torch.eq,
    torch.ne,
    torch.lt,
    torch.le,
    torch.gt,
    torch.ge,
}
# Functions of scipy.special that are ours, by SciPy's name.
_SPECIAL = {
    "erf": "erf", "erfc": "erfc", "erfcx": "erfcx", "erfinv": "erfinv", "expit": "expit", "logit": "logit",
    "gammaln": "gammaln", "psi": "digamma", "entr": "entr", "xlogy": "xlogy", "xlog1py": "xlog1py", "i0": "i0",
    "i0e": "i0e", "i1": "i1", "i1e": "i1e", "ndtr": "ndtr", "ndtri": "ndtri", "log_ndtr": "log_ndtr", "zeta": "zeta",
    "gammainc": "gammainc", "gammaincc": "gammaincc", "exp2": "exp2", "expm1": "expm1", "log1p": "log1p",
}  # fmt: skip


def _matmul(x: Tensor, y: Tensor) -> Tensor:
    return torch.matmul(*promoted((x, y)))


_COMPOSED: dict[Any, Callable[..., Any]] = {
    np.matmul: _matmul,
    np.vecdot: lambda x, y: torch.linalg.vecdot(*promoted((x, y))),
    np.matvec: lambda x, y: _matmul(x, y.unsqueeze(-1)).squeeze(-1),
    np.vecmat: lambda x, y: _matmul(x.conj().unsqueeze(-2), y).squeeze(-2),
    np.divmod: lambda x, y: (torch.floor_divide(x, y), torch.remainder(x, y)),
    np.modf: lambda x: (torch.frac(x), torch.trunc(x)),
    np.cbrt: lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3),
}


@cache
def _function_of(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """Our function of the same meaning, if there is one."""
    if ufunc in _COMPOSED:
        return _COMPOSED[ufunc]
    name = ufunc.__name__
    if getattr(np, name, None) is ufunc:
        return getattr(torch, _RENAMED.get(name, name), None)
    if getattr(sys.modules.get("scipy.special"), name, None) is ufunc and name in _SPECIAL:
        return getattr(torch.special, _SPECIAL[name], None)
    return None


def dispatch(ufunc: np.ufunc, method: str, inputs: tuple, kwargs: dict[str, Any]) -> Any:
    """What a call of a NumPy function with a tensor among its arguments gives; NotImplemented for foreign arguments."""
    if any(isinstance(x, np.ma.MaskedArray) or _is_foreign(x) for x in inputs):
        return NotImplemented
    function = _function_of(ufunc)
    handler = _METHODS.get(method)
    try:
        result = NotImplemented if function is None or handler is None else handler(ufunc, function, inputs, kwargs)
    except NoCounterpart:
        result = NotImplemented
    if result is not NotImplemented:
        return result
    return by_numpy(ufunc if method == "__call__" else getattr(ufunc, method), inputs, kwargs, writes=method == "at")


def _is_foreign(x: Any) -> bool:
    """Whether another library's type is to answer."""
    theirs = getattr(type(x), "__array_ufunc__", None)
    return theirs is not None and not isinstance(x, (Tensor, np.ndarray, np.generic))


def _operands(function: Any, inputs: tuple, dtype: Any) -> list[Any]:
    """The arguments for our function. Numbers stay numbers for operators, and become tensors for other functions."""
    operands = [x.item() if isinstance(x, np.generic) and x.dtype.kind in "bifcu" else x for x in inputs]
    operands = [x if isinstance(x, (bool, int, float, complex)) else tensor_of(x) for x in operands]
    if dtype is not None:
        operands = [x.to(dtype) if isinstance(x, Tensor) else x for x in operands]
    if function in _TAKE_NUMBERS and isinstance(operands[0], Tensor):
        return operands
    return [number_as_tensor(x, operands) for x in operands]


def _call(
    ufunc: np.ufunc, function: Any, inputs: tuple, kwargs: dict[str, Any], out: Any = None, where: Any = True,
    dtype: Any = None, casting: str = "same_kind",
) -> Any:  # fmt: skip
    result = function(*_operands(function, inputs, dtype))
    if out is not None:
        return store(result, out, casting, where)
    if where is not True:  # elsewhere NumPy leaves what was in memory
        return torch.where(tensor_of(where), result, torch.zeros_like(result))
    return result


def _outer(ufunc: np.ufunc, function: Any, inputs: tuple, kwargs: dict[str, Any]) -> Any:
    x, y = (tensor_of(x) for x in inputs)
    return _call(ufunc, function, (x.reshape(*x.shape, *(1,) * y.ndim), y), {}, **kwargs)


# ---------------------------------------------------------------- reductions

_REDUCTIONS: dict[Any, tuple[str, Any]] = {  # our function, and the value that changes nothing
    np.add: ("sum", 0), np.multiply: ("prod", 1), np.maximum: ("amax", None), np.minimum: ("amin", None),
    np.logical_and: ("all", True), np.logical_or: ("any", False), np.logaddexp: ("logsumexp", -np.inf),
}  # fmt: skip
_ACCUMULATIONS = {
    np.add: "cumsum", np.multiply: "cumprod", np.maximum: "cummax", np.minimum: "cummin", np.logaddexp: "logcumsumexp",
}  # fmt: skip


def _reduce(ufunc: np.ufunc, function: Any, inputs: tuple, kwargs: dict[str, Any]) -> Any:
    if ufunc not in _REDUCTIONS or isinstance(kwargs.get("out"), tuple) and len(kwargs["out"]) != 1:
        return NotImplemented
    names = ("array", "axis", "dtype", "out", "keepdims", "initial", "where")
    given = {"axis": 0} | dict(zip(names, inputs, strict=False)) | kwargs
    return reduced(ufunc, given.pop("array"), **given)


def reduced(
    ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    """`ufunc.reduce`, which is what NumPy's sum, prod, max, min, all and any are."""
    name, neutral = _REDUCTIONS[ufunc]
    x = tensor_of(array)
    if dtype is not None:
        x = x.to(dtype)
    if where is not True:
        fill = initial if neutral is None else neutral
        if fill is None:
            raise ValueError(f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where mask one has to specify 'initial'")  # fmt: skip
        x = torch.where(tensor_of(where), x, torch.full((), fill, dtype=torch.result_type(x, fill)))
    axes = tuple(range(x.ndim)) if axis is None else axis
    if axes == ():
        result = x
    elif name == "amax" or name == "amin":
        result = _extreme(getattr(torch, name), x, axes, keepdims, initial)
    else:
        result = getattr(torch, name)(x, axes, keepdims)
    if initial is not None:
        result = function_on(ufunc, result, initial)
    if dtype is not None:
        result = result.to(dtype)
    return store(result, out)


def _extreme(function: Any, x: Tensor, axes: Any, keepdims: bool, initial: Any) -> Tensor:
    """amax or amin; of nothing, `initial`."""
    if x.numel() or initial is None:
        return function(x, axes, keepdims)
    return torch.full_like(torch.sum(x, axes, keepdims), initial, dtype=x.dtype)


def function_on(ufunc: np.ufunc, x: Tensor, y: Any) -> Tensor:
    return _call(ufunc, _function_of(ufunc), (x, y), {})


def _accumulate(ufunc: np.ufunc, function: Any, inputs: tuple, kwargs: dict[str, Any]) -> Any:
    if ufunc not in _ACCUMULATIONS or not hasattr(torch, _ACCUMULATIONS[ufunc]):
        return NotImplemented
    given = {"axis": 0} | dict(zip(("array", "axis", "dtype", "out"), inputs, strict=False)) | kwargs
    return accumulated(ufunc, given.pop("array"), **given)


def accumulated(ufunc: np.ufunc, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
    """`ufunc.accumulate`: running sums, products and extremes."""
    x = tensor_of(array)
    if dtype is not None:
        x = x.to(dtype)
    result = getattr(torch, _ACCUMULATIONS[ufunc])(x, axis)
    result = getattr(result, "values", result) if not isinstance(result, Tensor) else result
    return store(result, out)


def _at(ufunc: np.ufunc, function: Any, inputs: tuple, kwargs: dict[str, Any]) -> Any:
    target, indices, *values = inputs
    if not isinstance(target, Tensor) or ufunc not in (np.add, np.subtract):
        return NotImplemented
    if not isinstance(indices, tuple):
        indices = (indices,)
    if any(isinstance(i, slice) or i is None or i is Ellipsis for i in indices):
        return NotImplemented
    amount = tensor_of(values[0]).to(target.dtype)
    target.index_put_([tensor_of(i) for i in indices], amount if ufunc is np.add else -amount, accumulate=True)
    return None


def _handled(function: Any) -> Any:
    return lambda ufunc, ours, inputs, kwargs: function(ufunc, ours, inputs, {}, **_known(kwargs))


def _known(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Without the options that say how NumPy is to lay out memory."""
    return {key: value for key, value in kwargs.items() if key not in ("order", "subok", "signature")}


_METHODS: dict[str, Any] = {
    "__call__": _handled(_call),
    "outer": lambda ufunc, ours, inputs, kwargs: _outer(ufunc, ours, inputs, _known(kwargs)),
    "reduce": _reduce,
    "accumulate": _accumulate,
    "at": _at,
}
