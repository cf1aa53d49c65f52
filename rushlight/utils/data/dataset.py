"""Datasets: what has samples, by index or in a stream."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from rushlight import random as random_numbers
from rushlight.ops.index import take
from rushlight.tensor import Tensor, wrap

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Samples by index: a subclass defines `__getitem__`, `__len__`, and maybe `__getitems__(indices)` for a list."""

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Samples in a stream: a subclass defines `__iter__`."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")

    def __add__(self, other: Dataset[Any]) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors of one length; sample i is the i-th entry of each.

    Example:
        >>> import rushlight as torch
        >>> data = torch.utils.data.TensorDataset(torch.arange(4), torch.arange(4) * 2)
        >>> data[3]
        (tensor(3), tensor(6))
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor) -> None:
        if any(tensors[0].size(0) != tensor.size(0) for tensor in tensors):
            raise AssertionError("Size mismatch between tensors")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].size(0)


class StackDataset(Dataset[Any]):
    """Several datasets of one length; sample i is a tuple (or, given by name, a dict) of their samples i."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError(
                "Supported either ``tuple``- (via ``args``) or``dict``- (via ``kwargs``) like input/output, but both "
                "types are given."
            )
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        self.datasets: Any = kwargs or args
        lengths = {len(dataset) for dataset in (kwargs.values() if kwargs else args)}
        if len(lengths) > 1:
            raise ValueError("Size mismatch between datasets")
        self._length = lengths.pop()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __getitems__(self, indices: list[int]) -> list[Any]:
        is_named = isinstance(self.datasets, dict)
        columns = [_several(dataset, indices) for dataset in (self.datasets.values() if is_named else self.datasets)]
        rows = zip(*columns, strict=True)
        return [dict(zip(self.datasets, row, strict=True)) for row in rows] if is_named else list(rows)

    def __len__(self) -> int:
        return self._length


def _several(dataset: Any, indices: list[int]) -> list[Any]:
    """Samples at several indices, in the dataset's own way if it has one."""
    if not callable(getattr(dataset, "__getitems__", None)):
        return [dataset[i] for i in indices]
    samples = dataset.__getitems__(indices)
    if len(samples) != len(indices):
        raise ValueError(f"Nested dataset's output size mismatch. Expected {len(indices)}, got {len(samples)}")
    return samples


class ConcatDataset(Dataset[T_co]):
    """Datasets, one after the other."""

    datasets: list[Any]
    cumulative_sizes: list[int]

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        if index < 0:
            if -index > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            index += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]


class ChainDataset(IterableDataset[Any]):
    """Streams, one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def _checked(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield dataset

    def __iter__(self) -> Iterator[Any]:
        for dataset in self._checked():
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._checked())


class Subset(Dataset[T_co]):
    """The samples of a dataset at chosen indices."""

    dataset: Any
    indices: Sequence[int]

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        chosen = [self.indices[i] for i in indices]
        if type(self).__getitem__ is not Subset.__getitem__:
            raise NotImplementedError(
                f"{type(self).__name__} overrides __getitem__ but not __getitems__. You must implement both methods "
                "to ensure DataLoader works correctly with your custom logic."
            )
        return _several(self.dataset, chosen)

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: random_numbers.Generator | None = None
) -> list[Subset[Any]]:
    """Splits a dataset at random.

    Args:
        lengths: the lengths of the parts, or their shares of the whole.
        generator: what draws; default: the default generator.

    Raises:
        ValueError: the lengths do not add up.

    Example:
        >>> import rushlight as torch
        >>> [len(part) for part in torch.utils.data.random_split(range(10), [0.8, 0.2])]
        [8, 2]
    """
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        lengths = _from_shares(len(dataset), lengths)
    if sum(lengths) != len(dataset):
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    sizes = [int(length) for length in lengths]
    draw: Any = random_numbers.default_generator if generator is None else generator
    order = draw.permutation((sum(sizes),)).tolist()
    stops = itertools.accumulate(sizes)
    return [Subset(dataset, order[stop - size : stop]) for stop, size in zip(stops, sizes, strict=True)]


def _from_shares(count: int, shares: Sequence[float]) -> list[int]:
    """Lengths for shares of the whole; what rounding leaves over goes to the first ones, one each."""
    for i, share in enumerate(shares):
        if not 0 <= share <= 1:
            raise ValueError(f"Fraction at index {i} is not between 0 and 1")
    lengths = [math.floor(count * share) for share in shares]
    for i in range(count - sum(lengths)):
        lengths[i % len(lengths)] += 1
    for i, length in enumerate(lengths):
        if length == 0:
            warnings.warn(f"Length of split at index {i} is 0. This might result in an empty dataset.", stacklevel=3)
    return lengths


# ---------------------------------------------------------------- batches by one read of each tensor


class TensorBatches:
    """Batches of a TensorDataset, of subsets of it too: one read of each tensor by the indices of all samples.

    A batch is what `default_collate` would make of the samples, at a hundredth of its time.

    Args:
        tensors: the tensors.
        indices: where in them the samples are; None if sample i is entry i.
    """

    def __init__(self, tensors: tuple[Tensor, ...], indices: np.ndarray | None):
        self.tensors, self.indices = tensors, indices

    @staticmethod
    def of(dataset: Any) -> TensorBatches | None:
        """For a dataset of which this can be said; None for others."""
        if type(dataset) is TensorDataset:
            return TensorBatches(dataset.tensors, None)
        if type(dataset) is not Subset:
            return None
        inner = TensorBatches.of(dataset.dataset)
        if inner is None:
            return None
        indices = np.asarray(dataset.indices, dtype=np.int64)
        return TensorBatches(inner.tensors, indices if inner.indices is None else inner.indices[indices])

    def __call__(self, chosen: Any) -> list[Tensor]:
        chosen = np.asarray(chosen, dtype=np.int64)
        if self.indices is not None:
            chosen = self.indices[chosen]
        at = wrap(chosen)
        return [tensor[at] if tensor.is_cuda else take(tensor, at, axis=0) for tensor in self.tensors]
