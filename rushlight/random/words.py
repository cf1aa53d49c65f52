"""The stream of 32-bit words that all random numbers are made of: seeds, states, uniform numbers.

The Mersenne Twister (Matsumoto & Nishimura 1998, NumPy's C code, seeded as its authors did).
"""

import struct

import numpy as np

from rushlight import devices
from rushlight.random.seeds import DEFAULT_SEED, Generator

_BLOCK = 624  # words the twister makes at a time
_LOW_24_BITS = np.uint32(2**24 - 1)
LOW_53_BITS = np.uint64(2**53 - 1)
_NO_WORDS = np.empty(0, np.uint32)
_UNIT_24 = np.float32(2.0**-24)

# seed, words left + 1, seeded, next word | 624 words of state | normal_x, cached normal,
# normal_rho, is cached, padding, a float32 normal and its flag (the CPU uses only two of these)
_STATE_HEAD = struct.Struct("<QiiQ")
_STATE_TAIL = struct.Struct("<dddiifi")
_STATE_SIZE = _STATE_HEAD.size + 8 * _BLOCK + _STATE_TAIL.size  # 5056


class Words(Generator):
    """A seeded stream of words and of the uniform numbers that they make; a subclass makes distributions of these."""

    __slots__ = ("_block", "_cached_normal", "_engine", "_next", "exact_normals")

    def __init__(self, device="cpu"):
        self.device = devices.require(device)
        self.exact_normals = False
        self._engine = None
        self.manual_seed(DEFAULT_SEED)

    # ---- seed and state

    def _restart(self):
        if self._engine is not None:
            self._engine._legacy_seeding(self._seed % 2**32)
        self._block = _NO_WORDS  # the current words; the engine stands at their end
        self._next = 0
        self._cached_normal = None

    def _state_bytes(self):
        words_left = len(self._block) - self._next
        normal = self._cached_normal
        head = _STATE_HEAD.pack(self._seed, words_left + 1, 1, self._next)
        words = self._twister().state["state"]["key"].astype("<u8").tobytes()
        tail = _STATE_TAIL.pack(0.0, normal or 0.0, 0.0, normal is not None, 0, 0.0, 0)
        return head + words + tail

    def _set_state_bytes(self, data):
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

    def uniform32(self, count):
        """float32 in [0, 1): the low 24 bits of a word."""
        numbers = (self.random32(count) & _LOW_24_BITS).view(np.int32).astype(np.float32)
        numbers *= _UNIT_24
        return numbers

    def uniform64(self, count):
        """float64 in [0, 1): the low 53 bits of two words."""
        numbers = self.random64(count)
        numbers &= LOW_53_BITS
        return numbers.view(np.int64) * 2.0**-53
