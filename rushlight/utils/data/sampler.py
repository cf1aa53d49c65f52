"""Samplers: in which order a dataset is read. The random ones draw PyTorch's numbers in PyTorch's order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from rushlight import random as random_numbers
from rushlight.api.sample import multinomial
from rushlight.random import Generator

T_co = TypeVar("T_co", covariant=True)
_INT64 = np.dtype(np.int64)


class Sampler(Generic[T_co]):
    """The indices of samples (or lists of them, batches) in order: a subclass defines `__iter__`."""

    def __init__(self, data_source: Any = None) -> None:
        pass

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ..."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def order(self) -> np.ndarray:
        """All indices at once."""
        return np.arange(len(self.data_source))

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """All indices in random order, or with `replacement` random indices.

    Args:
        data_source: what is read; only its length counts.
        replacement: draw each index from all.
        num_samples: how many; default: the length.
        generator: what draws. Default: a new generator for each pass, whose seed the default generator draws.

    Raises:
        TypeError, ValueError: wrong arguments.
    """

    def __init__(
        self, data_source: Any, replacement: bool = False, num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:  # fmt: skip
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={self.num_samples}")

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def _draws(self) -> Iterator[np.ndarray]:
        """The indices, by the draws that they come in."""
        count, generator = len(self.data_source), self.generator
        if generator is None:
            generator = Generator().manual_seed(draw_seed(None))
        if self.replacement:
            for _ in range(self.num_samples // 32):
                yield generator.randint((32,), 0, count)
            yield generator.randint((self.num_samples % 32,), 0, count)
        else:
            for _ in range(self.num_samples // count):
                yield generator.permutation((count,))
            yield generator.permutation((count,))[: self.num_samples % count]  # drawn even where none is needed

    def order(self) -> np.ndarray:
        """All indices at once."""
        return np.concatenate(list(self._draws()))

    def __iter__(self) -> Iterator[int]:
        for indices in self._draws():
            yield from indices.tolist()

    def __len__(self) -> int:
        return self.num_samples


def _drawing(generator: Generator | None) -> Any:
    """What draws: the default generator unless told."""
    return random_numbers.default_generator if generator is None else generator


def draw_seed(generator: Generator | None) -> int:
    """A seed: an int64 that is not negative."""
    return int(_drawing(generator).random_full((), _INT64))


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in _drawing(self.generator).permutation((len(self.indices),)).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices drawn in proportion to weights.

    Args:
        weights: one for each index; they need not add up to 1.
        num_samples: how many to draw.
        replacement: whether an index can be drawn again.

    Raises:
        ValueError: wrong arguments.
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        from rushlight.dtypes import float64
        from rushlight.ops.create import as_tensor

        self.weights = as_tensor(weights, dtype=float64)
        if self.weights.ndim != 1:
            raise ValueError(
                f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        drawn = multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator)
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The indices of another sampler, in lists.

    Args:
        sampler: any iterable.
        batch_size: the length of the lists.
        drop_last: leave out a last list that is shorter.

    Raises:
        ValueError: wrong arguments.

    Example:
        >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
