"""The waist: the one list of functions that every kind of array speaks.

PyTorch's operations (`rushlight.ops`) are written against these names and nothing else; each kind of
array (`numpy`, `symbolic`, and Tensors themselves for higher derivatives) is a namespace that has them.
Names and meaning are those of the Python array API standard 2025.12; `EXTENSIONS` holds what the
standard lacks, each with the reason it is here. Arrays also have `shape`, `dtype`, `ndim`, `size`
and the Python operators. A new name here must be added to every kind: tests/arrays/test_waist.py.
"""

UNARY = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_invert", "ceil", "cos", "cosh",
    "exp", "expm1", "floor", "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "logical_not",
    "negative", "reciprocal", "round", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
)  # fmt: skip

BINARY = (
    "add", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "divide", "equal", "floor_divide", "greater", "greater_equal", "less", "less_equal", "logical_and",
    "logical_or", "logical_xor", "maximum", "minimum", "multiply", "not_equal", "pow", "remainder", "subtract",
)  # fmt: skip

REDUCTIONS = ("all", "any", "argmax", "argmin", "max", "min", "prod", "sum")

OTHERS = (
    "arange", "argsort", "astype", "broadcast_to", "concat", "conj", "cumulative_sum", "full", "imag", "matmul",
    "permute_dims", "real", "reshape", "sort", "take", "take_along_axis", "where",
)  # fmt: skip

EXTENSIONS = {
    "complex": "complex numbers of their parts; the standard has the way back only",
    "erf": "the normal distribution's integral has no closed form in the standard's functions",
    "fmod": "the remainder with the dividend's sign",
    "slice": "basic indexing by a tuple, a view where the kind of array has views",
    "affine_view": "diagonals and sliding windows, views that no slicing gives",
    "contiguous": "a copy whose elements lie in order, whatever the order of the array's own",
    "slice_assign": "a copy of an array with a basic-indexed region replaced; the derivative of `slice`",
    "index_get": "advanced indexing by integer or boolean arrays",
    "index_put": "a copy of an array with advanced-indexed elements replaced or added to",
    "index_reduce": "`index_put` that multiplies, or keeps the greatest or the least",
    "assign": "writes values into an array's own memory: all that happens in place goes through it",
    "view_as_real": "the memory of complex numbers as pairs of real ones",
    "view_as_complex": "and the way back",
    "to_device": "a copy on another device, which the standard gives arrays as a method",
    "draw": "random numbers, by a generator and the name of one of its methods",
}

# What only a library of numerical routines computes: the compiler leaves these to NumPy. Each is a function on arrays
# in the named file of this folder; the symbolic kind finds shapes by running it once (`symbolic._host`).
# fmt: off
HOST: dict[str, tuple[str, ...]] = {
    "special": (  # elementwise, most by SciPy
        "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "copysign", "digamma", "erfc", "erfcx", "erfinv",
        "frexp", "gcd", "hypot", "i0", "i0e", "i1", "i1e", "igamma", "igammac", "isin", "lcm", "lgamma", "log_ndtr",
        "modified_bessel_k0", "modified_bessel_k1", "ndtr", "ndtri", "nextafter", "orthogonal_polynomial", "polygamma",
        "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "signbit", "spherical_bessel_j0", "zeta",
    ),
    "lapack": (
        "adjugate", "cholesky", "cholesky_solve", "det", "eig", "eigh", "geqrf", "inv", "ldl_factor", "ldl_solve", "lu_factor",
        "matrix_exp", "permutation_matrix", "qr", "slogdet", "solve", "solve_triangular", "svd",
    ),
    "implicit": ("dirichlet_grad", "standard_gamma_grad"),  # how samples move with the shape of their distribution
    "fourier": ("fft", "frames", "irfft", "overlap_add", "rfft"),
    "windows": ("convolve", "convolve_transposed", "convolve_weight", "fold", "unfold"),  # what slides over an array
    "pooling": ("max_windows", "put_at", "resample"),  # what makes an array shorter or longer along its axes
    "recurrent": ("gru_backward", "gru_states", "lstm_backward", "lstm_states", "rnn_backward", "rnn_states"),
    "sorting": (
        "cumulative_argmax", "cumulative_argmin", "cumulative_logsumexp", "cumulative_prod", "first_places", "index_of_rank",
        "mode_index", "searchsorted", "top_indices",
    ),
}
# fmt: on
HOST_NAMES = tuple(name for names in HOST.values() for name in names)

ELEMENTWISE = (*UNARY, *BINARY, "erf", "fmod", "where")
NAMES = (*UNARY, *BINARY, *REDUCTIONS, *OTHERS, *EXTENSIONS)  # those with an entry in tests/arrays/test_waist.py
