"""One of everything, end to end, in under five seconds: run it before every commit."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import rushlight as torch
import rushlight.nn as nn


def test_create_and_compute() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    y = (x @ x.T + torch.eye(2)).softmax(-1)
    assert y.shape == (2, 2)
    assert y.sum(1).tolist() == pytest.approx([1, 1])
    assert torch.tensor([1, 2]).add(0.5).dtype is torch.float32


def test_views_share_memory_with_numpy() -> None:
    array = np.zeros((2, 3), np.float32)
    x = torch.from_numpy(array)
    x[:, 1].fill_(5)
    x.view(-1)[0] = 7
    assert array.tolist() == [[7, 5, 0], [0, 5, 0]]


def test_gradients_of_both_orders() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert first.tolist() == [3, 12]
    assert second.tolist() == [6, 12]


def test_no_grad_and_meta() -> None:
    with torch.no_grad():
        assert not (torch.ones(1, requires_grad=True) * 2).requires_grad
    assert (torch.zeros(2, 3, device="meta") @ torch.zeros(3, 4, device="meta")).shape == (2, 4)


def test_random_numbers_are_pytorchs() -> None:
    torch.manual_seed(0)
    assert torch.rand(2).tolist() == pytest.approx([0.4962566, 0.7682218])


def train(compiled: bool) -> list[float]:
    torch.manual_seed(0)
    x, target = torch.randn(32, 4), torch.randint(0, 3, (32,))
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)

    def step(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    run = torch.compile(step) if compiled else step
    return [run(x, target).item() for _ in range(8)]


def test_training_eager_and_compiled() -> None:
    eager, compiled = train(False), train(True)
    assert eager[-1] < eager[0]
    assert compiled == pytest.approx(eager, rel=1e-4)


def test_data_loader() -> None:
    from rushlight.utils.data import DataLoader, TensorDataset

    batches = list(DataLoader(TensorDataset(torch.arange(5), torch.arange(5) * 2), batch_size=2))
    assert [batch[1].tolist() for batch in batches] == [[0, 2], [4, 6], [8]]


def test_save_load_and_print(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt")["w"].tolist() == [1, 1]
    buffer = io.BytesIO()
    torch.save(torch.arange(3), buffer)
    buffer.seek(0)
    assert torch.load(buffer).tolist() == [0, 1, 2]
    assert repr(torch.tensor([1.0, 2.5])) == "tensor([1.0000, 2.5000])"
