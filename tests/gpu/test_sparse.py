"""Sparse tensors on GPUs: made there, taken apart, added to dense ones and to each other, moved, printed, saved."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as torch

INDICES, VALUES = [[0, 2, 0]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def rows(device: str, dtype: Any = torch.float32) -> Any:
    return torch.sparse_coo_tensor(INDICES, VALUES, (4, 2), device=device, dtype=dtype)


CASES: dict[str, Callable[[str], Any]] = {
    "coalesce": lambda device: rows(device).coalesce(),
    "half": lambda device: rows(device, torch.bfloat16).coalesce(),
    "two dimensions": lambda device: torch.sparse_coo_tensor(
        [[0, 1, 0], [2, 0, 2]], [1.0, 2.0, 3.0], device=device
    ).coalesce(),
    "empty": lambda device: torch.sparse_coo_tensor((3, 2), device=device),
    "of a tensor": lambda device: torch.sparse_coo_tensor(torch.tensor([[1]]), torch.ones(1, device=device), (2,)),
    "to_sparse": lambda device: torch.tensor([[0.0, 1.0], [0.0, 0.0]], device=device).to_sparse(),
    "times a number": lambda device: -rows(device) * 2 / 4,
    "times a tensor of a number": lambda device: rows(device) * torch.tensor(3.0),
    "times in place": lambda device: rows(device).clone().mul_(torch.tensor(3.0, device=device)),
    "sum": lambda device: rows(device) + torch.sparse_coo_tensor([[1]], [[1.0, 1.0]], (4, 2), device=device),
    "square root": lambda device: rows(device).sqrt(),
    "sum of all": lambda device: rows(device).sum(),
    "with a dense one": lambda device: rows(device) + torch.ones(4, 2, device=device),
    "dense first": lambda device: torch.ones(4, 2, device=device) - 0.5 * rows(device),
    "into a dense one": lambda device: torch.ones(4, 2, device=device).add_(rows(device), alpha=2),
    "sparse_mask": lambda device: torch.arange(8.0, device=device).reshape(4, 2).sparse_mask(rows(device).coalesce()),
    "double": lambda device: rows(device).double(),
    "copy_": lambda device: torch.ones(4, 2, device=device).copy_(rows(device)),
}


@pytest.mark.parametrize("name", CASES)
def test_as_on_the_cpu(name: str) -> None:
    expected, found = CASES[name]("cpu"), CASES[name]("cuda")
    assert found.is_cuda and (found.is_sparse, found.dtype, found.shape) == (
        expected.is_sparse, expected.dtype, expected.shape,
    )  # fmt: skip
    assert found.to_dense().is_cuda
    np.testing.assert_array_equal(found.to_dense().cpu().float().numpy(), expected.to_dense().float().numpy())
    there = found.cpu()
    assert there.is_cpu and there.is_sparse == expected.is_sparse and repr(there) == repr(expected)


def test_its_parts_and_its_text() -> None:
    x = rows("cuda").coalesce()
    assert x.indices().is_cuda and x.values().is_cuda and x.indices().tolist() == [[0, 2]]
    assert "device='cuda:0', size=(4, 2), nnz=2, layout=torch.sparse_coo" in repr(x)
    with pytest.raises(TypeError, match="to_dense"):
        x.numpy()
    again = pickle.loads(pickle.dumps(x))
    assert again.is_cuda and again.is_sparse and torch.equal(again.to_dense(), x.to_dense())


def test_devices_are_not_mixed() -> None:
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        rows("cpu") + torch.ones(4, 2, device="cuda")


def test_gradients_of_several_uses() -> None:
    """Sums of sparse and dense gradients, in either order, as on the CPU."""
    results = []
    for device in ("cpu", "cuda"):
        table = torch.nn.Embedding(5, 2, sparse=True, device=device)
        with torch.no_grad():
            table.weight.copy_(torch.arange(10.0).reshape(5, 2))
        index = torch.tensor([1, 3, 1], device=device)
        grads = []
        for steps in ("s", "ss", "ds", "sd"):
            table.weight.grad = None
            for step in steps:
                (table(index).square().sum() if step == "s" else (table.weight**2).sum()).backward()
            (table(index).sum() + table.weight.sum()).backward()
            grads.append(table.weight.grad.to_dense().cpu().tolist())
        results.append(grads)
    assert results[0] == results[1]


def test_only_rows_are_written() -> None:
    table = torch.full((1000, 8), 2.0, device="cuda")
    entries = torch.sparse_coo_tensor([[1, 1]], [[1.0] * 8, [2.0] * 8], (1000, 8), device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    table += entries
    table.sub_(entries, alpha=0.5)
    assert torch.cuda.max_memory_allocated() - before < table.nbytes / 2
    assert table[1].tolist() == [3.5] * 8 and table[2].tolist() == [2.0] * 8
