"""Which functions autocast computes in lower precision, which in float32, and how.

PyTorch's documented lists for the CPU. Outside `rushlight.amp.autocast` a listed function asks one question more than it
would; matrix products, which are on every hot path, not even that: inside the block all operations take the long path
(`define.Op.general`), and those that are `lowered` cast there. float64 is left alone, as in PyTorch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.autograd.modes import modes
from rushlight.ops.define import cast
from rushlight.ops.matmul import linear, linear_without_bias, matmul
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


def with_autocast(namespace: dict[str, Any]) -> None:
    """Wraps a module's listed functions. To be called at the end of the module, with its `globals()`."""
    name = namespace["__name__"]
    for table, target in ((LOWER, None), (IN_FLOAT32, FLOAT32)):
        for listed in table.get(name, ()):
            namespace[listed] = _casting(namespace[listed], target)


def _casting(function: Callable[..., Any], target: np.dtype | None) -> Callable[..., Any]:
    """The function with its tensors cast while autocast is on: to a dtype, or (None) to autocast's own."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if modes.autocast is None:
            return function(*args, **kwargs)
        dtype = modes.autocast if target is None else target
        before, modes.autocast = modes.autocast, None  # as in PyTorch, what the function calls is not cast again
        try:
            args = tuple([cast_in(x, dtype) for x in args])
            return function(*args, **{key: cast_in(x, dtype) for key, x in kwargs.items()})
        finally:
            modes.autocast = before

    return call


def cast_in(value: Any, dtype: np.dtype) -> Any:
    """A tensor in another dtype, or those in a list."""
    if isinstance(value, (list, tuple)) and any(isinstance(x, Tensor) for x in value):
        return type(value)([cast_in(x, dtype) for x in value])
    is_cast = isinstance(value, Tensor) and value._array.dtype.char in CASTS and value._array.dtype != dtype
    return cast(value, dtype=dtype) if is_cast else value


def lowered(inputs: tuple) -> tuple:
    """The operands of a matrix product in autocast's dtype."""
    dtype = modes.autocast
    modes.autocast = None
    try:
        return tuple([cast_in(x, dtype) for x in inputs])
    finally:
        modes.autocast = dtype


for _function in LOWERED:
    _function.op.lowered = lowered
