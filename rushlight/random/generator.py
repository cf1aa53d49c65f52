"""Distributions: which words each takes, in which order, and what is made of them."""

import math

import numpy as np

from rushlight.random import rejection
from rushlight.random.checks import full_range, integer_range
from rushlight.random.normals import box_muller, box_muller_exact, fill_blocks, multiply_add
from rushlight.random.seeds import Generator
from rushlight.random.words import LOW_53_BITS, Words

_PIECE = 2**15  # numbers made at a time: what is made on the way stays in cache


class CpuGenerator(Words):
    """PyTorch's CPU generator, to the bit.

    The methods that draw take a shape first and a NumPy dtype last, and return a new array, filled in C order.
    """

    __slots__ = ()

    @staticmethod
    def _fill(shape, dtype, draw):
        """An array of the numbers that `draw(count)` gives, piece by piece."""
        count = math.prod(shape)
        if count <= _PIECE:
            return draw(count).astype(dtype, copy=False).reshape(shape)
        numbers = np.empty(count, dtype)
        for start in range(0, count, _PIECE):
            stop = min(start + _PIECE, count)
            numbers[start:stop] = draw(stop - start)
        return numbers.reshape(shape)

    # ---- distributions, in the order of the words they use

    def uniform(self, shape, low=0.0, high=1.0, dtype=np.float32):
        """Uniform in [low, high). The 16-bit floats are rounded float32 uniforms."""
        if not low <= high:
            raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
        dtype = np.dtype(dtype)
        draw = self.uniform64 if dtype == np.float64 else self.uniform32

        def piece(count):
            numbers = draw(count)
            if low != 0.0 or high != 1.0:
                kind = numbers.dtype.type
                numbers = multiply_add(numbers, kind(high) - kind(low), kind(low))
            if dtype != numbers.dtype:
                numbers = numbers.astype(dtype)
                numbers[numbers == dtype.type(high)] = low  # where rounding reached the open end
            return numbers

        return self._fill(shape, dtype, piece)

    def random_full(self, shape, dtype=np.int64):
        """What `random_()` draws: integers over all the non-negative numbers of an integer dtype;
        0 ... 2**significand, all of which it holds, for a float."""
        dtype = np.dtype(dtype)
        high = full_range(dtype)
        draw = self.random64 if dtype.itemsize == 8 else self.random32
        return self._fill(shape, dtype, lambda count: _modulo(draw(count), high))

    def randint(self, shape, low, high, dtype=np.int64):
        """Integers in [low, high): a word modulo the range, two words from a range of 2**28 on.

        `high=None` asks for every int64 from `low` on; only `low = -2**63` needs it.
        """
        dtype = np.dtype(dtype)
        low, high = integer_range(low, high, dtype)
        draw = self.random64 if high - low >= 2**28 else self.random32

        def piece(count):
            numbers = _modulo(draw(count), high - low).astype(np.int64)  # wraps, as the sum below does
            if high - low < 2**64:  # over all of int64 the words are the numbers
                numbers += low
            return numbers

        return self._fill(shape, dtype, piece)

    def permutation(self, shape, dtype=np.int64):
        """0 ... n-1 in random order, for the shape (n,): Fisher & Yates' shuffle, from the front."""
        (count,) = shape
        if count < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {count}: [{count}]")
        if count < 2:
            return np.arange(count, dtype=dtype)
        steps = np.arange(count)
        draw = self.random32 if count < 2**32 // 20 else self.random64
        targets = steps.copy()  # step i swaps places i and targets[i] >= i
        targets[:-1] += _modulo(draw(count - 1), (count - steps[:-1]).astype(np.uint64)).astype(int)
        return _swap_in_order(steps, targets).astype(dtype, copy=False)

    def bernoulli(self, shape, probability, dtype=np.float32):
        """1 where a float64 uniform is below the probability, else 0. `F.dropout(x, p)` keeps where 1 - p gives 1."""
        if not 0 <= probability <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={probability:g}")
        bound = np.uint64(math.ceil(probability * 2.0**53))  # no floats needed
        return self._fill(shape, dtype, lambda count: (self.random64(count) & LOW_53_BITS) < bound)

    def exponential(self, shape, rate=1.0, dtype=np.float32):
        """-log(1 - u) / rate."""
        if not rate > 0:
            raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
        return self._fill(shape, dtype, lambda count: -1.0 / rate * np.log1p(-self.uniform64(count)))

    def geometric(self, shape, probability, dtype=np.float32):
        """The number of trials up to the first success: ceil(log(u) / log(1 - p))."""
        if not 0 < probability < 1:
            raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={probability:g}")
        scale = math.log1p(-probability)
        with np.errstate(divide="ignore"):
            return self._fill(shape, dtype, lambda count: np.ceil(np.log(self.uniform64(count)) / scale))

    def cauchy(self, shape, median=0.0, sigma=1.0, dtype=np.float32):
        """median + sigma * tan(pi * (u - 1/2))."""
        if not sigma > 0:
            raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")

        def piece(count):
            return median + sigma * np.tan(math.pi * (self.uniform64(count) - 0.5))

        return self._fill(shape, dtype, piece)

    def log_normal(self, shape, mean=1.0, std=2.0, dtype=np.float32):
        """exp of a normal; always by `normal`'s path of pairs."""
        if not std > 0:
            raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
        normals = multiply_add(self._normal_pairs(math.prod(shape)), float(std), float(mean))
        return np.exp(normals).astype(dtype).reshape(shape)

    def multinomial(self, weights, num_samples):
        """Indices along the last axis of `weights`, drawn in proportion to them, with replacement."""
        kind = np.float32 if weights.itemsize == 2 else weights.dtype
        rows = np.cumsum(weights.reshape(-1, weights.shape[-1]), axis=-1, dtype=kind)
        rows /= rows[:, -1:]
        uniforms = self.uniform64(len(rows) * num_samples).reshape(len(rows), num_samples)
        samples = [np.searchsorted(row, uniform) for row, uniform in zip(rows, uniforms, strict=True)]
        return np.array(samples, np.int64).reshape(*weights.shape[:-1], num_samples)

    def normal(self, shape, mean=0.0, std=1.0, dtype=np.float32):
        """Normal numbers by Box & Muller (1958): in pairs below 16 elements, else in blocks."""
        count, dtype = math.prod(shape), np.dtype(dtype)
        if count < 16:
            return self.normal_in_pairs(shape, mean, std, dtype)
        return self._scaled(self._normal_blocks(count, dtype), shape, mean, std, dtype)

    def normal_in_pairs(self, shape, mean=0.0, std=1.0, dtype=np.float32):
        """What `normal_` writes to a view that is not contiguous: pairs for every size."""
        return self._scaled(self._normal_pairs(math.prod(shape)), shape, mean, std, np.dtype(dtype))

    @staticmethod
    def _scaled(numbers, shape, mean, std, dtype):
        if std != 1.0 or mean != 0.0:
            kind = numbers.dtype.type
            numbers = multiply_add(numbers, kind(std), kind(mean))
        return numbers.astype(dtype, copy=False).reshape(shape)

    # ---- by rejection

    def gamma(self, concentration):
        """For each of an array of concentrations a number from the gamma distribution of rate 1, float64."""
        return rejection.gamma(self, concentration)

    def poisson(self, rate):
        """A Poisson number for each of an array of rates."""
        return rejection.poisson(self, np.asarray(rate, np.float64))

    def binomial(self, count, probability):
        """How many of `count` trials succeed, for arrays; NaN where an argument is."""
        return rejection.binomial(self, np.asarray(count, np.float64), np.asarray(probability, np.float64))

    def _normal_pairs(self, count):
        """float64 normals, the cosine and the sine of a pair in turn; an odd sine is kept."""
        if count == 0:
            return np.empty(0)
        num_kept = 0 if self._cached_normal is None else 1
        num_pairs = (count - num_kept + 1) // 2
        uniforms = self.uniform64(2 * num_pairs)
        radius = np.sqrt(np.log1p(-uniforms[1::2]) * -2.0)
        angle = uniforms[0::2] * (2.0 * math.pi)
        numbers = np.empty(num_kept + 2 * num_pairs)
        if num_kept:
            numbers[0] = self._cached_normal
        np.multiply(radius, np.cos(angle), out=numbers[num_kept::2])
        np.multiply(radius, np.sin(angle), out=numbers[num_kept + 1 :: 2])
        self._cached_normal = float(numbers[count]) if len(numbers) > count else None
        return numbers[:count]

    def _normal_blocks(self, count, dtype):
        """Blocks of 16; where they do not fit, the last 16 numbers are drawn anew."""
        is_half = dtype.itemsize == 2
        draw = self.uniform64 if dtype == np.float64 else self.uniform32
        whole = count // 16 * 16
        numbers = np.empty(count, draw(0).dtype)
        is_exact = self.exact_normals and numbers.dtype == np.float32
        transform = box_muller_exact if is_exact else box_muller
        for start in range(0, whole, _PIECE):
            piece = numbers[start : min(start + _PIECE, whole)]
            fill_blocks(piece, draw(len(piece)), transform)
        if whole != count:
            if not is_half:  # the 16-bit floats draw whole blocks only
                draw(count - whole)
            fill_blocks(numbers[-16:], draw(16), transform)
        return numbers


Generator.kinds["cpu"] = CpuGenerator


def _modulo(words, divisor):
    """words % divisor in the words' own unsigned dtype, where that does not change them."""
    if isinstance(divisor, int):
        if divisor > np.iinfo(words.dtype).max:
            return words
        divisor = words.dtype.type(divisor)
    return words % divisor


def _swap_in_order(steps, targets):
    """0 ... n-1 after swapping places i and targets[i] >= i for i = 0, 1, 2 ..., all at once.

    Step i leaves its own old content in place targets[i]. So what step i finds there was left by
    the last earlier step with the same target, if any; and a step's old content is found by
    following such steps back, in ever longer leaps, to a place that no step had touched.
    """
    order = np.sort((targets << 32) | steps)  # equal targets side by side, their steps in order
    sorted_targets, sorted_steps = order >> 32, order & 0xFFFFFFFF
    has_earlier = np.zeros(len(steps), bool)
    has_earlier[1:] = sorted_targets[1:] == sorted_targets[:-1]

    origin = steps.copy()
    moving = targets != steps
    origin[targets[moving]] = steps[moving]  # the last of equal targets stays
    while not np.array_equal(leap := origin[origin], origin):
        origin = leap

    result = np.empty_like(steps)
    earlier_steps = np.roll(sorted_steps, 1)
    result[sorted_steps] = np.where(has_earlier, origin[earlier_steps], sorted_targets)
    return result
