"""PyTorch's CPU random numbers, on NumPy arrays alone.

The path of a number: the Mersenne Twister (Matsumoto & Nishimura 1998, NumPy's C code, seeded as
its authors did) gives 32-bit words; one word makes a float32 uniform, two a float64; uniforms make
every other distribution. What has to be right is only which words are used, and in which order.

The numbers are those of PyTorch on a CPU that is not Intel's: there MKL draws `bernoulli_(p)`,
`F.dropout` and `exponential_` from a generator of its own. float32 normals of 16 and more are
within 3e-7 of PyTorch's AVX2 numbers, or equal to the bit with `exact_normals`.

Left out: tensors, dtype errors and the GPU (the operations above do these), `poisson`. Like
NumPy's legacy generator, one `Generator` is not to be shared between threads.
"""

import contextlib
import math
import operator
import os
import struct

import numpy as np

DEFAULT_SEED = 67280421310721  # PyTorch's own; the largest known prime factor of 2**128 + 1

_BLOCK = 624  # words the twister makes at a time
_LOW_24_BITS = np.uint32(2**24 - 1)
_LOW_53_BITS = np.uint64(2**53 - 1)
_NO_WORDS = np.empty(0, np.uint32)
_UNIT_24 = np.float32(2.0**-24)
_TWO_PI = np.float32(2 * math.pi)
_CHUNK = 1024  # blocks of 16 normals worked on together: the temporaries stay in cache

# seed, words left + 1, seeded, next word | 624 words of state | normal_x, cached normal,
# normal_rho, is cached, padding, a float32 normal and its flag (the CPU uses only two of these)
_STATE_HEAD = struct.Struct("<QiiQ")
_STATE_TAIL = struct.Struct("<dddiifi")
_STATE_SIZE = _STATE_HEAD.size + 8 * _BLOCK + _STATE_TAIL.size  # 5056

_SIGNIFICAND_BITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
_C_NAMES = {"uint8": "unsigned char", "int8": "signed char", "int16": "short int", "int32": "int",
            "float16": "c10::Half", "bfloat16": "c10::BFloat16"}  # fmt: skip


class Generator:
    """A stream of random numbers: PyTorch's CPU generator, to the bit.

    Methods that take a `shape` return a new array of it, filled in C order.

    Args:
        seed: where the stream starts; any integer of 64 bits, signed or not.

    Example:
        >>> Generator(0).uniform((2,))
        array([0.4962566, 0.7682218], dtype=float32)
    """

    __slots__ = ("_block", "_cached_normal", "_engine", "_next", "_seed", "exact_normals")

    def __init__(self, seed=DEFAULT_SEED):
        self.exact_normals = False
        self._engine = None
        self.manual_seed(seed)

    # ---- seed and state

    def manual_seed(self, seed):
        """Start the stream anew; a negative seed stands for seed + 2**64. Returns self."""
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            kind = type(seed).__name__
            raise RuntimeError(f"manual_seed expected a long, but got {kind}")
        seed = operator.index(seed)
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        self._seed = seed % 2**64
        if self._engine is not None:
            self._engine._legacy_seeding(self._seed % 2**32)
        self._block = _NO_WORDS  # the current words; the engine stands at their end
        self._next = 0
        self._cached_normal = None
        return self

    def seed(self):
        """Start the stream at a seed from the operating system. Returns that seed."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self):
        """Return the seed of the last `manual_seed` or `seed`."""
        return self._seed

    def get_state(self):
        """Return the state as 5056 uint8, the bytes of PyTorch's `Generator.get_state()`."""
        words_left = len(self._block) - self._next
        normal = self._cached_normal
        head = _STATE_HEAD.pack(self._seed, words_left + 1, 1, self._next)
        words = self._twister().state["state"]["key"].astype("<u8").tobytes()
        tail = _STATE_TAIL.pack(0.0, normal or 0.0, 0.0, normal is not None, 0, 0.0, 0)
        return np.frombuffer(head + words + tail, np.uint8).copy()

    def set_state(self, state):
        """Take over a state made by `get_state`, here or in PyTorch. Returns self."""
        if not isinstance(state, (bytes, np.ndarray)):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(state).__name__}")
        if isinstance(state, np.ndarray) and state.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        data = bytes(state)
        if len(data) != _STATE_SIZE:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {_STATE_SIZE} "
                f"but found the input RNG state size to be {len(data)}"
            )
        seed, left, seeded, position = _STATE_HEAD.unpack_from(data)
        if seeded != 1 or not 0 < left <= _BLOCK or position > _BLOCK:
            raise RuntimeError("Invalid mt19937 state")
        words = np.frombuffer(data, "<u8", _BLOCK, _STATE_HEAD.size).astype(np.uint32)
        _, normal, _, is_cached, *_ = _STATE_TAIL.unpack_from(data, _STATE_SIZE - _STATE_TAIL.size)
        self._seed = seed
        self._cached_normal = normal if is_cached else None
        self._restore_words(words, position, is_fresh=left == 1 and position == 0)
        return self

    def _restore_words(self, words, position, is_fresh):
        """Give the engine its words, and play back the block that they stand for."""
        start = _BLOCK if is_fresh else 0
        state = {"key": words, "pos": start}
        self._twister().state = {"bit_generator": "MT19937", "state": state}
        self._block = self._twister().random_raw(_BLOCK - start).astype(np.uint32)
        self._next = position

    # ---- words

    def _twister(self):
        """The engine, made when first needed: importing numpy.random takes 25 ms."""
        if self._engine is None:
            self._engine = np.random.MT19937(0)
            self._engine._legacy_seeding(self._seed % 2**32)
        return self._engine

    def random32(self, count):
        """Return the next `count` words, uint32 (not to be written to)."""
        start = self._next
        stop = start + count
        if stop <= len(self._block):
            self._next = stop
            return self._block[start:stop]
        return self._random32_across_blocks(count)

    def _random32_across_blocks(self, count):
        rest = self._block[self._next :]
        missing = count - len(rest)
        num_blocks = -(-missing // _BLOCK)
        words = self._twister().random_raw(num_blocks * _BLOCK).astype(np.uint32)
        self._block = words[-_BLOCK:].copy()
        self._next = missing - (num_blocks - 1) * _BLOCK
        return np.concatenate([rest, words[:missing]])

    def random64(self, count):
        """Return `count` uint64, each of two words: the high half is drawn first."""
        words = self.random32(2 * count)
        numbers = words[0::2].astype(np.uint64)
        numbers <<= np.uint64(32)
        numbers |= words[1::2]
        return numbers

    def _uniform32(self, count):
        """float32 in [0, 1): the low 24 bits of a word."""
        numbers = (self.random32(count) & _LOW_24_BITS).astype(np.float32)
        numbers *= _UNIT_24
        return numbers

    def _uniform64(self, count):
        """float64 in [0, 1): the low 53 bits of two words."""
        numbers = self.random64(count)
        numbers &= _LOW_53_BITS
        return numbers * 2.0**-53

    # ---- distributions, in the order of the words they use

    def uniform(self, shape, low=0.0, high=1.0, dtype=np.float32):
        """Uniform in [low, high). The 16-bit floats are rounded float32 uniforms."""
        if not low <= high:
            raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
        dtype = np.dtype(dtype)
        count = math.prod(shape)
        is_double = dtype == np.float64
        numbers = self._uniform64(count) if is_double else self._uniform32(count)
        if low != 0.0 or high != 1.0:
            kind = numbers.dtype.type
            numbers = _multiply_add(numbers, kind(high) - kind(low), kind(low))
        if dtype != numbers.dtype:
            numbers = numbers.astype(dtype)
            numbers[numbers == dtype.type(high)] = low  # where rounding reached the open end
        return numbers.reshape(shape)

    def random_full(self, shape, dtype=np.int64):
        """What `random_()` draws: integers over all the non-negative numbers of an integer dtype;
        0 ... 2**significand, all of which it holds, for a float."""
        dtype = np.dtype(dtype)
        bits = _SIGNIFICAND_BITS.get(dtype.name)
        high = 2**bits + 1 if bits else 2 if dtype.kind == "b" else int(np.iinfo(dtype).max) + 1
        draw = self.random64 if dtype.itemsize == 8 else self.random32
        return _modulo(draw(math.prod(shape)), high).astype(dtype).reshape(shape)

    def randint(self, low, high, shape, dtype=np.int64):
        """Integers in [low, high): a word modulo the range, two words from a range of 2**28 on.

        `high=None` asks for every int64 from `low` on; only `low = -2**63` needs it.
        """
        dtype = np.dtype(dtype)
        low, high = operator.index(low), 2**63 if high is None else operator.index(high)
        if low >= high:
            raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
        _check_bounds(low, high, dtype)
        count = math.prod(shape)
        draw = self.random64 if high - low >= 2**28 else self.random32
        numbers = _modulo(draw(count), high - low).astype(np.int64)  # wraps, as the sum below does
        if high - low < 2**64:  # over all of int64 the words are the numbers
            numbers += low
        return numbers.astype(dtype).reshape(shape)

    def permutation(self, count, dtype=np.int64):
        """0 ... count-1 in random order: Fisher & Yates' shuffle, from the front."""
        if count < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {count}: [{count}]")
        if count < 2:
            return np.arange(count, dtype=dtype)
        steps = np.arange(count)
        draw = self.random32 if count < 2**32 // 20 else self.random64
        targets = steps.copy()  # step i swaps places i and targets[i] >= i
        targets[:-1] += _modulo(draw(count - 1), (count - steps[:-1]).astype(np.uint64)).astype(int)
        return _swap_in_order(steps, targets).astype(dtype, copy=False)

    def bernoulli(self, probability, shape=None, dtype=np.float32):
        """1 where a uniform is below the probability, else 0.

        A Python number takes two words an element, and so do float64 arrays; the other arrays
        one. `F.dropout(x, p)` keeps what `bernoulli(1 - p, x.shape)` says.
        """
        if isinstance(probability, np.ndarray):
            shape = probability.shape if shape is None else shape
            is_double = probability.dtype == np.float64
            uniforms = (self._uniform64 if is_double else self._uniform32)(math.prod(shape))
            return (uniforms.reshape(shape) < probability).astype(dtype)
        if not 0 <= probability <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={probability:g}")
        numbers = self.random64(math.prod(shape))
        numbers &= _LOW_53_BITS
        is_one = numbers < np.uint64(math.ceil(probability * 2.0**53))  # no floats needed
        return is_one.astype(dtype).reshape(shape)

    def exponential(self, shape, rate=1.0, dtype=np.float32):
        """-log(1 - u) / rate."""
        if not rate > 0:
            raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
        numbers = -1.0 / rate * np.log1p(-self._uniform64(math.prod(shape)))
        return numbers.astype(dtype).reshape(shape)

    def geometric(self, probability, shape, dtype=np.float32):
        """The number of trials up to the first success: ceil(log(u) / log(1 - p))."""
        if not 0 < probability < 1:
            raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={probability:g}")
        with np.errstate(divide="ignore"):
            numbers = np.log(self._uniform64(math.prod(shape)))
        return np.ceil(numbers / math.log1p(-probability)).astype(dtype).reshape(shape)

    def cauchy(self, shape, median=0.0, sigma=1.0, dtype=np.float32):
        """median + sigma * tan(pi * (u - 1/2))."""
        if not sigma > 0:
            raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
        angles = math.pi * (self._uniform64(math.prod(shape)) - 0.5)
        return (median + sigma * np.tan(angles)).astype(dtype).reshape(shape)

    def log_normal(self, shape, mean=1.0, std=2.0, dtype=np.float32):
        """exp of a normal; always by `normal`'s path of pairs."""
        if not std > 0:
            raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
        normals = _multiply_add(self._normal_pairs(math.prod(shape)), float(std), float(mean))
        return np.exp(normals).astype(dtype).reshape(shape)

    def multinomial(self, weights, num_samples, replacement=False):
        """Indices along the last axis of `weights`, drawn in proportion to them.

        One sample, or samples without replacement: the largest w / e, with e exponential. With
        replacement: uniforms looked up in the cumulative sum.
        """
        _check_weights(weights, num_samples, replacement)
        if num_samples == 1 or not replacement:
            scores = weights / self.exponential(weights.shape, dtype=weights.dtype)
            return np.argsort(-scores, axis=-1, kind="stable")[..., :num_samples]
        rows = np.cumsum(weights.reshape(-1, weights.shape[-1]), axis=-1, dtype=weights.dtype)
        rows /= rows[:, -1:]
        uniforms = self._uniform64(len(rows) * num_samples).reshape(len(rows), num_samples)
        samples = [np.searchsorted(row, uniform) for row, uniform in zip(rows, uniforms, strict=True)]
        return np.array(samples).reshape(*weights.shape[:-1], num_samples)

    def normal(self, shape, mean=0.0, std=1.0, dtype=np.float32, contiguous=True):
        """Normal numbers by Box & Muller (1958): in pairs below 16 elements, else in blocks.

        Args:
            contiguous: False for the numbers that `normal_` writes to a view that is not
                contiguous, which are pairs for every size.
        """
        if not std >= 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
        dtype = np.dtype(dtype)
        count = math.prod(shape)
        if count < 16 or not contiguous:
            numbers = self._normal_pairs(count)
        else:
            numbers = self._normal_blocks(count, dtype)
        if std != 1.0 or mean != 0.0:
            kind = numbers.dtype.type
            numbers = _multiply_add(numbers, kind(std), kind(mean))
        return numbers.astype(dtype, copy=False).reshape(shape)

    def _normal_pairs(self, count):
        """float64 normals, the cosine and the sine of a pair in turn; an odd sine is kept."""
        if count == 0:
            return np.empty(0)
        num_kept = 0 if self._cached_normal is None else 1
        num_pairs = (count - num_kept + 1) // 2
        uniforms = self._uniform64(2 * num_pairs)
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
        draw = self._uniform64 if dtype == np.float64 else self._uniform32
        whole = count // 16 * 16
        numbers = np.empty(count, draw(0).dtype)
        uniforms = draw(whole if is_half else count)  # the 16-bit floats draw whole blocks only
        is_exact = self.exact_normals and numbers.dtype == np.float32
        transform = _box_muller_exact if is_exact else _box_muller
        _fill_blocks(numbers[:whole], uniforms[:whole], transform)
        if whole != count:
            _fill_blocks(numbers[-16:], draw(16), transform)
        return numbers


def _modulo(words, divisor):
    """words % divisor in the words' own unsigned dtype, where that does not change them."""
    if isinstance(divisor, int):
        if divisor > np.iinfo(words.dtype).max:
            return words
        divisor = words.dtype.type(divisor)
    return words % divisor


def _check_bounds(low, high, dtype):
    for name, value in (("from", low), ("to - 1", high - 1)):
        if dtype.kind == "b":
            fits = 0 <= value <= 1
        elif dtype.kind in "iu":
            fits = np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
        else:
            fits = dtype != np.float16 or abs(value) <= 65504
        if not fits:
            kind = _C_NAMES.get(dtype.name, dtype.name)
            raise RuntimeError(f"{name} is out of bounds for {kind}")


def _check_weights(weights, num_samples, replacement):
    """Raise PyTorch's errors for what is no distribution."""
    if not 1 <= weights.ndim <= 2:
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > weights.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if not np.all((weights >= 0) & (weights < np.inf)):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if not np.all(weights.sum(axis=-1) > 0):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")


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


def _multiply_add(numbers, factor, term):
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


def _fill_blocks(numbers, uniforms, transform):
    """Fill with normals by blocks of 16: 8 radii and 8 angles make 8 cosines, then 8 sines."""
    numbers, uniforms = numbers.reshape(-1, 2, 8), uniforms.reshape(-1, 2, 8)
    for start in range(0, len(numbers), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        radius, cosine, sine = transform(1 - uniforms[chunk, 0], uniforms[chunk, 1])
        np.multiply(radius, cosine, out=numbers[chunk, 0])
        np.multiply(radius, sine, out=numbers[chunk, 1])


def _box_muller(first, second):
    kind = first.dtype.type
    angle = second * kind(2 * math.pi)
    return np.sqrt(np.log(first) * kind(-2)), np.cos(angle), np.sin(angle)


def _box_muller_exact(first, second):
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
        value = _multiply_add(x, value, coefficient)
    return value


def _cephes_log(x):
    """log(m * 2**e) = e log 2 + log m, a polynomial in m - 1 for m in [sqrt(1/2), sqrt(2))."""
    m, exponent = np.frexp(x)
    is_small = m < np.float32(math.sqrt(0.5))
    m = m - np.float32(1) + np.where(is_small, m, np.float32(0))
    exponent = (exponent - is_small).astype(np.float32)
    square = m * m
    value = _multiply_add(_polynomial(_LOG, m) * m, square, exponent * _LOG_2[1])
    value = _multiply_add(square, np.float32(-0.5), value)
    return _multiply_add(exponent, _LOG_2[0], m + value)


def _cephes_cos_sin(angle):
    """Both by polynomials on [-pi/4, pi/4], where the octant says which is which, and the sign."""
    octant = (angle * np.float32(4 / math.pi)).astype(np.int32) + 1 & ~1
    steps = octant.astype(np.float32)
    for part in _QUARTER_PI:
        angle = _multiply_add(steps, -part, angle)
    square = angle * angle
    cosine = _polynomial(_COS, square) * square
    cosine = _multiply_add(cosine, square, np.float32(-0.5) * square) + np.float32(1)
    sine = _multiply_add(_polynomial(_SIN, square) * square, angle, angle)
    is_swapped = octant & 2 != 0
    cosine, sine = np.where(is_swapped, sine, cosine), np.where(is_swapped, cosine, sine)
    return np.where(octant + 2 & 4, -cosine, cosine), np.where(octant & 4, -sine, sine)


# ---- the generator that is used where none is named

default_generator = Generator()


def manual_seed(seed):
    """Seed the default generator. Returns it.

    Example:
        >>> manual_seed(7).initial_seed()
        7
    """
    return default_generator.manual_seed(int(seed))


def seed():
    """Seed the default generator from the operating system. Returns the seed."""
    return default_generator.seed()


def initial_seed():
    """Return the default generator's seed."""
    return default_generator.initial_seed()


def get_rng_state():
    """Return the default generator's state, 5056 uint8."""
    return default_generator.get_state()


def set_rng_state(state):
    """Set the default generator's state."""
    default_generator.set_state(state)


@contextlib.contextmanager
def fork_rng(enabled=True):
    """Leave the default generator, after the block, as it was before it."""
    state = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)
