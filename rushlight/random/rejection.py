"""Distributions that are drawn by rejection: how many words a number takes is only known when it is accepted.

So numbers are made one after another, in Python: here the order of words, PyTorch's, counts more than speed.
"""

import math

import numpy as np

# PyTorch has these two constants of Marsaglia & Tsang in single precision.
_THIRD, _SQUEEZE = float(np.float32(1.0) / np.float32(3.0)), float(np.float32(0.0331))


class _Uniforms:
    """float64 uniforms one by one, drawn many at a time: as many as will certainly be used, so that none is lost.

    Attributes:
        num_left: how many numbers are still to be made that take at least one uniform each.
    """

    def __init__(self, source, num_left):
        self._source, self.num_left, self._stock = source, num_left, iter(())

    def next(self):
        for number in self._stock:
            return number
        self._stock = iter(self._source.uniform64(max(self.num_left, 1)).tolist())
        return next(self._stock)


def _one_by_one(source, make, is_drawn, fixed, *parameters):
    """`make(uniforms, *numbers)` for the numbers at each place of the arrays, in C order; else `fixed`."""
    is_drawn, fixed, *parameters = np.broadcast_arrays(is_drawn, fixed, *parameters)
    numbers = fixed.astype(np.float64).reshape(-1)
    places = np.flatnonzero(is_drawn)
    rows = zip(*[array.reshape(-1)[places].tolist() for array in parameters], strict=True)
    uniforms = _Uniforms(source, len(places))
    for i, row in zip(places.tolist(), rows, strict=True):
        numbers[i] = make(uniforms, *row)
        uniforms.num_left -= 1
    return numbers.reshape(fixed.shape)


def gamma(source, concentration):
    """For each concentration a float64 number from the gamma distribution of rate 1: Marsaglia & Tsang (2000).

    A concentration below 1 is raised by 1, and the number multiplied by u^(1/concentration), as they propose.
    """

    def normal(uniforms):
        number = source._cached_normal
        if number is not None:
            source._cached_normal = None
            return number
        angle = uniforms.next() * (2.0 * math.pi)
        radius = math.sqrt(math.log1p(-uniforms.next()) * -2.0)
        source._cached_normal = radius * math.sin(angle)
        return radius * math.cos(angle)

    def make(uniforms, alpha, power, d):
        scale = (1.0 - uniforms.next()) ** power if alpha < 1.0 else 1.0
        c = 1.0 / math.sqrt(9.0 * d)
        while True:
            x = normal(uniforms)
            while (y := 1.0 + c * x) <= 0.0:
                x = normal(uniforms)
            v = y * y * y
            u = 1.0 - uniforms.next()
            squared = x * x
            if u < 1.0 - _SQUEEZE * squared * squared or math.log(u) < 0.5 * squared + d * (1.0 - v + math.log(v)):
                return scale * d * v

    kind = concentration.dtype.type
    raised = np.where(concentration < 1, concentration + kind(1), concentration)
    with np.errstate(divide="ignore"):
        power = kind(1) / concentration
    d = raised - kind(_THIRD)  # rounded to the concentrations' dtype
    return _one_by_one(source, make, concentration > 0, concentration, concentration, power, d)


def poisson(source, rate):
    """For each rate a Poisson number: by products of uniforms (Knuth), from 10 on by Hormann's PTRS (1993)."""
    return _one_by_one(source, _poisson, (rate > 0) & (rate < math.inf), rate, rate)


def _poisson(uniforms, rate):
    if rate >= 10.0:
        return _poisson_by_transformation(uniforms, rate)
    bound, product, count = math.exp(-rate), uniforms.next(), 0
    while product > bound:
        count += 1
        product *= uniforms.next()
    return count


def _poisson_by_transformation(uniforms, rate):
    log_rate = math.log(rate)
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        u, v = uniforms.next() - 0.5, uniforms.next()
        distance = 0.5 - abs(u)
        if distance == 0.0:
            continue
        k = math.floor((2.0 * a / distance + b) * u + rate + 0.43)
        if distance >= 0.07 and v <= v_r:
            return k
        if k < 0 or (distance < 0.013 and v > distance):
            continue
        left = _log(v) + math.log(inverse_alpha) - math.log(a / (distance * distance) + b)
        if left <= -rate + k * log_rate - math.lgamma(k + 1.0):
            return k


def _log(x):
    return math.log(x) if x > 0.0 else -math.inf


def binomial(source, count, probability):
    """How many of `count` trials succeed: by the waits between them (Devroye 1986), or Hormann's BTRS (1993)."""
    is_drawn = (count > 0) & (probability > 0) & (probability < 1)
    fixed = np.where(
        probability >= 1, np.maximum(count, 0), np.where(np.isnan(count) | np.isnan(probability), np.nan, 0)
    )
    return _one_by_one(source, _binomial, is_drawn, fixed, count, probability)


def _binomial(uniforms, count, probability):
    if probability > 0.5:
        return count - _less_likely_successes(uniforms, count, 1.0 - probability)
    return _less_likely_successes(uniforms, count, probability)


def _less_likely_successes(uniforms, count, probability):
    draw = _binomial_by_transformation if count * probability >= 10.0 else _binomial_by_waiting
    return draw(uniforms, count, probability)


def _binomial_by_waiting(uniforms, count, probability):
    """Counts successes by the numbers of trials between them."""
    log_failure = math.log1p(-probability)
    trials, successes = 0.0, 0
    while True:
        u = uniforms.next()
        trials += math.ceil(_log(u) / log_failure) if u > 0.0 else math.inf
        if trials > count:
            return successes
        successes += 1


def _stirling_rest(k):
    """log k! less Stirling's approximation to it."""
    if k <= 9:
        return _STIRLING_RESTS[int(k)]
    square = (k + 1.0) ** 2
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1.0)


_STIRLING_RESTS = [
    math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + (k + 1) - 0.5 * math.log(2 * math.pi) for k in range(10)
]  # fmt: skip


def _binomial_by_transformation(uniforms, count, probability):
    spread = math.sqrt(count * probability * (1.0 - probability))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * probability
    center = count * probability + 0.5
    v_r = 0.92 - 4.2 / b
    odds = probability / (1.0 - probability)
    alpha = (2.83 + 5.1 / b) * spread
    mode = math.floor((count + 1.0) * probability)
    while True:
        u, v = uniforms.next() - 0.5, uniforms.next()
        distance = 0.5 - abs(u)
        if distance == 0.0:
            continue
        k = math.floor((2.0 * a / distance + b) * u + center)
        if distance >= 0.07 and v <= v_r:
            return k
        if k < 0 or k > count:
            continue
        left = _log(v * alpha / (a / (distance * distance) + b))
        right = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (count - mode + 1)))
            + (count + 1) * math.log((count - mode + 1) / (count - k + 1))
            + (k + 0.5) * math.log(odds * (count - k + 1) / (k + 1))
            + _stirling_rest(mode)
            + _stirling_rest(count - mode)
            - _stirling_rest(k)
            - _stirling_rest(count - k)
        )
        if left <= right:
            return k
