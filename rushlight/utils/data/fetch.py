"""Fetching: from the indices that a sampler gives to a batch, in whatever process the dataset is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rushlight.utils.data.collate import default_collate
from rushlight.utils.data.dataset import IterableDataset, TensorBatches
from rushlight.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler


def indices_of(loader: Any) -> Iterator[Any]:
    """What a loader's sampler gives in one pass: one item a batch, or a sample where no batches are made."""
    batches = loader.batch_sampler
    if batches is None:
        return iter(loader.sampler)
    is_plain = type(batches) is BatchSampler and type(batches.sampler) in (RandomSampler, SequentialSampler)
    if is_plain and _tensor_batches(loader.dataset, loader.collate_fn) is not None:
        return _slices_of_order(batches)
    return iter(batches)


def _slices_of_order(batches: BatchSampler) -> Iterator[Any]:
    """The indices of each batch as slices of one array, where the order is known as a whole."""
    sampler: Any = batches.sampler
    order, size = sampler.order(), batches.batch_size
    stop = len(order) // size * size if batches.drop_last else len(order)
    for start in range(0, stop, size):
        yield order[start : start + size]


def fetcher_of(dataset: Any, is_batched: bool, collate: Callable[[Any], Any], drop_last: bool) -> Callable[[Any], Any]:
    """A function from an item of `indices_of` to a batch (or sample). At the end of a stream it raises StopIteration."""
    if isinstance(dataset, IterableDataset):
        return _from_stream(iter(dataset), collate, drop_last) if is_batched else _one_by_one(iter(dataset), collate)
    if not is_batched:
        return lambda index: collate(dataset[index])
    if (batches := _tensor_batches(dataset, collate)) is not None:
        return batches
    fetch = getattr(dataset, "__getitems__", None)
    if fetch:
        return lambda indices: collate(fetch(indices))
    return lambda indices: collate([dataset[index] for index in indices])


def _tensor_batches(dataset: Any, collate: Callable[[Any], Any]) -> TensorBatches | None:
    return TensorBatches.of(dataset) if collate is default_collate else None


def _one_by_one(samples: Iterator[Any], collate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda _: collate(next(samples))


def _from_stream(samples: Iterator[Any], collate: Callable[[Any], Any], drop_last: bool) -> Callable[[Any], Any]:
    has_ended = False

    def fetch(places: Any) -> Any:
        nonlocal has_ended
        batch: list[Any] = []
        while len(batch) < len(places) and not has_ended:
            try:
                batch.append(next(samples))
            except StopIteration:
                has_ended = True
        if not batch or (drop_last and len(batch) < len(places)):
            raise StopIteration
        return collate(batch)

    return fetch
