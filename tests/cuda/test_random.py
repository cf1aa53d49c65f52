"""Seeds and states of the GPUs' generators."""

from __future__ import annotations

from typing import Any

import pytest

import rushlight as torch


@pytest.fixture(autouse=True)
def keep_state() -> Any:
    state = torch.get_rng_state()
    yield
    torch.set_rng_state(state)


def test_seeds(gpus: Any) -> None:
    torch.cuda.manual_seed_all(11)
    assert [generator.initial_seed() for generator in torch.cuda.default_generators] == [11, 11]
    torch.cuda.manual_seed(12)
    assert [generator.initial_seed() for generator in torch.cuda.default_generators] == [12, 11]
    with torch.cuda.device(1):
        torch.cuda.manual_seed(13)
        assert torch.cuda.initial_seed() == 13
    torch.manual_seed(14)
    assert [generator.initial_seed() for generator in torch.cuda.default_generators] == [14, 14]
    torch.cuda.seed()
    assert torch.cuda.initial_seed() != 14
    torch.cuda.seed_all()
    assert len({generator.initial_seed() for generator in torch.cuda.default_generators}) == 1
    assert [str(generator.device) for generator in torch.cuda.default_generators] == ["cuda:0", "cuda:1"]
    with pytest.raises(IndexError, match="one for each GPU"):
        torch.cuda.default_generators[2]


def test_states(gpus: Any) -> None:
    torch.cuda.manual_seed_all(3)
    state = torch.cuda.get_rng_state()
    assert (state.dtype, tuple(state.shape), state.device.type) == (torch.uint8, (16,), "cpu")
    torch.cuda.default_generators[0].set_offset(8)
    later = torch.cuda.get_rng_state_all()
    assert [int(one[8]) for one in later] == [8, 0]
    torch.cuda.set_rng_state(state)
    assert torch.cuda.default_generators[0].get_offset() == 0
    torch.cuda.set_rng_state_all(later)
    assert torch.cuda.default_generators[0].get_offset() == 8
    torch.cuda.set_rng_state(later[0], "cuda:1")
    assert torch.cuda.default_generators[1].get_offset() == 8
