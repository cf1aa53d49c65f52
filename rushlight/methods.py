"""Which functions are methods of Tensor, and its operators. Each is the function itself: there is no second definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import dtypes, random as random_numbers
from rushlight.api import convert, elementwise, forms, indexing, joining, linalg, query, reduce, sample, views
from rushlight.arrays import numpy as numpy_arrays
from rushlight.arrays.protocol import BINARY, UNARY
from rushlight.ops import complex as complex_ops, elementwise as ops
from rushlight.ops.create import as_tensor
from rushlight.ops.define import creation_namespace, tensor_arrays
from rushlight.ops.inplace import write
from rushlight.tensor import Tensor, wrap

METHODS: dict[Any, tuple[str, ...]] = {
    elementwise: (
        "abs", "absolute", "acos", "acosh", "arccosh", "arcsinh", "clamp_max", "clamp_max_", "clamp_min", "clamp_min_", "add", "add_", "addcdiv", "addcdiv_", "addcmul", "addcmul_", "allclose",
        "arccos", "arcsin", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and",
        "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clamp",
        "clamp_", "clip", "cos", "cosh", "div", "div_", "divide", "eq", "equal", "erf", "exp", "exp2", "expm1", "fix",
        "floor", "deg2rad", "floor_divide", "fmod", "frac", "positive", "rad2deg", "ge", "greater", "greater_equal", "gt", "isclose", "isfinite", "isinf",
        "isnan", "le", "lerp", "lerp_", "less", "less_equal", "log", "log10", "log1p", "log2", "logical_and",
        "logical_not", "logical_or", "logical_xor", "lt", "maximum", "minimum", "mul", "mul_", "multiply", "ne", "neg",
        "negative", "not_equal", "pow", "reciprocal", "relu", "remainder", "round", "round_", "rsqrt", "sigmoid", "sign", "sin",
        "sinh", "sqrt", "square", "sub", "sub_", "subtract", "tan", "tanh", "true_divide", "trunc",
    ),
    reduce: (
        "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "cumsum", "cumsum_", "log_softmax", "logsumexp", "max", "mean",
        "aminmax", "count_nonzero", "min", "norm", "prod", "softmax", "sort", "std", "sum", "topk", "var",
    ),
    views: (
        "adjoint", "broadcast_to", "chunk", "clone", "contiguous", "copy_", "expand", "expand_as", "fill_", "flatten", "flip",
        "fliplr", "flipud", "moveaxis", "movedim", "narrow", "new_empty", "new_full", "new_ones", "new_tensor",
        "new_zeros", "permute", "ravel", "repeat", "reshape", "reshape_as", "roll", "select", "split", "unsafe_split", "unsafe_chunk", "squeeze",
        "squeeze_", "swapaxes", "swapaxes_", "swapdims", "swapdims_", "t", "t_", "tile", "transpose", "transpose_",
        "tril", "tril_", "triu", "triu_", "unbind", "unflatten", "unsqueeze", "unsqueeze_", "view", "view_as", "zero_",
    ),
    convert: ("cpu", "to", "type_as"),
    indexing: (
        "argwhere", "gather", "index_put", "index_put_", "index_select", "masked_fill", "masked_fill_", "masked_select", "nonzero", "scatter",
        "scatter_", "scatter_add", "scatter_add_", "take_along_dim",
    ),
    joining: ("diff", "tensor_split"),
    query: ("is_nonzero",),
    sample: ("bernoulli",),
    linalg: ("addmm", "addmm_", "bmm", "dot", "ger", "matmul", "mm", "mv", "outer"),
}  # fmt: skip

# Functions that take `out=` (`api.forms.with_out`); methods of the same name do not, as in PyTorch.
OUT: dict[Any, tuple[str, ...]] = {}


def _array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NumPy's function on tensors, as the operation of the same meaning: `np.sin(t)` is recorded like `t.sin()`."""
    operation = _OF_UFUNC.get(ufunc)
    return operation(*inputs) if operation is not None and method == "__call__" and not kwargs else NotImplemented


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: function(other, self)


def _bind() -> None:
    for module, names in METHODS.items():
        for name in names:
            setattr(Tensor, name, getattr(module, name))
    for module, names in OUT.items():
        for name in names:
            setattr(module, name, forms.with_out(getattr(module, name)))
    Tensor.where = lambda self, condition, other: elementwise.where(condition, self, other)
    for name, function in (elementwise.IN_PLACE | convert.DTYPE_METHODS).items():
        setattr(Tensor, name, function)
    operators = {
        "add": ops.add, "sub": elementwise.subtracted, "mul": ops.mul, "truediv": ops.div, "floordiv": ops.floor_divide,
        "mod": ops.remainder, "pow": ops.pow, "matmul": linalg.matmul, "and": ops.bitwise_and, "or": ops.bitwise_or,
        "xor": ops.bitwise_xor, "lshift": ops.bitwise_left_shift, "rshift": ops.bitwise_right_shift,
    }  # fmt: skip
    for name, function in operators.items():
        setattr(Tensor, f"__{name}__", function)
        setattr(Tensor, f"__r{name}__", function if name in ("add", "mul") else _reflected(function))
    in_place = {
        "iadd": elementwise._add_, "isub": elementwise._sub_, "imul": elementwise._mul_, "itruediv": elementwise._div_,
        "ipow": Tensor.pow_, "ifloordiv": Tensor.floor_divide_, "imod": Tensor.remainder_, "iand": Tensor.bitwise_and_,
        "ior": Tensor.bitwise_or_, "ixor": Tensor.bitwise_xor_,
        "ilshift": Tensor.bitwise_left_shift_, "irshift": Tensor.bitwise_right_shift_,
    }  # fmt: skip
    for name, function in in_place.items():
        setattr(Tensor, f"__{name}__", function)
    comparisons = {"lt": ops.lt, "le": ops.le, "gt": ops.gt, "ge": ops.ge, "eq": ops.eq, "ne": ops.ne}
    for name, function in comparisons.items():
        setattr(Tensor, f"__{name}__", function)
    Tensor.__neg__, Tensor.__abs__, Tensor.__invert__ = ops.neg, ops.abs, ops.bitwise_not
    Tensor.__pos__ = lambda self: self
    Tensor.__getitem__, Tensor.__setitem__ = indexing.getitem, indexing.setitem
    Tensor.__array_ufunc__ = _array_ufunc


# ---------------------------------------------------------------- properties that are views


def _transposed(self: Tensor) -> Tensor:
    """The dimensions in reverse order."""
    return views.t(self) if self.ndim == 2 else views.permute(self, tuple(reversed(range(self.ndim))))


def _adjoint(self: Tensor) -> Tensor:
    """The conjugate transpose: of real numbers, `T`."""
    if self.is_complex():
        raise NotImplementedError("tensor.H of complex tensors is not built yet: it needs conj()")
    return _transposed(self)


def _matrix_adjoint(self: Tensor) -> Tensor:
    """The conjugate transpose of the last two dimensions: of real numbers, `mT`."""
    if self.is_complex():
        raise NotImplementedError("tensor.mH of complex tensors is not built yet: it needs conj()")
    return _matrix_transposed(self)


def _matrix_transposed(self: Tensor) -> Tensor:
    """The last two dimensions swapped."""
    if self.ndim < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {self.ndim}-D tensor.")
    return views.transpose(self, -2, -1)


Tensor.T, Tensor.mT = property(_transposed), property(_matrix_transposed)
Tensor.H, Tensor.mH = property(_adjoint), property(_matrix_adjoint)


# ---------------------------------------------------------------- random numbers in place


def _fill_with_draw(self: Tensor, name: str, generator: Any, method: str, *args: Any) -> Tensor:
    source, array = generator or random_numbers.default_generator, self._array
    xp = creation_namespace()
    return write(self, wrap(xp.draw(source, method, array.shape, *args, array.dtype)), name)


def _drawn(generator: Any) -> Any:
    return generator or random_numbers.default_generator


def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Any = None, **kwargs: Any) -> Tensor:
    """Fills with numbers uniform on [from, to)."""
    low = kwargs.get("from", from_)
    if low > to:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={to}")
    return _fill_with_draw(self, "uniform_", generator, "uniform", low, to)


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Fills with numbers from a normal distribution."""
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    return _fill_with_draw(self, "normal_", generator, "normal", mean, std)


def random_(self: Tensor, *bounds: int, generator: Any = None) -> Tensor:
    """Fills with integers: below `to`, from `from` to below `to`, or over the dtype's range."""
    source = _drawn(generator)
    if bounds:
        low, high = (0, bounds[0]) if len(bounds) == 1 else bounds
        array = source.randint(low, high, self._array.shape, self._array.dtype)
    else:
        array = source.random_full(self._array.shape, self._array.dtype)
    return write(self, array, "random_")


def bernoulli_(self: Tensor, p: float = 0.5, *, generator: Any = None) -> Tensor:
    """Fills with 1 with probability p, else 0."""
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return write(self, _drawn(generator).bernoulli(p, self._array.shape, self._array.dtype), "bernoulli_")


for _function in (uniform_, normal_, random_, bernoulli_):
    setattr(Tensor, _function.__name__, _function)
_bind()


# ---------------------------------------------------------------- what the waist needs of Tensors beyond operations


def _slice_on_tensors(x: Tensor, index: Any) -> Tensor:
    from rushlight.ops.views import flip, slice_

    reversed_axes = tuple([i for i, item in enumerate(index) if isinstance(item, slice) and (item.step or 1) < 0])
    if not reversed_axes:
        return slice_(x, index=index)
    plain = tuple([slice(None) if i in reversed_axes else item for i, item in enumerate(index)])
    return slice_(flip(x, axes=reversed_axes), index=plain)


def _on_tensors() -> None:
    waist = tensor_arrays
    waist.full = lambda shape, value, dtype: wrap(creation_namespace().full(shape, value, dtypes.as_numpy(dtype)))
    waist.assign = lambda target, value: write(target, value, "assign")
    for name in ("sum", "prod", "max", "min", "any", "all", "argmax", "argmin"):
        function = getattr(waist, name)
        setattr(waist, name, lambda x, axis=None, keepdims=False, f=function: f(x, axis=axis, keepdims=keepdims))
    permute, broadcast, take = waist.permute_dims, waist.broadcast_to, waist.take
    waist.reshape = lambda x, shape: views.reshape(x, shape)
    waist.permute_dims = lambda x, axes: permute(x, axes=axes)
    waist.broadcast_to = lambda x, shape: broadcast(x, shape=tuple(shape))
    waist.astype = lambda x, dtype, f=waist.astype: f(x, dtype=dtypes.as_numpy(dtype))
    waist.conj = lambda x: complex_ops.conj(x) if x.is_complex() else x
    waist.real = lambda x: complex_ops.real(x) if x.is_complex() else x
    waist.imag = lambda x: complex_ops.imag(x) if x.is_complex() else waist.full(x.shape, 0, x.dtype)
    waist.take = lambda x, indices, axis: take(x, indices, axis=axis)
    waist.slice = _slice_on_tensors
    waist.concat = lambda arrays, axis=0: views.cat(list(arrays), axis)


_on_tensors()
_OF_UFUNC = {
    getattr(numpy_arrays, name): getattr(tensor_arrays, name)
    for name in (*UNARY, *BINARY)
    if hasattr(tensor_arrays, name) and hasattr(numpy_arrays, name)
}
_OF_UFUNC[np.matmul] = lambda x, y: linalg.matmul(as_tensor(x), as_tensor(y))
