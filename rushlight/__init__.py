"""rushlight: PyTorch's tensors, autograd and optimization in readable Python.

`import rushlight as torch` runs PyTorch code. No logic here: names only.
"""

from rushlight import dtypes as _dtypes
from rushlight.dtypes import (
    bfloat16, bool, cdouble, cfloat, complex64, complex128, double, dtype, finfo, float, float16, float32, float64,
    get_default_dtype, half, iinfo, int, int8, int16, int32, int64, long, promote_types, set_default_dtype, short,
    uint8, uint16, uint32, uint64,
)  # fmt: skip
from rushlight.devices import device
from rushlight.layouts import (
    channels_last, channels_last_3d, contiguous_format, layout, memory_format, preserve_format, strided,
)  # fmt: skip
from rushlight.tensor import Size, Tensor
from rushlight import methods as _methods
from rushlight.api.elementwise import (
    abs, absolute, acos, acosh, add, addcdiv, addcmul, allclose, arccos, arccosh, arcsin, arcsinh, arctan, arctan2,
    arctanh, asin, asinh, atan, atan2, atanh, bitwise_and, bitwise_left_shift, bitwise_not, bitwise_or,
    bitwise_right_shift, bitwise_xor, ceil, clamp, clamp_max, clamp_min, clip, cos, cosh, div, divide, eq, equal, erf,
    exp, exp2, expm1, deg2rad, fix, floor, frac, positive, rad2deg, floor_divide, fmod, ge, greater, greater_equal, gt, isclose, isfinite, isinf, isnan,
    le, lerp, less, less_equal, log, log10, log1p, log2, logical_and, logical_not, logical_or, logical_xor, lt,
    maximum, minimum, mul, multiply, ne, neg, negative, not_equal, pow, reciprocal, relu, remainder, round, rsqrt,
    rsub, sigmoid, sign, sin, sinh, sqrt, square, sub, subtract, tan, tanh, true_divide, trunc, where,
)  # fmt: skip
from rushlight.api.indexing import (
    argwhere, gather, index_put, index_select, masked_fill, masked_select, nonzero, scatter, scatter_add, take_along_dim,
)  # fmt: skip
from rushlight.api.joining import (
    atleast_1d, atleast_2d, atleast_3d, column_stack, diff, dstack, hstack, meshgrid, row_stack, tensor_split, vstack,
)  # fmt: skip
from rushlight.api.query import can_cast, is_complex, is_floating_point, is_nonzero, is_tensor, numel, result_type
from rushlight.api.linalg import addmm, bmm, dot, ger, matmul, mm, mv, outer
from rushlight.api.sample import bernoulli, normal
from rushlight.api.reduce import (
    all, amax, amin, aminmax, any, argmax, argmin, argsort, cumsum, log_softmax, logsumexp, max, mean, min, norm, prod, softmax,
    count_nonzero, sort, std, std_mean, sum, topk, var, var_mean,
)  # fmt: skip
from rushlight.api.views import (
    adjoint, broadcast_shapes, broadcast_tensors, broadcast_to, cat, chunk, clone, concat, concatenate, detach,
    flatten, flip, fliplr, flipud, moveaxis, movedim, narrow, permute, ravel, reshape, roll, select, split, squeeze,
    stack, swapaxes, swapdims, t, tile, transpose, tril, triu, unbind, unsafe_chunk, unsafe_split, unflatten, unsqueeze,
)  # fmt: skip
from rushlight.ops.create import (
    arange, as_tensor, asarray, empty, empty_like, eye, from_numpy, full, full_like, linspace, ones, ones_like, rand,
    rand_like, randint, randn, randn_like, randperm, tensor, zeros, zeros_like,
)  # fmt: skip
from rushlight.random import Generator, default_generator, initial_seed, manual_seed, seed
from rushlight.autograd.modes import (
    enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, set_grad_enabled,
)  # fmt: skip
from rushlight.compiler.function import compile
from rushlight.compiler.workers import get_num_threads, set_num_threads
from rushlight import autograd, cuda, nn, optim, special, utils
from rushlight.printing import set_printoptions
from rushlight.serialization import load, save

__version__ = "0.1.0"
