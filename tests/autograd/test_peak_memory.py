"""The most memory that a step holds at once, against a closed form of what it cannot do without."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

import rushlight as torch

SLACK = 120_000  # bytes of Python's own objects: nodes, tensors, frames


def peak_of(step: Callable[[], Any]) -> int:
    for _ in range(2):
        step()
    gc.collect()
    tracemalloc.start()
    step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("accumulate", [False, True])
def test_of_an_mlp_of_12_layers(accumulate: bool) -> None:
    layers, width, batch = 12, 64, 4096
    parts = [part for _ in range(layers) for part in (torch.nn.Linear(width, width), torch.nn.ReLU())]
    model, x = torch.nn.Sequential(*parts), torch.randn(batch, width)

    def step() -> None:
        if not accumulate:
            model.zero_grad()
        model(x).sum().backward()

    activation, weight = 4 * batch * width, 4 * (width * width + width)
    # Back in layer i: the activations before it, the gradient that arrives, the one that goes on, gradients of weights.
    least = max(
        (i + (i > 1)) * activation + (1 if accumulate else layers - i + 1) * weight for i in range(1, layers + 1)
    )
    assert least <= peak_of(step) < least + SLACK


def test_of_large_parameters_that_have_gradients() -> None:
    """The gradient of a large parameter is added to `.grad` when it is complete, not at the end of the pass."""
    layers, width = 8, 512
    model = torch.nn.Sequential(*[torch.nn.Linear(width, width) for _ in range(layers)])
    x = torch.randn(4, width)
    least = 4 * (width * width + width)  # one at a time
    assert least <= peak_of(lambda: model(x).sum().backward()) < least + SLACK


def test_a_value_is_freed_as_soon_as_its_node_has_run() -> None:
    x = torch.ones(300_000, requires_grad=True)
    length = 10

    def step() -> None:
        x.grad = None
        y = x
        for _ in range(length):
            y = y.tanh()
        y.sum().backward()

    size = x.nbytes
    assert length * size <= peak_of(step) < (length + 2) * size + SLACK


def test_a_sum_of_many_gradients_takes_the_memory_of_one() -> None:
    x = torch.ones(300_000, requires_grad=True)

    def step() -> None:
        x.grad = None
        torch.stack([(x * float(i)).sum() for i in range(10)]).sum().backward()

    assert peak_of(step) < 3 * x.nbytes + SLACK
