"""Seeds and states of the GPUs' generators. Seeding needs no GPU: a GPU's generator is made when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rushlight.cuda import library
from rushlight.cuda.devices import current_device, index_of
from rushlight.devices import device as device_type
from rushlight.random import Generator, default, generator_of
from rushlight.tensor import Tensor


class _Generators:
    """`default_generators`: one for each GPU, by its index."""

    def __len__(self) -> int:
        return library.device_count()

    def __getitem__(self, index: int) -> Generator:
        if not 0 <= index < len(self):
            raise IndexError(
                f"default_generators has {len(self)} generators, one for each GPU, not one of index {index}"
            )
        return generator_of(device_type("cuda", index))  # type: ignore[no-any-return, no-untyped-call]

    def __iter__(self) -> Iterator[Generator]:
        return (self[index] for index in range(len(self)))


default_generators = _Generators()


def _of(device: Any) -> Generator:
    library.cupy()
    return default_generators[index_of(device)]


def get_rng_state(device: Any = "cuda") -> Tensor:
    """The state of a GPU's generator, 16 bytes on the CPU: seed and offset."""
    return _of(device).get_state()  # type: ignore[no-any-return]


def get_rng_state_all() -> list[Tensor]:
    """The states of all GPUs' generators."""
    return [generator.get_state() for generator in default_generators]


def set_rng_state(new_state: Tensor, device: Any = "cuda") -> None:
    """Sets the state of a GPU's generator; nothing where there is no GPU."""
    if library.device_count():
        _of(device).set_state(new_state)


def set_rng_state_all(new_states: Iterable[Tensor]) -> None:
    """Sets the states of all GPUs' generators."""
    for index, state in enumerate(new_states):
        set_rng_state(state, index)


def manual_seed(seed: int) -> None:
    """Seeds the current GPU's generator; where none is there, nothing is done."""
    if library.device_count():
        default_generators[current_device()].manual_seed(int(seed))


def manual_seed_all(seed: int) -> None:
    """Seeds all GPUs' generators, of those too that have not been used yet."""
    default.manual_seed_cuda(int(seed))  # type: ignore[no-untyped-call]


def seed() -> None:
    """Seeds the current GPU's generator from the operating system."""
    if library.device_count():
        default_generators[current_device()].seed()


def seed_all() -> None:
    """Seeds all GPUs' generators from the operating system, with one seed."""
    if library.device_count():
        manual_seed_all(default_generators[current_device()].seed())


def initial_seed() -> int:
    """The seed of the current GPU's generator."""
    return default_generators[current_device()].initial_seed()
