"""`rushlight.array_api`: the Python array API standard 2025.12 on rushlight's tensors.

`rushlight` itself keeps PyTorch's spelling; here are the standard's names, signatures and promotion, one thin layer over
the same functions, differentiable like them. `tensor.__array_namespace__()` leads here.
"""

from math import e, inf, nan, pi

from rushlight.array_api import fft, linalg
from rushlight.array_api.creation import (
    arange, asarray, empty, empty_like, eye, from_dlpack, full, full_like, linspace, meshgrid, ones, ones_like, tril,
    triu, zeros, zeros_like,
)  # fmt: skip
from rushlight.array_api.data_types import astype, can_cast, finfo, iinfo, isdtype, result_type
from rushlight.array_api.elementwise import (
    abs, acos, acosh, add, asin, asinh, atan, atan2, atanh, bitwise_and, bitwise_invert, bitwise_left_shift,
    bitwise_or, bitwise_right_shift, bitwise_xor, ceil, clip, conj, copysign, cos, cosh, divide, equal, exp, expm1,
    floor, floor_divide, greater, greater_equal, hypot, imag, isfinite, isinf, isnan, less, less_equal, log, log1p,
    log2, log10, logaddexp, logical_and, logical_not, logical_or, logical_xor, maximum, minimum, multiply, negative,
    nextafter, not_equal, positive, pow, real, reciprocal, remainder, round, sign, signbit, sin, sinh, sqrt, square,
    subtract, tan, tanh, trunc,
)  # fmt: skip
from rushlight.array_api.info import __array_namespace_info__
from rushlight.array_api.linalg import matmul, matrix_transpose, tensordot, vecdot
from rushlight.array_api.manipulation import (
    broadcast_arrays, broadcast_shapes, broadcast_to, concat, expand_dims, flip, moveaxis, permute_dims, repeat,
    reshape, roll, squeeze, stack, tile, unstack,
)  # fmt: skip
from rushlight.array_api.searching import (
    argmax, argmin, argsort, count_nonzero, isin, nonzero, searchsorted, sort, take, take_along_axis, unique_all,
    unique_counts, unique_inverse, unique_values, where,
)  # fmt: skip
from rushlight.array_api.statistics import (
    all, any, cumulative_prod, cumulative_sum, diff, max, mean, min, prod, std, sum, var,
)  # fmt: skip
from rushlight.dtypes import (
    bool, complex64, complex128, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64,
)  # fmt: skip

newaxis = None
__array_api_version__ = "2025.12"
API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")
