"""The generator of a GPU: Philox, a word for each place of a tensor, as PyTorch's has it.

A call's numbers are functions of (seed, offset, place), and the offset goes on by one step of four words per call. So they do
not depend on the GPU, on how a kernel is launched, or on who computes them: these methods are array code on `xp`, a
namespace of the waist. Equal to PyTorch's are the numbers of a tensor that its GPU draws in one wave (270,336 places on an
H100), by cuRAND's formulas; in a larger one PyTorch's depend on the number of multiprocessors. `bernoulli` of a tensor,
`multinomial`, `randperm` and dropout are drawn in orders of their own there.

What is drawn by rejection takes words one after another: that is done on the CPU, by a stream which (seed, offset) begins.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import devices
from rushlight.random.checks import full_range, integer_range
from rushlight.random.generator import CpuGenerator
from rushlight.random.philox import Words, philox, start, words
from rushlight.random.seeds import DEFAULT_SEED, Generator

_STATE = struct.Struct("<Qq")  # seed, offset
_STEP = 4  # words that a call may take for each place
_INT64 = np.dtype(np.int64)
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class CudaGenerator(Generator):
    """PyTorch's CUDA generator.

    The methods that draw take a namespace of arrays first, then what `CpuGenerator`'s take.

    Args:
        device: a "cuda" device; without an index, the current one.
    """

    __slots__ = ("_offset",)

    def __init__(self, device: Any = "cuda"):
        found = devices.device(device)
        self.device = devices.on_gpu(found) if found.index is None else found
        self.manual_seed(DEFAULT_SEED)

    # ---- state

    def _restart(self) -> None:
        self._offset = 0

    def get_offset(self) -> int:
        """How many words each place has had, a multiple of 4."""
        return self._offset

    def set_offset(self, offset: int) -> None:
        """Go to a place of the seed's stream.

        Raises:
            RuntimeError: it is not a multiple of 4.
        """
        if offset % _STEP:
            raise RuntimeError("offset must be a multiple of 4")
        self._offset = offset

    def _state_bytes(self) -> bytes:
        return _STATE.pack(self._seed, self._offset)

    def _set_state_bytes(self, data: bytes) -> None:
        if len(data) not in (8, _STATE.size):  # PyTorch's files from before offsets have the seed only
            raise RuntimeError("RNG state is wrong size")
        seed, offset = _STATE.unpack(data.ljust(_STATE.size, b"\0"))
        self._seed = seed
        self.set_offset(offset)

    def _draw(self, xp: Any, function: Any, shape: tuple[int, ...], **attrs: Any) -> Any:
        """What a function makes of the words of each place of a shape."""
        begin = start(self._seed, self._offset)
        self._offset += _STEP
        return xp.reshape(run(function, xp, begin, {"count": math.prod(shape), **attrs}), shape)

    # ---- distributions

    def uniform(
        self, xp: Any, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0, dtype: Any = np.float32
    ) -> Any:
        """Uniform in [low, high)."""
        if not low <= high:
            raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
        return self._draw(xp, _uniform, shape, low=low, high=high, dtype=np.dtype(dtype))

    def normal(
        self, xp: Any, shape: tuple[int, ...], mean: float = 0.0, std: float = 1.0, dtype: Any = np.float32
    ) -> Any:
        """Normal numbers."""
        return self._draw(xp, _normal, shape, mean=mean, std=std, dtype=np.dtype(dtype))

    normal_in_pairs = normal  # a place has its number whatever the memory's order

    def log_normal(
        self, xp: Any, shape: tuple[int, ...], mean: float = 1.0, std: float = 2.0, dtype: Any = np.float32
    ) -> Any:
        """exp of normal numbers."""
        if not std > 0:
            raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
        return self._draw(xp, _log_normal, shape, mean=mean, std=std, dtype=np.dtype(dtype))

    def bernoulli(self, xp: Any, shape: tuple[int, ...], probability: float, dtype: Any = np.float32) -> Any:
        """1 where a uniform number is not above the probability, else 0."""
        if not 0 <= probability <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={probability:g}")
        return self._draw(xp, _bernoulli, shape, probability=probability, dtype=np.dtype(dtype))

    def exponential(self, xp: Any, shape: tuple[int, ...], rate: float = 1.0, dtype: Any = np.float32) -> Any:
        """-log(u) / rate, never 0."""
        if not rate > 0:
            raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
        return self._draw(xp, _exponential, shape, rate=rate, dtype=np.dtype(dtype))

    def geometric(self, xp: Any, shape: tuple[int, ...], probability: float, dtype: Any = np.float32) -> Any:
        """The number of trials up to the first success: ceil(log(u) / log(1 - p))."""
        if not 0 < probability < 1:
            raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={probability:g}")
        return self._draw(xp, _geometric, shape, probability=probability, dtype=np.dtype(dtype))

    def cauchy(
        self, xp: Any, shape: tuple[int, ...], median: float = 0.0, sigma: float = 1.0, dtype: Any = np.float32
    ) -> Any:
        """median + sigma * tan(pi * (u - 1/2))."""
        if not sigma > 0:
            raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
        return self._draw(xp, _cauchy, shape, median=median, sigma=sigma, dtype=np.dtype(dtype))

    def random_full(self, xp: Any, shape: tuple[int, ...], dtype: Any = np.int64) -> Any:
        """What `random_()` draws: integers over all the non-negative numbers of an integer dtype; 0 ... 2**significand,
        all of which it holds, for a float."""
        dtype = np.dtype(dtype)
        span = full_range(dtype)
        return self._draw(xp, _integers, shape, low=0, span=span, is_long=dtype.itemsize == 8, dtype=dtype)

    def randint(self, xp: Any, shape: tuple[int, ...], low: int, high: int | None, dtype: Any = np.int64) -> Any:
        """Integers in [low, high): a word modulo the range, two words from a range of 2**28 on. `high=None`: all int64."""
        dtype = np.dtype(dtype)
        low, end = integer_range(low, high, dtype)
        if end - low == 2**64:  # over all of int64 the words are the numbers
            return self._draw(xp, _integers, shape, low=0, span=2**64, is_long=True, dtype=dtype)
        return self._draw(xp, _integers, shape, low=low, span=end - low, is_long=end - low >= 2**28, dtype=dtype)

    def permutation(self, xp: Any, shape: tuple[int, ...], dtype: Any = np.int64) -> Any:
        """0 ... n-1 in the order of random numbers of 64 bits, for the shape (n,)."""
        if shape[0] < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {shape[0]}: [{shape[0]}]")
        keys = self._draw(xp, _integers, shape, low=0, span=2**64, is_long=True, dtype=_INT64)
        return xp.astype(xp.argsort(keys, 0), np.dtype(dtype))

    def multinomial(self, xp: Any, weights: Any, num_samples: int) -> Any:
        """Indices along the last axis of `weights`, drawn in proportion to them, with replacement."""
        kind = _FLOAT32 if weights.dtype.itemsize == 2 else weights.dtype
        rows = xp.cumulative_sum(xp.astype(weights, kind), -1)
        rows = rows / rows[..., -1:]
        uniform = self._draw(xp, _unit, (*weights.shape[:-1], num_samples), dtype=kind)
        return xp.astype(xp.searchsorted(rows, uniform, right=False), _INT64)

    # ---- by rejection, on the host: NumPy arrays of parameters, NumPy arrays of numbers

    def gamma(self, concentration: np.ndarray) -> np.ndarray:
        """For each of an array of concentrations a number from the gamma distribution of rate 1, float64."""
        return self._on_host(lambda source: source.gamma(concentration))

    def poisson(self, rate: np.ndarray) -> np.ndarray:
        """A Poisson number for each of an array of rates."""
        return self._on_host(lambda source: source.poisson(rate))

    def binomial(self, count: np.ndarray, probability: np.ndarray) -> np.ndarray:
        """How many of `count` trials succeed, for arrays; NaN where an argument is."""
        return self._on_host(lambda source: source.binomial(count, probability))

    def _on_host(self, draw: Callable[[CpuGenerator], np.ndarray]) -> np.ndarray:
        """By a stream of the CPU's whose seed are words of this one, of a place that no tensor has."""
        last = np.uint64(2**32 - 1)
        *key, first, second = start(self._seed, self._offset)
        high, low, _, _ = philox((first, second, last, last), (key[0], key[1]))
        self._offset += _STEP
        source = CpuGenerator()
        source.manual_seed(int(high) << 32 | int(low))
        return draw(source)


Generator.kinds["cuda"] = CudaGenerator


def run(function: Callable[..., Any], xp: Any, begin: Words, attrs: dict[str, Any]) -> Any:
    """`function(xp, begin, **attrs)`, numbers of words. `rushlight.ops.draw` has it compiled for a GPU."""
    return function(xp, begin, **attrs)


# ---------------------------------------------------------------- numbers of words
# Each takes (xp, begin, count, parameters, dtype) and gives `count` numbers of the dtype.


def _unit(xp: Any, begin: Words, *, count: int, dtype: np.dtype) -> Any:
    """Uniform on (0, 1]: float64 for float64, else float32."""
    first, second, _, _ = words(xp, begin, count)
    return _unit64(xp, first, second) if dtype == _FLOAT64 else _unit32(xp, first)


def _unit32(xp: Any, word: Any) -> Any:
    """float32 on (0, 1] of a word: the middle of its step of 2**-32, rounded."""
    return xp.astype(word, _FLOAT32) * np.float32(2.0**-32) + np.float32(2.0**-33)


def _unit64(xp: Any, low: Any, high: Any) -> Any:
    """float64 on (0, 1] of two words: the second's highest bits stand above the first's."""
    return xp.astype(low ^ (high << np.uint64(21)), _FLOAT64) * 2.0**-53 + 2.0**-54


def _standard(xp: Any, begin: Words, count: int, dtype: np.dtype) -> Any:
    """Box & Muller's (1958) first normal number of each two: float64 for float64, else float32."""
    first, second, third, fourth = words(xp, begin, count)
    if dtype == _FLOAT64:
        radius, turn = _unit64(xp, first, second), _unit64(xp, third, fourth)
    else:
        radius, turn = _unit32(xp, first), _unit32(xp, second)
    kind = radius.dtype.type
    return xp.sqrt(xp.log(radius) * kind(-2)) * xp.sin(turn * kind(2 * math.pi))


def _scaled(numbers: Any, factor: float, term: float) -> Any:
    kind = numbers.dtype.type
    numbers = numbers if factor == 1.0 else numbers * kind(factor)
    return numbers if term == 0.0 else numbers + kind(term)


def _uniform(xp: Any, begin: Words, *, count: int, low: float, high: float, dtype: np.dtype) -> Any:
    """cuRAND's interval is open at 0: the other end is put there."""
    numbers = xp.astype(_scaled(_unit(xp, begin, count=count, dtype=dtype), high - low, low), dtype)
    return xp.where(numbers == dtype.type(high), dtype.type(low), numbers)


def _normal(xp: Any, begin: Words, *, count: int, mean: float, std: float, dtype: np.dtype) -> Any:
    return xp.astype(_scaled(_standard(xp, begin, count, dtype), std, mean), dtype)


def _log_normal(xp: Any, begin: Words, *, count: int, mean: float, std: float, dtype: np.dtype) -> Any:
    return xp.astype(xp.exp(_scaled(_standard(xp, begin, count, dtype), std, mean)), dtype)


def _bernoulli(xp: Any, begin: Words, *, count: int, probability: float, dtype: np.dtype) -> Any:
    uniform = _unit(xp, begin, count=count, dtype=dtype)
    return xp.astype(uniform <= uniform.dtype.type(probability), dtype)


def _exponential(xp: Any, begin: Words, *, count: int, rate: float, dtype: np.dtype) -> Any:
    """Where u rounds to 1, -log(u) is half of the distance of the next number."""
    uniform = _unit(xp, begin, count=count, dtype=dtype)
    kind = uniform.dtype.type
    least = kind(np.finfo(kind).eps / 2)
    logarithm = xp.where(uniform >= kind(1) - least, -least, xp.log(uniform))
    return xp.astype(logarithm * kind(-1.0 / rate), dtype)


def _geometric(xp: Any, begin: Words, *, count: int, probability: float, dtype: np.dtype) -> Any:
    uniform = _unit(xp, begin, count=count, dtype=dtype)
    kind = uniform.dtype.type
    trials = xp.ceil(xp.log(uniform) / kind(math.log1p(-probability)))
    return xp.astype(xp.maximum(trials, kind(1)), dtype)  # u may be 1


def _cauchy(xp: Any, begin: Words, *, count: int, median: float, sigma: float, dtype: np.dtype) -> Any:
    """u is not nearer to 0 and 1 than numbers are apart there."""
    uniform = _unit(xp, begin, count=count, dtype=dtype)
    kind = uniform.dtype.type
    least = kind(np.finfo(kind).eps)
    uniform = xp.minimum(xp.maximum(uniform, least), kind(1) - least)
    return xp.astype(_scaled(xp.tan((uniform - kind(0.5)) * kind(math.pi)), sigma, median), dtype)


def _integers(xp: Any, begin: Words, *, count: int, low: int, span: int, is_long: bool, dtype: np.dtype) -> Any:
    """low + a word modulo the span, or two words."""
    first, second, _, _ = words(xp, begin, count)
    word = (first << np.uint64(32)) | second if is_long else first
    if span < (2**64 if is_long else 2**32):
        word = xp.remainder(word, np.uint64(span))
    numbers = xp.astype(word, _INT64)  # wraps, as the sum does
    return xp.astype(numbers + np.int64(low) if low else numbers, dtype)
