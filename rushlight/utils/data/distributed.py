"""A dataset shared by several processes, each with its own part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rushlight.random import Generator
from rushlight.utils.data.sampler import Sampler


class DistributedSampler(Sampler[int]):
    """The share of one of several processes in a dataset: every `num_replicas`-th sample, in one random order for all.

    Args:
        dataset: what is read; only its length counts.
        num_replicas: how many processes share it.
        rank: which of them this is, from 0.
        shuffle: whether the order is random; `set_epoch` gives another one.
        seed: of the order, the same in all processes.
        drop_last: leave out the samples that cannot be shared evenly; else the first ones are given twice.

    Raises:
        RuntimeError: `num_replicas` or `rank` is missing (PyTorch asks its process group, which is not here).
        ValueError: there is no such rank.

    Example:
        >>> list(DistributedSampler(range(5), num_replicas=2, rank=0, shuffle=False))
        [0, 2, 4]
    """

    def __init__(
        self, dataset: Any, num_replicas: int | None = None, rank: int | None = None, shuffle: bool = True,
        seed: int = 0, drop_last: bool = False,
    ) -> None:  # fmt: skip
        if num_replicas is None or rank is None:
            raise RuntimeError("Requires distributed package to be available: give num_replicas and rank")
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        self.epoch = 0
        count = len(dataset)
        self.num_samples = count // num_replicas if drop_last else -(-count // num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        count = len(self.dataset)
        order = np.arange(count)
        if self.shuffle:
            order = Generator().manual_seed(self.seed + self.epoch).permutation((count,))
        yield from np.resize(order, self.total_size)[self.rank :: self.num_replicas].tolist()

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Another random order for each epoch."""
        self.epoch = epoch
