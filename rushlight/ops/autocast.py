"""Which functions autocast computes in lower precision, which in float32, and how.

PyTorch's documented lists for the CPU and for GPUs. `modes.autocast` is a pair: the dtype for the CPU and that for GPUs, None where
autocast is off. Outside `rushlight.amp.autocast` a listed function asks one question more than it
would; matrix products, which are on every hot path, not even that: inside the block all operations take the long path
(`ops.long_path`), and those that are `lowered` cast there. float64 is left alone, as in PyTorch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rushlight.autograd.modes import modes
from rushlight.ops import activation, elementwise, recurrent, reduce, scan, special
from rushlight.ops.copies import cast
from rushlight.ops.linalg_norm import vector_norm
from rushlight.ops.matmul import linear, linear_without_bias, matmul
from rushlight.ops.normalization import layer_norm
from rushlight.tensor import Tensor

FLOAT32 = np.dtype(np.float32)
CASTS = "feE"  # NumPy's characters of the dtypes that are cast
LOWERED = (matmul, linear, linear_without_bias)

LOWER: dict[str, tuple[str, ...]] = {
    "rushlight.api.linalg": ("addbmm", "addmm", "baddbmm", "bmm", "vecdot"),
    "rushlight.nn.convolution": (
        "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    ),
    "rushlight.nn.attention": ("scaled_dot_product_attention",),
}  # fmt: skip
IN_FLOAT32: dict[str, tuple[str, ...]] = {
    "rushlight.nn.losses": (
        "binary_cross_entropy", "binary_cross_entropy_with_logits", "huber_loss", "kl_div", "l1_loss", "mse_loss",
        "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss",
    ),
    "rushlight.nn.class_losses": ("cross_entropy", "nll_loss"),
    "rushlight.nn.margin_losses": (
        "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
        "multilabel_margin_loss", "triplet_margin_loss",
    ),
    "rushlight.nn.ctc": ("ctc_loss",),
    "rushlight.nn.pooling": ("avg_pool3d", "max_pool3d"),
    "rushlight.nn.unpooling": ("max_unpool2d", "max_unpool3d"),
    "rushlight.nn.adaptive_pooling": (
        "adaptive_avg_pool3d", "adaptive_max_pool3d", "fractional_max_pool2d", "fractional_max_pool3d",
    ),
    "rushlight.nn.grid_sampling": ("grid_sample", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d"),
    "rushlight.api.complex": ("polar", "view_as_complex"),
    "rushlight.api.reduce": ("prod",),
    "rushlight.api.statistics": ("nanquantile", "quantile"),
    "rushlight.api.spectral": ("stft",),
    "rushlight.api.linalg_norm": ("cdist", "cond"),
    "rushlight.api.linalg_products": ("trace",),
    "rushlight.api.linalg_classic": ("cholesky", "inverse", "lu_solve", "qr", "svd"),
    "rushlight.api.linalg_solve": (
        "cholesky_inverse", "cholesky_solve", "inv", "inv_ex", "solve", "tensorinv", "tensorsolve", "triangular_solve",
    ),
    "rushlight.api.linalg_factor": (
        "cholesky", "cholesky_ex", "eig", "eigh", "eigvals", "eigvalsh", "geqrf", "householder_product", "orgqr", "ormqr", "qr",
        "svd", "svdvals",
    ),
    "rushlight.api.linalg_least": ("lstsq", "matrix_rank", "pinverse"),
    "rushlight.api.fourier": (
        "fft", "fft2", "fftn", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ihfft", "ihfft2", "ihfftn", "irfft",
        "irfft2", "irfftn", "rfft", "rfft2", "rfftn",
    ),
}  # fmt: skip


# On GPUs PyTorch's lists are others. What is one operation here is listed by the operation (`_OF_OPERATIONS`).
_GPU_LOWER: dict[str, tuple[str, ...]] = {
    **LOWER,
    "rushlight.api.linalg": (*LOWER["rushlight.api.linalg"], "addmv", "addr", "mv"),
    "rushlight.api.linalg_products": ("chain_matmul", "multi_dot"),
    "rushlight.nn.recurrent": ("run_cell", "run_layers"),
}  # fmt: skip
_GPU_FLOAT32: dict[str, tuple[str, ...]] = {
    "rushlight.nn.losses": tuple(name for name in IN_FLOAT32["rushlight.nn.losses"] if name != "binary_cross_entropy"),
    **{f"rushlight.nn.{name}": IN_FLOAT32[f"rushlight.nn.{name}"] for name in ("class_losses", "margin_losses")},
    "rushlight.api.linalg_norm": ("cdist", "dist"),
    "rushlight.api.reduce": ("prod",),
    "rushlight.api.statistics": ("renorm",),
    "rushlight.nn.distance": ("cosine_similarity", "pdist"),
    "rushlight.nn.normalization": ("group_norm",),
}
_GPU_WIDEST: dict[str, tuple[str, ...]] = {
    "rushlight.api.indexing": ("index_put",),
    "rushlight.api.linalg": ("bilinear", "dot", "vdot"),
    "rushlight.api.linalg_classic": ("cross",),
    "rushlight.api.linalg_products": ("tensordot",),
    "rushlight.api.scattering": ("scatter_add",),
    "rushlight.nn.grid_sampling": IN_FLOAT32["rushlight.nn.grid_sampling"],
}
_GPU_REFUSED = {"rushlight.nn.losses": ("binary_cross_entropy",)}
_LOWEST, _WIDEST, _REFUSED = "lowest", "widest", "refused"


def with_autocast(namespace: dict[str, Any]) -> None:
    """Wraps a module's listed functions. To be called at the end of the module, with its `globals()`."""
    module = namespace["__name__"]
    for name, rules in _rules_of(module).items():
        namespace[name] = _casting(namespace[name], rules)


def _rules_of(module: str) -> dict[str, list[Any]]:
    """For each listed function of a module, what it is computed in on the CPU and on a GPU; None: in what it is given."""
    rules: dict[str, list[Any]] = {}
    cpu, gpu = ((LOWER, _LOWEST), (IN_FLOAT32, FLOAT32)), (
        (_GPU_LOWER, _LOWEST), (_GPU_FLOAT32, FLOAT32), (_GPU_WIDEST, _WIDEST), (_GPU_REFUSED, _REFUSED)
    )  # fmt: skip
    for place, tables in enumerate((cpu, gpu)):
        for table, rule in tables:
            for name in table.get(module, ()):
                rules.setdefault(name, [None, None])[place] = rule
    return rules


def _casting(function: Callable[..., Any], rules: list[Any]) -> Callable[..., Any]:
    """The function with its tensors cast while autocast is on for the device that they are on."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if modes.autocast is None:
            return function(*args, **kwargs)
        dtype = _wanted(rules, (*args, *kwargs.values()))
        if dtype is None:
            return function(*args, **kwargs)
        before, modes.autocast = modes.autocast, None  # as in PyTorch, what the function calls is not cast again
        try:
            args = tuple([cast_in(x, dtype) for x in args])
            return function(*args, **{key: cast_in(x, dtype) for key, x in kwargs.items()})
        finally:
            modes.autocast = before

    return call


def _wanted(rules: list[Any], values: Any) -> np.dtype | None:
    """The dtype for these operands, where autocast is on for their device and has a rule for it."""
    tensors = list(_tensors_in(values))
    is_on_gpu = any(x.is_cuda for x in tensors)
    dtype, rule = modes.autocast[is_on_gpu], rules[is_on_gpu]
    if dtype is None or rule is None:
        return None
    if rule is _REFUSED:
        raise RuntimeError(
            "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.\n"
            "Many models use a sigmoid layer right before the binary cross entropy layer.\n"
            "In this case, combine the two layers using torch.nn.functional.binary_cross_entropy_with_logits\n"
            "or torch.nn.BCEWithLogitsLoss.  binary_cross_entropy_with_logits and BCEWithLogits are\n"
            "safe to autocast."
        )
    if rule is _WIDEST:
        wide = any(x._array.dtype == FLOAT32 for x in tensors)
        return FLOAT32 if wide else dtype
    found: np.dtype = dtype if rule is _LOWEST else rule
    return found


def _tensors_in(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors_in(value)


def cast_in(value: Any, dtype: np.dtype) -> Any:
    """A tensor in another dtype, or those in a list."""
    if isinstance(value, (list, tuple)) and next(_tensors_in(value), None) is not None:
        return type(value)([cast_in(x, dtype) for x in value])
    is_cast = isinstance(value, Tensor) and value._array.dtype.char in CASTS and value._array.dtype != dtype
    return cast(value, dtype=dtype) if is_cast else value


def is_on_for(x: Tensor) -> bool:
    """Whether autocast is on for the device of a tensor."""
    return modes.autocast is not None and modes.autocast[x.is_cuda] is not None


def _caster(rules: list[Any]) -> Callable[[tuple], tuple]:
    def cast_all(inputs: tuple) -> tuple:
        dtype = _wanted(rules, inputs)
        if dtype is None:
            return inputs
        before, modes.autocast = modes.autocast, None
        try:
            return tuple([cast_in(x, dtype) for x in inputs])
        finally:
            modes.autocast = before

    return cast_all


lowered = _caster([_LOWEST, _LOWEST])  # the operands of a matrix product in autocast's dtype
_OF_OPERATIONS: tuple[tuple[list[Any], tuple[Any, ...]], ...] = (
    ([None, _LOWEST], (activation.prelu,)),
    ([_LOWEST, _LOWEST], (recurrent.rnn_sequence, recurrent.lstm_sequence, recurrent.lstm_sequence_projected)),
    (
        [None, FLOAT32],
        (
            elementwise.acos, elementwise.asin, elementwise.cosh, elementwise.exp, elementwise.expm1, elementwise.log,
            elementwise.log10, elementwise.log1p, elementwise.log2, elementwise.pow, elementwise.reciprocal,
            elementwise.rsqrt, elementwise.sinh, elementwise.tan, special.erfinv, activation.softplus,
            reduce.log_softmax, reduce.logsumexp, reduce.softmax, reduce.sum, layer_norm, vector_norm, scan.cumprod,
            scan.cumsum,
        ),
    ),
)  # fmt: skip
for _function in LOWERED:
    _function.op.lowered = lowered
for _rules, _functions in _OF_OPERATIONS:
    for _function in _functions:
        _function.op.lowered = _caster(_rules)
