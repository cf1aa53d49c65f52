"""Graphs as objects: long chains without recursion, no reference cycles, memory that stays flat."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from collections.abc import Iterator

import pytest

import rushlight as torch
from rushlight.ops.fused import LONG_PATIENCE


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_a_chain_of_a_million_operations() -> None:
    x = torch.tensor(1.0, requires_grad=True)
    y = x
    depth = sys.getrecursionlimit()
    for _ in range(1_000_000):
        y = y + 1.0
    assert y.item() == 1_000_001
    y.backward()
    assert x.grad.item() == 1
    assert sys.getrecursionlimit() == depth


def test_a_long_chain_dropped_unused() -> None:
    x = torch.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(200_000):
        y = y * 1.0
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


@pytest.mark.usefixtures("no_collector")
def test_the_graph_goes_with_the_loss() -> None:
    w = torch.ones(3, 3, requires_grad=True)
    h = (w @ w).relu()
    view = h[0]
    loss = (view * 2).sum() + torch.stack([h, h]).mean() + h.split(1)[1].exp().sum()
    watched = [weakref.ref(t) for t in (h, view, loss)] + [weakref.ref(t.grad_fn) for t in (h, view, loss)]
    del h, view, loss
    assert [reference() for reference in watched] == [None] * 6


@pytest.mark.usefixtures("no_collector")
def test_the_graph_goes_after_backward_and_in_place() -> None:
    w = torch.ones(3, 3, requires_grad=True)
    h = w * 2
    h[0].mul_(3)
    h.add_(1)
    loss = h.exp().sum()
    loss.backward(retain_graph=True)
    loss.backward()
    watched = [weakref.ref(t) for t in (h, loss)] + [weakref.ref(h.grad_fn)]
    del h, loss
    assert [reference() for reference in watched] == [None] * 3


@pytest.mark.usefixtures("no_collector")
def test_hooks_and_second_derivatives_leave_no_cycles() -> None:
    w = torch.ones(3, requires_grad=True)
    h = w * w
    h.retain_grad()
    h.register_hook(lambda g: g * 2)
    (first,) = torch.autograd.grad((h * h).sum(), w, create_graph=True)
    second = first.sum()
    second.backward()
    watched = [weakref.ref(t) for t in (h, first, second)]
    del h, first, second
    assert [reference() for reference in watched] == [None] * 3


@pytest.mark.usefixtures("no_collector")
def test_memory_is_flat_over_a_thousand_training_steps() -> None:
    x, target = torch.randn(16, 8), torch.randn(16, 1)
    weights = [torch.randn(8, 8, requires_grad=True), torch.randn(8, 1, requires_grad=True)]

    def step() -> None:
        loss = (((x @ weights[0]).tanh() @ weights[1] - target) ** 2).mean()
        for w in weights:
            w.grad = None
        loss.backward()
        with torch.no_grad():
            for w in weights:
                w -= 0.01 * w.grad

    for _ in range(LONG_PATIENCE + 100):  # by then all that is worth compiling has been
        step()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for _ in range(1000):
        step()
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    grown = sum(entry.size_diff for entry in after.compare_to(before, "filename"))
    assert grown < 100_000, f"{grown} bytes more after 1,000 steps"
