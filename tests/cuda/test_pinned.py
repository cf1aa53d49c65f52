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


LIKE = torch.arange(6.0).reshape(2, 3)
MAKERS: list[Any] = [
    lambda **given: torch.empty(2, 3, **given), lambda **given: torch.zeros(2, dtype=torch.bfloat16, **given),
    lambda **given: torch.ones(2, **given), lambda **given: torch.full((2,), 3, **given), lambda **given: torch.eye(3, **given),
    lambda **given: torch.tensor([1, 2], **given), lambda **given: torch.tensor(LIKE.numpy(), **given),
    lambda **given: torch.arange(5, **given), lambda **given: torch.linspace(0, 1, 5, **given),
    lambda **given: torch.logspace(0, 1, 5, **given), lambda **given: torch.scalar_tensor(2.0, **given),
    lambda **given: torch.empty_strided((2, 3), (5, 1), **given), lambda **given: torch.empty_permuted((2, 3), (1, 0), **given),
    lambda **given: torch.tril_indices(3, 3, **given), lambda **given: torch.triu_indices(3, 3, **given),
    *[lambda n=n, **given: getattr(torch, n)(LIKE, **given) for n in (
        "empty_like", "zeros_like", "ones_like", "rand_like", "randn_like",
    )],
    lambda **given: torch.full_like(LIKE.T, 2, **given), lambda **given: torch.randint_like(LIKE, 5, **given),
    lambda **given: torch.rand(3, **given), lambda **given: torch.randn(3, **given), lambda **given: torch.randperm(3, **given),
    lambda **given: torch.randint(3, (2,), **given), lambda **given: torch.normal(0.0, 1.0, (2,), **given),
    lambda **given: LIKE.new_zeros(2, **given), lambda **given: LIKE.new_empty(2, **given),
    lambda **given: LIKE.new_tensor([1.0], **given), lambda **given: LIKE.new_full((2,), 1.0, **given),
    lambda **given: LIKE.new_empty_strided((2, 2), (4, 1), **given),
]  # fmt: skip


@pytest.mark.parametrize("make", MAKERS)
def test_made_in_pinned_memory(gpus: Any, make: Any) -> None:
    torch.manual_seed(0)
    plain = make()
    torch.manual_seed(0)
    pinned = make(pin_memory=True)
    assert pinned.is_pinned() and not plain.is_pinned()
    assert (pinned.shape, pinned.dtype, pinned.stride()) == (plain.shape, plain.dtype, plain.stride())
    if "empty" not in "".join(make.__code__.co_names) and make.__defaults__ != ("empty_like",):
        assert pinned.tolist() == plain.tolist()


def test_made_in_pinned_memory_with_gradients(gpus: Any) -> None:
    x = torch.ones(2, pin_memory=True, requires_grad=True)
    assert x.is_pinned() and x.requires_grad and x.is_leaf


def test_what_cannot_be_made_in_pinned_memory(gpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="Only dense CPU tensors can be pinned"):
        torch.empty(2, device="cuda", pin_memory=True)
    monkeypatch.setattr("rushlight.cuda.library._count", 0)
    with pytest.raises(
        RuntimeError, match="pin_memory=True requires a CUDA or other accelerator backend; no pinned memory"
    ):
        torch.empty(2, pin_memory=True)


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
