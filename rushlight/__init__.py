"""rushlight: PyTorch's tensors, autograd and optimization in readable Python.

`import rushlight as torch` runs PyTorch code. No logic here: names only.
"""

from math import e, inf, nan, pi

from rushlight import dtypes as _dtypes
from rushlight.dtypes import (
    bfloat16, bool, cdouble, cfloat, chalf, complex32, complex64, complex128, double, dtype, finfo, float, float16, float32, float64,
    get_default_dtype, half, iinfo, int, int8, int16, int32, int64, long, promote_types, set_default_dtype, short,
    uint8, uint16, uint32, uint64,
)  # fmt: skip
from rushlight.devices import device, get_default_device, get_device_module, set_default_device
from rushlight.layouts import (
    channels_last, channels_last_3d, contiguous_format, layout, memory_format, preserve_format, sparse_coo, strided,
)  # fmt: skip
from rushlight.tensor import Size, Tensor
from rushlight import methods as _methods
from rushlight.api.comparison import allclose, equal, isclose, isin
from rushlight.api.complex import (
    angle, complex, conj, conj_physical, imag, is_conj, is_neg, isreal, polar, real, sgn, view_as_complex, view_as_real,
)  # fmt: skip
from rushlight.api.elementwise import (
    abs, absolute, acos, acosh, add, addcdiv, addcmul, arccos, arccosh, arcsin, arcsinh, arctan, arctan2,
    arctanh, asin, asinh, atan, atan2, atanh, bitwise_and, bitwise_left_shift, bitwise_not, bitwise_or,
    bitwise_right_shift, bitwise_xor, ceil, clamp, clamp_max, clamp_min, clip, cos, cosh, div, divide, eq, erf,
    exp, exp2, expm1, deg2rad, fix, floor, frac, positive, rad2deg, floor_divide, fmod, ge, greater, greater_equal, gt, isfinite, isinf, isnan,
    le, lerp, less, less_equal, log, log10, log1p, log2, logical_and, logical_not, logical_or, logical_xor, lt,
    maximum, minimum, mul, multiply, ne, neg, negative, not_equal, pow, reciprocal, relu, remainder, round, rsqrt,
    rsub, sigmoid, sign, sin, sinh, sqrt, square, sub, subtract, tan, tanh, true_divide, trunc, where,
)  # fmt: skip
from rushlight.api.gathering import (
    argwhere, gather, index_select, masked_select, nonzero, nonzero_static, take, take_along_dim, unravel_index,
)  # fmt: skip
from rushlight.api.indexing import index_put, index_put_
from rushlight.api.scattering import (
    index_add, index_copy, index_fill, index_reduce, masked_fill, masked_scatter, put, scatter, scatter_add, scatter_reduce,
)  # fmt: skip
from rushlight.api.copies import (
    alias_copy, as_strided_copy, as_strided_scatter, detach_copy, diagonal_copy, diagonal_scatter, expand_copy, narrow_copy,
    permute_copy, select_copy, select_scatter, slice_copy, slice_scatter, split_copy, split_with_sizes_copy, squeeze_copy,
    t_copy, transpose_copy, unbind_copy, unfold_copy, unsqueeze_copy, view_copy,
)  # fmt: skip
from rushlight.api.creation import empty_permuted, empty_strided, scalar_tensor
from rushlight.api.cutting import (
    as_strided, chunk, diagonal, dsplit, hsplit, narrow, select, split, split_with_sizes, tensor_split, unbind, unsafe_chunk,
    unsafe_split, unsafe_split_with_sizes, vsplit,
)  # fmt: skip
from rushlight.api.inplace import as_strided_, fill, fill_, zero_
from rushlight.api.joining import (
    atleast_1d, atleast_2d, atleast_3d, cat, column_stack, concat, concatenate, diff, dstack, hstack, meshgrid, row_stack,
    stack, vstack,
)  # fmt: skip
from rushlight.api.query import (
    can_cast, get_device, is_complex, is_distributed, is_floating_point, is_inference, is_nonzero, is_signed, is_storage,
    is_tensor, numel, result_type, typename,
)  # fmt: skip
from rushlight.api.linalg import addbmm, addmm, addmv, addr, baddbmm, bmm, dot, ger, matmul, mm, mv, outer, vdot
from rushlight.api.linalg_classic import cholesky, cross, det, inverse, lu, lu_solve, norm, qr, slogdet, svd
from rushlight.api.linalg_data import corrcoef, cov, pca_lowrank, svd_lowrank
from rushlight.api.linalg_einsum import einsum
from rushlight.api.linalg_factor import geqrf, lu_unpack, orgqr, ormqr
from rushlight.api.linalg_least import pinverse
from rushlight.api.linalg_norm import cdist, dist
from rushlight.api.linalg_products import block_diag, chain_matmul, inner, kron, tensordot, trace
from rushlight.api.linalg_solve import (
    cholesky_inverse, cholesky_solve, logdet, matrix_exp, matrix_power, triangular_solve,
)  # fmt: skip
from rushlight.api.spectral import istft, stft
from rushlight.api.draws import rand, rand_like, randint, randint_like, randn, randn_like, randperm
from rushlight.api.sample import (
    _dirichlet_grad, _sample_dirichlet, _standard_gamma, _standard_gamma_grad, bernoulli, binomial, multinomial, normal, poisson,
)  # fmt: skip
from rushlight.api.numeric import (
    copysign, float_power, fmax, fmin, frexp, gcd, heaviside, hypot, isneginf, isposinf, lcm, ldexp, logaddexp, logaddexp2,
    nan_to_num, nextafter, signbit,
)  # fmt: skip
from rushlight.api.special import (
    digamma, erfc, erfinv, i0, igamma, igammac, lgamma, logit, mvlgamma, polygamma, sinc, xlogy,
)  # fmt: skip
from rushlight.api.windows import (
    bartlett_window, blackman_window, hamming_window, hann_window, kaiser_window,
)  # fmt: skip
from rushlight.api.reduce import (
    all, amax, amin, aminmax, any, argmax, argmin, count_nonzero, log_softmax, logsumexp, max, mean, min, prod,
    softmax, sum,
)  # fmt: skip
from rushlight.api.scan import cummax, cummin, cumprod, cumsum, logcumsumexp
from rushlight.api.sparse import sparse_coo_tensor
from rushlight.api.sorting import (
    argsort, bucketize, kthvalue, msort, searchsorted, sort, topk, unique, unique_consecutive,
)  # fmt: skip
from rushlight.api.statistics import (
    median, mode, nanmean, nanmedian, nanquantile, nansum, quantile, renorm, std, std_mean, var, var_mean,
)  # fmt: skip
from rushlight.api.histograms import bincount, histc, histogram, histogramdd
from rushlight.api.calculus import cumulative_trapezoid, gradient, trapezoid, trapz
from rushlight.api.memory import TypedStorage, UntypedStorage, clone, is_same_size, resize_as_
from rushlight.api.rearranging import (
    cartesian_prod, combinations, diag, diag_embed, diagflat, flip, fliplr, flipud, repeat_interleave, roll, rot90, tile, tril,
    triu,
)  # fmt: skip
from rushlight.api.transposes import adjoint
from rushlight.api.views import (
    broadcast_shapes, broadcast_tensors, broadcast_to, detach, flatten, moveaxis, movedim, permute, ravel,
    reshape, resolve_conj, resolve_neg, squeeze, swapaxes, swapdims, t, transpose, unflatten, unsqueeze,
)  # fmt: skip
from rushlight.api.ranges import arange, eye, linspace, logspace, tril_indices, triu_indices
from rushlight.ops.create import (
    as_tensor, empty, empty_like, full, full_like, ones, ones_like, tensor, zeros, zeros_like,
)  # fmt: skip
from rushlight.interop.buffers import asarray, from_numpy, frombuffer
from rushlight.interop.dlpack import from_dlpack
from rushlight.legacy import (
    BFloat16Tensor, BoolTensor, ByteTensor, CharTensor, DoubleTensor, FloatTensor, HalfTensor, IntTensor, LongTensor,
    ShortTensor, set_default_tensor_type,
)  # fmt: skip
from rushlight.random import (
    Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state,
)  # fmt: skip
from rushlight.autograd.anomaly import (
    is_anomaly_check_nan_enabled, is_anomaly_enabled, set_anomaly_enabled,
)  # fmt: skip
from rushlight.amp.autocast import (
    autocast, clear_autocast_cache, get_autocast_cpu_dtype, get_autocast_dtype, is_autocast_cache_enabled,
    is_autocast_cpu_enabled, is_autocast_enabled, set_autocast_cache_enabled, set_autocast_dtype, set_autocast_enabled,
)  # fmt: skip
from rushlight.autograd.modes import (
    enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, set_grad_enabled,
)  # fmt: skip
from rushlight.compiler.function import compile
from rushlight.compiler.workers import get_num_threads, set_num_threads
from rushlight import (
    accelerator, amp, autograd, backends, cpu, cuda, fft, func, linalg, masked, nn, optim, signal, special, utils,
)  # fmt: skip
from rushlight.func.vectorize import vmap
from rushlight.nn.convolution import (
    conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d,
)  # fmt: skip
from rushlight.nn.folding import channel_shuffle, native_channel_shuffle, pixel_shuffle, pixel_unshuffle
from rushlight.nn.padding import constant_pad_nd
from rushlight.nn.recurrent import (
    gru, gru_cell, lstm, lstm_cell, rnn_relu, rnn_relu_cell, rnn_tanh, rnn_tanh_cell,
)  # fmt: skip
from rushlight.nn.adaptive_pooling import adaptive_avg_pool1d, adaptive_max_pool1d_with_indices as adaptive_max_pool1d
from rushlight.nn.pooling import avg_pool1d, max_pool1d, max_pool1d_with_indices, max_pool2d, max_pool3d
from rushlight.nn.grid_sampling import affine_grid_generator, grid_sampler, grid_sampler_2d, grid_sampler_3d
from rushlight.nn.activation import celu_, hardshrink, prelu, relu_, rrelu_, selu_, threshold_
from rushlight.nn.aten import (
    alpha_dropout, alpha_dropout_, batch_norm, binary_cross_entropy_with_logits, celu, cosine_embedding_loss, ctc_loss,
    dropout, dropout_, feature_alpha_dropout, feature_alpha_dropout_, feature_dropout, feature_dropout_, group_norm,
    hinge_embedding_loss, instance_norm, kl_div, layer_norm, margin_ranking_loss, native_dropout, poisson_nll_loss, rrelu,
    selu, threshold, triplet_margin_loss,
)  # fmt: skip
from rushlight.nn.distance import cosine_similarity, pairwise_distance, pdist
from rushlight.nn.embedding import bags as embedding_bag, embedding_renorm_, lookup as embedding
from rushlight.nn.normalization import native_batch_norm, native_group_norm, native_layer_norm, rms_norm
from rushlight.printing import set_printoptions
from rushlight.accelerator import get_float32_matmul_precision, set_float32_matmul_precision
from rushlight.settings import (
    are_deterministic_algorithms_enabled, get_deterministic_debug_mode, get_num_interop_threads,
    is_deterministic_algorithms_warn_only_enabled, set_deterministic_debug_mode, set_flush_denormal,
    set_num_interop_threads, use_deterministic_algorithms,
)  # fmt: skip
from rushlight.serialization import load, save
from rushlight.serving import as_torch
from rushlight.later import load as __getattr__

newaxis = None
__version__ = "0.1.0"
