"""Pinned memory: tensors, packed sequences, a loader's batches."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest

import rushlight as torch
from rushlight.nn.utils.rnn import pack_sequence
from rushlight.utils.data import DataLoader, TensorDataset
from rushlight.utils.data.pinning import pin_memory


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex64])
def test_tensors(gpus: Any, dtype: torch.dtype) -> None:
    plain = (torch.arange(24).reshape(2, 3, 4) % 5).to(dtype)
    assert not plain.is_pinned()
    pinned = plain.pin_memory()
    assert pinned.is_pinned()
    assert pinned.dtype is dtype
    assert (pinned == plain).all()
    assert pinned[:, 1].is_pinned()
    assert pinned.pin_memory() is pinned
    pinned.zero_()
    assert plain.any()


def test_the_order_of_dimensions_stays(gpus: Any) -> None:
    plain = torch.arange(24).reshape(2, 3, 4).permute(2, 0, 1)
    pinned = plain.pin_memory()
    assert pinned.stride() == plain.stride()
    assert pinned.tolist() == plain.tolist()
    assert torch.ones(0, 3).pin_memory().shape == (0, 3)
    assert torch.tensor(3.0).pin_memory().item() == 3.0


def test_what_cannot_be_pinned(gpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="only dense CPU tensors can be pinned"):
        torch.ones(2, device="meta").pin_memory()
    monkeypatch.setattr("rushlight.cuda.library._count", 0)
    with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is available"):
        torch.ones(2).pin_memory()


def test_what_holds_tensors(gpus: Any) -> None:
    pair = namedtuple("pair", "first second")
    batch = {"x": torch.ones(2), "rest": [torch.zeros(1), "text", 3], "pair": pair(torch.ones(1), None)}
    found = pin_memory(batch)
    assert found["x"].is_pinned()
    assert found["rest"][0].is_pinned()
    assert found["rest"][1:] == ["text", 3]
    assert isinstance(found["pair"], pair)
    assert found["pair"].first.is_pinned()
    assert isinstance(pin_memory((torch.ones(1),)), tuple)
    packed = pack_sequence([torch.ones(3), torch.ones(2)])
    assert packed.pin_memory().is_pinned()
    assert packed.pin_memory().batch_sizes.tolist() == packed.batch_sizes.tolist()


def test_batches(gpus: Any) -> None:
    loader = DataLoader(TensorDataset(torch.arange(6.0)), batch_size=4, pin_memory=True)
    batches = [batch for (batch,) in loader]
    assert [batch.tolist() for batch in batches] == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0]]
    assert all(batch.is_pinned() for batch in batches)
    assert not any(batch.is_pinned() for (batch,) in DataLoader(TensorDataset(torch.ones(3))))
