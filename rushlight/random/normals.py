"""Normal numbers of uniform ones by blocks of 16, rounded as PyTorch's vector code rounds (Box & Muller 1958)."""

import math

import numpy as np

_TWO_PI = np.float32(2 * math.pi)


def multiply_add(numbers, factor, term):
    """numbers * factor + term, rounded once, as the processor's fused instruction does.

    float32 goes through float64, which holds the product. float64 carries the errors of product
    and sum along (Dekker 1971, Knuth's two-sum).
    """
    if numbers.dtype == np.float32:
        total = numbers.astype(np.float64)
        total *= np.float64(factor)
        total += term
        return total.astype(np.float32)
    high, low = _split(numbers)
    factor_high, factor_low = _split(factor)
    product = numbers * factor
    error = high * factor_high - product + high * factor_low + low * factor_high + low * factor_low
    total = product + term
    rest = total - product
    return total + (error + ((product - (total - rest)) + (term - rest)))


def _split(numbers):
    """float64 as the sum of two that have 26 bits each."""
    shifted = numbers * 134217729.0  # 2**27 + 1
    high = shifted - (shifted - numbers)
    return high, numbers - high


def fill_blocks(numbers, uniforms, transform):
    """Fill with normals by blocks of 16: 8 radii and 8 angles make 8 cosines, then 8 sines."""
    numbers, uniforms = numbers.reshape(-1, 2, 8), uniforms.reshape(-1, 2, 8)
    radius, cosine, sine = transform(1 - uniforms[:, 0], uniforms[:, 1])
    np.multiply(radius, cosine, out=numbers[:, 0])
    np.multiply(radius, sine, out=numbers[:, 1])


def box_muller(first, second):
    kind = first.dtype.type
    angle = second * kind(2 * math.pi)
    return np.sqrt(np.log(first) * kind(-2)), np.cos(angle), np.sin(angle)


def box_muller_exact(first, second):
    """The same with the float32 log, sine and cosine of Moshier's Cephes library, its polynomials
    evaluated with fused multiply-adds: PyTorch's numbers to the bit, at 5 times the time."""
    return np.sqrt(_cephes_log(first) * np.float32(-2)), *_cephes_cos_sin(second * _TWO_PI)


# from the highest power down, as float32 holds them
_LOG = np.float32([7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1,
                   1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1,
                   3.3333331174e-1])  # fmt: skip
_COS = np.float32([2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2])
_SIN = np.float32([-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1])
_QUARTER_PI = np.float32([0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8])
_LOG_2 = np.float32([0.693359375, -2.12194440e-4])  # these two are sums of a short and a small part


def _polynomial(coefficients, x):
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = multiply_add(x, value, coefficient)
    return value


def _cephes_log(x):
    """log(m * 2**e) = e log 2 + log m, a polynomial in m - 1 for m in [sqrt(1/2), sqrt(2))."""
    m, exponent = np.frexp(x)
    is_small = m < np.float32(math.sqrt(0.5))
    m = m - np.float32(1) + np.where(is_small, m, np.float32(0))
    exponent = (exponent - is_small).astype(np.float32)
    square = m * m
    value = multiply_add(_polynomial(_LOG, m) * m, square, exponent * _LOG_2[1])
    value = multiply_add(square, np.float32(-0.5), value)
    return multiply_add(exponent, _LOG_2[0], m + value)


def _cephes_cos_sin(angle):
    """Both by polynomials on [-pi/4, pi/4], where the octant says which is which, and the sign."""
    octant = (angle * np.float32(4 / math.pi)).astype(np.int32) + 1 & ~1
    steps = octant.astype(np.float32)
    for part in _QUARTER_PI:
        angle = multiply_add(steps, -part, angle)
    square = angle * angle
    cosine = _polynomial(_COS, square) * square
    cosine = multiply_add(cosine, square, np.float32(-0.5) * square) + np.float32(1)
    sine = multiply_add(_polynomial(_SIN, square) * square, angle, angle)
    is_swapped = octant & 2 != 0
    cosine, sine = np.where(is_swapped, sine, cosine), np.where(is_swapped, cosine, sine)
    return np.where(octant + 2 & 4, -cosine, cosine), np.where(octant & 4, -sine, sine)
