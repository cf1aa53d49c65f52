"""Which functions are methods of Tensor, and its operators. Each is the function itself: there is no second definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight import dtypes
from rushlight.api import (
    comparison,
    complex,
    convert,
    copies,
    creation,
    cutting,
    elementwise,
    forms,
    fourier,
    gathering,
    histograms,
    indexing,
    inplace,
    joining,
    linalg,
    linalg_classic,
    linalg_data,
    linalg_factor,
    linalg_least,
    linalg_norm,
    linalg_products,
    linalg_solve,
    memory,
    numeric,
    query,
    ranges,
    rearranging,
    reduce,
    sample,
    scan,
    scattering,
    sorting,
    sparse,
    special,
    spectral,
    statistics,
    transposes,
    views,
)  # fmt: skip
from rushlight.arrays.kinds import namespace_of
from rushlight.interop import protocols
from rushlight.ops import complex as complex_ops, create, elementwise as ops
from rushlight.ops.inplace import write
from rushlight.ops.namespaces import creation_namespace, tensor_arrays
from rushlight.tensor import Tensor, wrap

METHODS: dict[Any, tuple[str, ...]] = {
    sparse: (
        "_indices", "_nnz", "_values", "coalesce", "dense_dim", "indices", "is_coalesced", "sparse_dim", "sparse_mask", "to_dense",
        "to_sparse", "values",
    ),
    comparison: ("allclose", "equal", "isclose"),
    complex: ("angle", "conj", "conj_physical", "is_conj", "is_neg", "isreal", "sgn"),
    numeric: (
        "copysign", "float_power", "fmax", "fmin", "frexp", "gcd", "heaviside", "hypot", "isneginf", "isposinf", "lcm", "ldexp",
        "logaddexp", "logaddexp2", "nan_to_num", "nextafter", "signbit",
    ),
    special: (
        "digamma", "erfc", "erfinv", "i0", "igamma", "igammac", "lgamma", "logit", "mvlgamma", "sinc", "xlogy",
    ),
    elementwise: (
        "abs", "absolute", "acos", "acosh", "arccosh", "arcsinh", "clamp_max", "clamp_max_", "clamp_min", "clamp_min_", "add", "add_", "addcdiv", "addcdiv_", "addcmul", "addcmul_", "arccos", "arcsin", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and",
        "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clamp",
        "clamp_", "clip", "cos", "cosh", "div", "div_", "divide", "eq", "erf", "exp", "exp2", "expm1", "fix",
        "floor", "deg2rad", "floor_divide", "fmod", "frac", "positive", "rad2deg", "ge", "greater", "greater_equal", "gt", "isfinite", "isinf",
        "isnan", "le", "lerp", "lerp_", "less", "less_equal", "log", "log10", "log1p", "log2", "logical_and",
        "logical_not", "logical_or", "logical_xor", "lt", "maximum", "minimum", "mul", "mul_", "multiply", "ne", "neg",
        "negative", "not_equal", "pow", "reciprocal", "relu", "remainder", "round", "round_", "rsqrt", "sigmoid", "sign", "sin",
        "sinh", "sqrt", "square", "sub", "sub_", "subtract", "tan", "tanh", "true_divide", "trunc",
    ),
    reduce: (
        "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "count_nonzero", "log_softmax", "logsumexp", "max",
        "mean", "min", "prod", "softmax", "sum",
    ),
    scan: ("cummax", "cummin", "cumprod", "cumprod_", "cumsum", "cumsum_", "logcumsumexp"),
    sorting: ("argsort", "kthvalue", "msort", "sort", "topk", "unique", "unique_consecutive"),
    statistics: (
        "median", "mode", "nanmean", "nanmedian", "nanquantile", "nansum", "quantile", "renorm",
        "renorm_", "std", "var",
    ),
    histograms: ("bincount", "histc", "histogram"),
    views: (
        "broadcast_to", "expand", "expand_as", "flatten", "moveaxis", "movedim", "permute",
        "ravel", "reshape", "reshape_as", "resolve_conj", "resolve_neg", "squeeze", "sum_to_size", "swapaxes", "swapdims",
        "t", "transpose", "unflatten", "unsqueeze", "view", "view_as",
    ),
    cutting: (
        "as_strided", "chunk", "diagonal", "dsplit", "hsplit", "narrow", "select", "split", "split_with_sizes", "tensor_split",
        "unbind", "unfold", "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "vsplit",
    ),
    transposes: ("adjoint",),
    memory: (
        "clone", "contiguous", "dim_order", "is_contiguous", "is_same_size", "is_set_to", "is_shared", "pin_memory", "record_stream",
        "resize_",         "resize_as_", "set_", "share_memory_", "storage", "storage_offset", "untyped_storage",
    ),
    copies: ("as_strided_scatter", "diagonal_scatter", "narrow_copy", "select_scatter", "slice_scatter"),
    rearranging: (
        "diag", "diag_embed", "diagflat", "flip", "fliplr", "flipud", "repeat", "repeat_interleave", "roll", "rot90", "tile",
        "tril", "triu",
    ),
    inplace: (
        "as_strided_", "copy_", "fill_", "fill_diagonal_", "squeeze_", "swapaxes_", "swapdims_", "t_", "transpose_", "tril_", "triu_", "unsqueeze_",
        "zero_",
    ),
    creation: ("new_empty", "new_empty_strided", "new_full", "new_ones", "new_tensor", "new_zeros"),
    convert: ("apply_", "as_subclass", "cpu", "cuda", "map2_", "map_", "module_load", "new", "to", "type", "type_as"),
    indexing: ("index_put", "index_put_"),
    gathering: (
        "argwhere", "gather", "index_select", "masked_select", "nonzero", "nonzero_static", "take", "take_along_dim",
    ),
    scattering: (
        "index_add", "index_add_", "index_copy", "index_copy_", "index_fill", "index_fill_", "index_reduce", "index_reduce_",
        "masked_fill", "masked_fill_", "masked_scatter", "masked_scatter_", "put", "put_", "scatter", "scatter_", "scatter_add",
        "scatter_add_", "scatter_reduce", "scatter_reduce_",
    ),
    joining: ("diff",),
    query: ("is_nonzero",),
    spectral: ("istft", "stft"),
    sample: (
        "bernoulli", "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "multinomial", "normal_", "random_",
        "uniform_",
    ),
    linalg: (
        "addbmm", "addbmm_", "addmm", "addmm_", "addmv", "addmv_", "addr", "addr_", "baddbmm", "baddbmm_", "bmm", "dot", "ger",
        "matmul", "mm", "mv", "outer", "vdot",
    ),
    linalg_classic: ("cholesky", "cross", "det", "inverse", "lu", "lu_solve", "norm", "qr", "slogdet", "svd"),
    linalg_data: ("corrcoef", "cov"),
    linalg_factor: ("geqrf", "orgqr", "ormqr"),
    linalg_least: ("pinverse",),
    linalg_norm: ("dist",),
    linalg_products: ("inner", "kron", "trace"),
    linalg_solve: (
        "cholesky_inverse", "cholesky_solve", "logdet", "matrix_exp", "matrix_power", "triangular_solve",
    ),
}  # fmt: skip

# Functions that take `out=` (`api.forms.with_out`); methods of the same name do not, as in PyTorch.
OUT: dict[Any, tuple[str, ...]] = {
    comparison: ("isin",),
    linalg: ("addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "dot", "ger", "matmul", "mm", "mv", "outer", "vdot", "vecdot"),
    linalg_classic: ("cholesky", "cross", "inverse", "lu_solve", "norm", "qr", "slogdet", "svd"),
    linalg_factor: (
        "cholesky", "cholesky_ex", "eig", "eigh", "eigvals", "eigvalsh", "geqrf", "householder_product", "ldl_factor",
        "ldl_factor_ex", "lu", "lu_factor", "lu_factor_ex", "lu_unpack", "orgqr", "ormqr", "qr", "svd", "svdvals",
    ),
    linalg_least: ("lstsq", "matrix_rank", "pinv"),
    linalg_norm: ("cond", "matrix_norm", "norm", "vector_norm"),
    linalg_products: ("chain_matmul", "cross", "inner", "kron", "multi_dot", "tensordot"),
    linalg_solve: (
        "cholesky_inverse", "cholesky_solve", "det", "inv", "inv_ex", "ldl_solve", "lu_solve", "matrix_power", "slogdet",
        "solve", "solve_ex", "solve_triangular", "tensorinv", "tensorsolve", "triangular_solve",
    ),
    complex: ("angle", "conj_physical", "sgn"),
    copies: (
        "alias_copy", "as_strided_copy", "detach_copy", "diagonal_copy", "expand_copy", "narrow_copy", "permute_copy",
        "select_copy", "slice_copy", "split_copy", "split_with_sizes_copy", "squeeze_copy", "t_copy", "transpose_copy",
        "unbind_copy", "unfold_copy", "unsqueeze_copy", "view_copy",
    ),
    gathering: ("gather", "index_select", "masked_select", "nonzero", "take", "take_along_dim"),
    joining: (
        "cat", "column_stack", "concat", "concatenate", "diff", "dstack", "hstack", "row_stack", "stack", "vstack",
    ),
    rearranging: ("diag", "tril", "triu"),
    scattering: (
        "index_add", "index_copy", "index_reduce", "scatter", "scatter_add", "scatter_reduce",
    ),
    elementwise: (
        "abs", "absolute", "acos", "acosh", "add", "addcdiv", "addcmul", "arccos", "arccosh", "arcsin", "arcsinh", "arctan",
        "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_left_shift", "bitwise_not",
        "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "cos", "cosh",
        "deg2rad", "div", "divide", "eq", "erf", "exp", "exp2", "expm1", "fix", "floor", "floor_divide", "fmod", "frac", "ge",
        "greater", "greater_equal", "gt", "le", "lerp", "less", "less_equal", "log", "log10", "log1p", "log2",
        "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "maximum", "minimum", "mul", "multiply", "ne", "neg",
        "negative", "not_equal", "pow", "rad2deg", "reciprocal", "remainder", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh",
        "sqrt", "square", "sub", "subtract", "tan", "tanh", "true_divide", "trunc", "where",
    ),
    numeric: (
        "copysign", "float_power", "fmax", "fmin", "frexp", "gcd", "heaviside", "hypot", "isneginf", "isposinf", "lcm", "ldexp",
        "logaddexp", "logaddexp2", "nan_to_num", "nextafter", "signbit",
    ),
    special: (
        "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "digamma", "entr", "erfc", "erfcx", "erfinv", "gammainc",
        "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "igamma", "igammac", "lgamma", "log_ndtr", "logit",
        "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "multigammaln", "mvlgamma",
        "ndtr", "ndtri", "polygamma", "psi", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "sinc",
        "spherical_bessel_j0", "xlog1py", "xlogy", "zeta", *(f.__name__ for f in special.POLYNOMIALS),
    ),
    fourier: (
        "fft", "fft2", "fftfreq", "fftn", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ihfft", "ihfft2", "ihfftn",
        "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
    ),
    reduce: (
        "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "logsumexp", "max", "mean", "min", "prod",
        "softmax", "log_softmax", "sum",
    ),
    scan: ("cummax", "cummin", "cumprod", "cumsum", "logcumsumexp"),
    sorting: ("argsort", "bucketize", "kthvalue", "msort", "searchsorted", "sort", "topk"),
    statistics: ("median", "mode", "nanmean", "nanmedian", "nanquantile", "nansum", "quantile", "renorm", "std", "var"),
    histograms: ("histc", "histogram"),
}  # fmt: skip


# New tensors, made in the dtype of their `out=`.
CREATED_OUT: dict[Any, tuple[str, ...]] = {
    create: ("empty", "full", "ones", "zeros"),
    ranges: ("arange", "eye", "linspace", "logspace"),
}


def _reflected(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The operator for a tensor on the right; where the order does not matter, the tensor goes first: a shorter path."""
    commutes = name in ("__radd__", "__rmul__", "__rand__", "__ror__", "__rxor__")

    def operator(self: Tensor, other: Any) -> Any:
        if commutes and not isinstance(self, Tensor):
            raise TypeError(
                f"descriptor '{name}' for 'Tensor' objects doesn't apply to a '{type(self).__name__}' object"
            )
        return function(self, other) if commutes else function(other, self)

    operator.__name__ = operator.__qualname__ = name
    return operator


def _bind() -> None:
    for module, names in METHODS.items():
        for name in names:
            setattr(Tensor, name, getattr(module, name))
    for module, names in OUT.items():
        for name in names:
            setattr(module, name, forms.with_out(getattr(module, name)))
    for module, names in CREATED_OUT.items():
        for name in names:
            setattr(module, name, forms.created_with_out(getattr(module, name)))
    Tensor.where = lambda self, condition, other: elementwise.where(condition, self, other)
    Tensor.polygamma = lambda self, n: special.polygamma(n, self)
    in_place_forms = complex.IN_PLACE | elementwise.IN_PLACE | numeric.IN_PLACE | special.IN_PLACE
    for name, function in (in_place_forms | convert.DTYPE_METHODS).items():
        setattr(Tensor, name, function)
    operators = {
        "add": ops.add, "sub": elementwise.subtracted, "mul": ops.mul, "truediv": ops.div, "floordiv": ops.floor_divide,
        "mod": ops.remainder, "pow": ops.pow, "matmul": Tensor.matmul, "and": ops.bitwise_and, "or": ops.bitwise_or,
        "xor": ops.bitwise_xor, "lshift": ops.bitwise_left_shift, "rshift": ops.bitwise_right_shift,
    }  # fmt: skip
    for name, function in operators.items():
        setattr(Tensor, f"__{name}__", function)
        setattr(Tensor, f"__r{name}__", _reflected(f"__r{name}__", function))
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
    Tensor.__neg__, Tensor.__abs__, Tensor.__invert__ = elementwise.neg, ops.abs, ops.bitwise_not
    Tensor.__pos__ = elementwise.positive
    Tensor.__rdiv__ = lambda self, other: self.reciprocal() * other
    Tensor.__getitem__, Tensor.__setitem__ = indexing.getitem, indexing.setitem
    for name, function in protocols.METHODS.items():
        setattr(Tensor, name, function)


Tensor.T, Tensor.mT = property(transposes.reversed_dimensions), property(transposes.matrix_transpose)
Tensor.H, Tensor.mH = property(transposes.conjugate_transpose), property(transposes.matrix_adjoint)
Tensor.real = property(complex.real, lambda self, value: complex.real(self).copy_(value))
Tensor.imag = property(complex.imag, lambda self, value: complex.imag(self).copy_(value))


_bind()


# ---------------------------------------------------------------- what the waist needs of Tensors beyond operations


def _slice_on_tensors(x: Tensor, index: Any) -> Tensor:
    from rushlight.ops.views import flip, slice_

    reversed_axes = tuple([i for i, item in enumerate(index) if isinstance(item, slice) and (item.step or 1) < 0])
    if not reversed_axes:
        return slice_(x, index=index)
    plain = tuple([slice(None) if i in reversed_axes else item for i, item in enumerate(index)])
    return slice_(flip(x, axes=reversed_axes), index=plain)


# Waist functions whose results are positions or truth values, which have no derivative.
_POSITIONS = (
    "argsort", "cumulative_argmax", "cumulative_argmin", "index_of_rank", "isin", "mode_index", "searchsorted", "signbit",
    "top_indices",
)  # fmt: skip


def _positions(name: str, operands: tuple, attrs: dict[str, Any]) -> Tensor:
    arrays = [getattr(x, "_array", x) for x in operands]
    while any(hasattr(a, "primal") for a in arrays):  # of dual arrays: they have no tangents
        arrays = [a.primal._array if hasattr(a, "primal") else a for a in arrays]
    return wrap(getattr(namespace_of(*arrays), name)(*arrays, **attrs))


def _on_tensors() -> None:
    waist = tensor_arrays
    waist.arange = lambda start, stop, step, dtype: wrap(
        creation_namespace().arange(start, stop, step, dtypes.as_numpy(dtype))
    )
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
    waist.concat = lambda arrays, axis=0: joining.cat([x if isinstance(x, Tensor) else wrap(x) for x in arrays], axis)
    for name in _POSITIONS:
        setattr(waist, name, lambda *operands, f=name, **attrs: _positions(f, operands, attrs))
    waist.sort = lambda x, axis=-1, **order: waist.take_along_axis(x, waist.argsort(x, axis=axis, **order), axis=axis)


_on_tensors()
