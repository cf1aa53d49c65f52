"""What may be asked of a generator: bounds that a dtype holds, weights that are a distribution."""

import operator

import numpy as np

SIGNIFICAND_BITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
C_NAMES = {
    "bool": "bool", "uint8": "unsigned char", "int8": "signed char", "int16": "short int", "int32": "int",
    "int64": "long int", "float16": "c10::Half", "bfloat16": "c10::BFloat16", "float32": "float", "float64": "double",
    "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
}  # fmt: skip


def integer_range(low, high, dtype):
    """(low, end) of the integers in [low, high) that a dtype holds. `high=None`: up to the last of int64."""
    low, high = operator.index(low), 2**63 if high is None else operator.index(high)
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    check_bounds(low, high, dtype)
    return representable(low, high, dtype) if dtype.name in SIGNIFICAND_BITS else (low, high)


def full_range(dtype):
    """The end of the integers from 0 on that a dtype holds, each of them."""
    bits = SIGNIFICAND_BITS.get(dtype.name)
    return 2**bits + 1 if bits else 2 if dtype.kind == "b" else int(np.iinfo(dtype).max) + 1


def representable(low, high, dtype):
    """The bounds moved inward where the dtype rounds them outward."""
    bits = SIGNIFICAND_BITS[dtype.name]
    first, last = int(float(dtype.type(low + 1))), int(float(dtype.type(high - 1)))
    if first < low:
        low = first + 2 ** (abs(low + 1).bit_length() - bits)
    if last >= high:
        high = last - 2 ** (abs(high - 1).bit_length() - bits)
    return low, high


def check_bounds(low, high, dtype):
    for name, value in (("from", low), ("to - 1", high - 1)):
        if dtype.kind == "b":
            fits = 0 <= value <= 1
        elif dtype.kind in "iu":
            fits = np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
        else:
            fits = dtype != np.float16 or abs(value) <= 65504
        if not fits:
            kind = C_NAMES.get(dtype.name, dtype.name)
            raise RuntimeError(f"{name} is out of bounds for {kind}")


def check_weights(weights, num_samples, replacement):
    """Raise PyTorch's errors for what is no distribution."""
    if not 1 <= weights.ndim <= 2:
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > weights.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if weights.shape[-1] > 2**24:
        raise RuntimeError("number of categories cannot exceed 2^24")
    if not np.all((weights >= 0) & (weights < np.inf)):
        if replacement and num_samples > 1:
            what = "= infinity or NaN" if np.all((weights >= 0) | np.isnan(weights)) else "< 0"
            raise RuntimeError(f"invalid multinomial distribution (encountering probability entry {what})")
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if not np.all(weights.sum(axis=-1) > 0):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
