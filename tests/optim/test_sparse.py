"""Sparse gradients: the same updates as PyTorch's, eager and compiled, that touch only rows; and dense ones in compiled steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rushlight

CASES = [
    ("SGD", {}), ("SGD", {"momentum": 0.9}), ("SGD", {"momentum": 0.9, "dampening": 0.2, "nesterov": False}),
    ("Adagrad", {}), ("Adagrad", {"lr_decay": 0.1, "maximize": True}), ("SparseAdam", {}),
    ("SparseAdam", {"betas": (0.8, 0.9), "maximize": True}),
]  # fmt: skip


def train(library, name, options, rows, steps=6):
    random = np.random.default_rng(0)
    w = library.from_numpy(random.standard_normal((rows, 3))).requires_grad_()
    optimizer = getattr(library.optim, name)([w], lr=0.1, **options)
    for number in range(steps):
        index = random.integers(0, 20, (1, 8 if number != 4 else 5))  # some rows twice
        values = random.standard_normal((index.size, 3))
        w.grad = library.sparse_coo_tensor(library.from_numpy(index), library.from_numpy(values), (rows, 3))
        optimizer.step()
    return w, optimizer


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
@pytest.mark.parametrize("rows", [40, 40_000])  # eager, and compiled
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_updates_are_pytorchs(name, options, rows):
    mine, optimizer = train(rushlight, name, options, rows)
    theirs, their_optimizer = train(torch, name, options, rows)
    np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=1e-9, atol=1e-9)
    for key, value in their_optimizer.state[theirs].items():
        own = optimizer.state[mine][key]
        if key == "step":
            assert float(own) == float(value)
        else:
            a, b = own.to_dense() if own.is_sparse else own, value.to_dense() if value.is_sparse else value
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "Adadelta", "NAdam", "ASGD", "Adafactor"])
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_other_methods_refuse_them(name):
    messages = []
    for library in (rushlight, torch):
        w = library.ones(4, 2, requires_grad=True)
        w.grad = library.sparse_coo_tensor([[1]], [[1.0, 2.0]], (4, 2))
        with pytest.raises(RuntimeError) as caught:
            getattr(library.optim, name)([w]).step()
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_sparse_adam_refuses_dense_ones():
    w = rushlight.ones(4, 2, requires_grad=True)
    w.grad = rushlight.ones(4, 2)
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients"):
        rushlight.optim.SparseAdam([w]).step()


def test_a_compiled_step_of_sparse_adam_runs_eager():
    table = rushlight.nn.Embedding(50, 2, sparse=True)
    optimizer = rushlight.optim.SparseAdam(table.parameters())

    @rushlight.compile
    def step(index):
        optimizer.zero_grad()
        table(index).sum().backward()
        optimizer.step()

    with pytest.warns(UserWarning, match="needs sparse gradients, and a recorded program's are dense"):
        step(rushlight.tensor([1, 2]))
    assert table.weight.grad.is_sparse and optimizer.state[table.weight]["step"] == 1


def test_weight_decay_does_not_go_with_them():
    w = rushlight.ones(4, 2, requires_grad=True)
    w.grad = rushlight.sparse_coo_tensor([[1]], [[1.0, 2.0]], (4, 2))
    with pytest.raises(RuntimeError, match="weight_decay option is not compatible with sparse gradients"):
        rushlight.optim.Adagrad([w], weight_decay=0.1).step()


def test_an_empty_gradient_changes_nothing():
    w = rushlight.ones(4, 2, requires_grad=True)
    optimizer = rushlight.optim.SparseAdam([w])
    w.grad = rushlight.sparse_coo_tensor(rushlight.zeros((1, 0), dtype=rushlight.int64), rushlight.zeros(0, 2), (4, 2))
    optimizer.step()
    assert (w == 1).all() and optimizer.state[w]["step"] == 1


def lookups(library, optimizer_name, compiled, **options):
    """The table after steps that look rows up twice over, once with padding; the gradient of the last one."""
    table = library.nn.Embedding(50, 3, padding_idx=4, **options)
    with library.no_grad():
        table.weight.copy_(library.from_numpy(np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)))
    optimizer = getattr(library.optim, optimizer_name)(table.parameters(), lr=0.1)

    def step(index):
        optimizer.zero_grad()
        loss = (table(index) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    run = rushlight.compile(step, fullgraph=True) if compiled else step
    for index in ([[1, 1], [4, 7]], [[2, 4], [2, 1]], [[49, 0], [0, 0]]):
        run(library.tensor(index))
    return table.weight


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "Adam"])
def test_a_compiled_step_with_dense_gradients(name):
    mine, theirs = lookups(rushlight, name, True), lookups(torch, name, False)
    np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=2e-5, atol=1e-6)
    assert isinstance(mine.grad, rushlight.Tensor)
    np.testing.assert_allclose(mine.grad.numpy(), theirs.grad.numpy(), rtol=2e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_embeddings_with_sparse_gradients():
    mine, theirs = lookups(rushlight, "Adagrad", False, sparse=True), lookups(torch, "Adagrad", False, sparse=True)
    assert mine.grad.is_sparse and mine.grad.layout is rushlight.sparse_coo
    np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=2e-5, atol=1e-6)
    np.testing.assert_array_equal(mine.grad.coalesce().indices().numpy(), theirs.grad.coalesce().indices().numpy())


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_bags_gradients_accumulation_and_clipping():
    results = []
    for library in (rushlight, torch):
        bag = library.nn.EmbeddingBag(6, 2, mode="sum", sparse=True)
        with library.no_grad():
            bag.weight.copy_(library.arange(12.0).reshape(6, 2))
        for index in ([0, 3, 3, 1], [5, 3]):
            bag(library.tensor(index), library.tensor([0, 1])).pow(2).sum().backward()
        results.append((bag.weight.grad.is_sparse, bag.weight.grad.to_dense().tolist()))
    assert results[0] == results[1]
    w = rushlight.zeros(6, 2, requires_grad=True)
    w.grad = rushlight.sparse_coo_tensor([[1, 1, 3]], [[1.0, 0.0], [2.0, 0.0], [0.0, 4.0]], (6, 2))
    assert rushlight.nn.utils.clip_grad_norm_([w], 1.0) == 5
    np.testing.assert_allclose(w.grad.to_dense()[1].tolist(), [0.6, 0], rtol=1e-6)
