"""A pass over a dataset, the iterator that a loader's `for` gets: in this process; by workers in `processes.py`.

Whichever it is, batches and random numbers come in the same order as PyTorch's: the sampler's iterator is made, the base
seed drawn, and the sampler draws when it is first asked, which with workers is at once: some batches are always asked for
ahead of their use.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from rushlight import accelerator
from rushlight.utils.data.dataset import IterableDataset
from rushlight.utils.data.fetch import fetcher_of, indices_of
from rushlight.utils.data.pinning import pin_memory
from rushlight.utils.data.sampler import draw_seed


class Pass:
    """What both kinds have in common.

    A pass does not keep its loader: one whose workers stay keeps its pass, and both shall go when the loader does.
    """

    def __init__(self, loader: Any) -> None:
        self._dataset = loader.dataset
        self._sampler = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
        self._num_workers = loader.num_workers
        self._stream_length = loader._stream_length
        self._is_stream = isinstance(loader.dataset, IterableDataset)
        self._pins = loader.pin_memory and accelerator.is_available()
        if loader.pin_memory and not self._pins:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be "
                "used.", stacklevel=4,
            )  # fmt: skip
        self._indices = indices_of(loader)
        self._base_seed = draw_seed(loader.generator)
        self._num_yielded = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._sampler)

    def __next__(self) -> Any:
        batch = self._next()
        self._num_yielded += 1
        if self._is_stream:
            self._check_length()
        return pin_memory(batch) if self._pins else batch

    def _next(self) -> Any:
        raise NotImplementedError

    def _check_length(self) -> None:
        """Warns if a stream gives more than its length, once that has been asked for, lets expect."""
        expected = self._stream_length
        if expected is None or self._num_yielded <= expected:
            return
        message = (
            f"Length of IterableDataset {self._dataset} was reported to be {expected}"
            f"(when accessing len(dataloader)), but {self._num_yielded} samples have been fetched. "
        )
        if self._num_workers:
            message += (
                "For multiprocessing data-loading, this could be caused by not properly configuring the IterableDataset "
                "replica at each worker: each worker has the whole dataset, unless get_worker_info() tells it which part "
                "is its own."
            )
        warnings.warn(message, stacklevel=3)

    def __reduce__(self) -> Any:
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)


class PassHere(Pass):
    """Batches made in this process when they are asked for."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        if loader.timeout:
            raise AssertionError(f"DataLoader without workers requires timeout == 0, but got timeout={loader.timeout}")
        is_batched = loader.batch_sampler is not None
        self._fetch = fetcher_of(loader.dataset, is_batched, loader.collate_fn, loader.drop_last)

    def _next(self) -> Any:
        return self._fetch(next(self._indices))
