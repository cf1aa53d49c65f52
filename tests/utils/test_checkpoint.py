"""Activation checkpointing beside PyTorch's: values, random numbers, how often the region runs, errors, memory."""

from __future__ import annotations

import importlib
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as pytorch

import rushlight

OPTIONS = [
    {"use_reentrant": False},
    {"use_reentrant": True},
    {"use_reentrant": False, "early_stop": False},
    {"use_reentrant": False, "determinism_check": "none"},
    {"use_reentrant": False, "debug": True},
    {"use_reentrant": False, "preserve_rng_state": False},
]


def same(program: Callable[[Any, Any], list[Any]]) -> None:
    """`program(torch, torch.utils.checkpoint)` gives the same numbers, texts and tensors with both."""
    found = [
        program(torch, importlib.import_module(f"{torch.__name__}.utils.checkpoint")) for torch in (pytorch, rushlight)
    ]
    for theirs, mine in zip(*found, strict=True):
        if hasattr(theirs, "detach"):
            np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=2e-5, atol=1e-6)
        else:
            assert theirs == mine


def raised(function: Callable[[], Any], length: int = 70) -> str:
    try:
        function()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is compared or raised)
        return f"{type(error).__name__}: {str(error)[:length]}"
    return "nothing"


def region(torch: Any) -> tuple[Any, Any, Any, list[int]]:
    """(a function with dropout in it, its input, its weight, a list that counts its runs)."""
    torch.manual_seed(0)
    w, x = torch.randn(4, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    runs = [0]

    def run(x: Any, scale: float = 1.0) -> Any:
        runs[0] += 1
        h = torch.nn.functional.dropout((x @ w).tanh(), 0.5)
        return (h @ w).sigmoid() * scale

    return run, x, w, runs


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_and_random_numbers(options: dict[str, Any]) -> None:
    def program(torch: Any, checkpoints: Any) -> list[Any]:
        run, x, w, runs = region(torch)
        checkpoints.checkpoint(run, x, **options).sum().backward()
        return [x.grad, w.grad, runs[0], torch.rand(3)]

    same(program)


def test_without_and_with_gradients_are_the_plain_ones() -> None:
    run, x, w, _ = region(rushlight)
    for use_reentrant in (False, True):
        rushlight.manual_seed(1)
        plain = rushlight.autograd.grad(run(x).sum(), [x, w])
        rushlight.manual_seed(1)
        x.grad = w.grad = None
        rushlight.utils.checkpoint.checkpoint(run, x, use_reentrant=use_reentrant).sum().backward()
        assert np.array_equal(plain[0].numpy(), x.grad.numpy()) and np.array_equal(plain[1].numpy(), w.grad.numpy())
    with rushlight.no_grad():
        assert not rushlight.utils.checkpoint.checkpoint(run, x, use_reentrant=False).requires_grad


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_autocast_is_as_it_was(use_reentrant: bool) -> None:
    """The second run casts as the first did, though it comes after the block."""

    def program(torch: Any, checkpoints: Any) -> list[Any]:
        torch.manual_seed(0)
        x, w, dtypes = torch.randn(3, 4, requires_grad=True), torch.randn(4, 4, requires_grad=True), []

        def run(x: Any) -> Any:
            y = x @ w
            dtypes.append(str(y.dtype))
            return y

        with torch.autocast("cpu", torch.bfloat16):
            y = checkpoints.checkpoint(run, x, use_reentrant=use_reentrant)
        y.float().sum().backward()
        return [dtypes, x.grad, w.grad]

    same(program)


def test_keywords_nesting_and_graphs_walked_twice() -> None:
    def program(torch: Any, checkpoints: Any) -> list[Any]:
        run, x, w, runs = region(torch)
        y = checkpoints.checkpoint(run, x, scale=2.0, use_reentrant=False)
        y.sum().backward(retain_graph=True)
        y.sum().backward()
        again = raised(lambda: y.sum().backward())

        def outer(x: Any) -> Any:
            return checkpoints.checkpoint(run, x.sin(), use_reentrant=False).cos()

        checkpoints.checkpoint(outer, x, use_reentrant=False).sum().backward()
        cubed = checkpoints.checkpoint(lambda x: x**3, x, use_reentrant=False)
        (first,) = torch.autograd.grad(cubed.sum(), x, create_graph=True)
        second = torch.autograd.grad(first.sum(), x)[0]
        parts = checkpoints.checkpoint(lambda x: (x.sin(), 3, x.cos()), x, use_reentrant=False)
        parts[0].sum().backward()
        return [runs[0], x.grad, w.grad, again, first, second, type(parts).__name__, parts[1]]

    same(program)


@pytest.mark.parametrize("kind", ["more", "fewer", "another shape"])
def test_a_region_that_differs(kind: str) -> None:
    def program(torch: Any, checkpoints: Any) -> list[Any]:
        x, runs = torch.ones(3, 2, requires_grad=True), [0]

        def run(x: Any) -> Any:
            runs[0] += 1
            if kind == "another shape":
                return x.sin() if runs[0] == 1 else x[:1].sin()
            return x.sin().cos() if (runs[0] == 1) == (kind == "fewer") else x.sin()

        y = checkpoints.checkpoint(run, x, use_reentrant=False, early_stop=False)
        error = raised(lambda: y.sum().backward(), 100)
        return [error]

    same(program)


def test_debug_says_which_lines_saved() -> None:
    x, runs = rushlight.ones(2, requires_grad=True), []

    def run(x: Any) -> Any:
        runs.append(1)
        y = x.sin()  # in both runs
        return y if len(runs) > 1 else y.cos()  # only at first

    y = rushlight.utils.checkpoint.checkpoint(run, x, use_reentrant=False, debug=True)
    with pytest.raises(rushlight.utils.checkpoint.CheckpointError) as error:
        y.sum().backward()
    first, second = str(error.value).split("Tensors saved during recomputation")
    assert "# only at first" in first and "# in both runs" in second and "# only at first" not in second


def test_calls_that_are_refused_or_warned_of() -> None:
    def program(torch: Any, checkpoints: Any) -> list[Any]:
        run, x, _, _ = region(torch)
        checkpoint = checkpoints.checkpoint
        y = checkpoint(run, x, use_reentrant=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            checkpoint(run, x)
            checkpoint(run, x.detach(), use_reentrant=True)
        return [
            raised(lambda: torch.autograd.grad(y.sum(), x)),
            raised(lambda: checkpoint(run, x, scale=2.0, use_reentrant=True)),
            raised(lambda: checkpoint(run, x, use_reentrant=True, debug=True)),
            raised(lambda: checkpoint(run, x, use_reentrant=False, determinism_check="x")),
            [str(w.message)[:60] for w in caught],
            raised(lambda: checkpoints.detach_variable([x])),
        ]

    same(program)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_segments(use_reentrant: bool) -> None:
    def program(torch: Any, checkpoints: Any) -> list[Any]:
        torch.manual_seed(2)
        model = torch.nn.Sequential(*[torch.nn.Linear(4, 4) for _ in range(5)])
        x = torch.randn(2, 4, requires_grad=True)
        with checkpoints.set_checkpoint_early_stop(False):
            y = checkpoints.checkpoint_sequential(model, 2, x, use_reentrant=use_reentrant)
        y.sum().backward()
        return [x.grad, *[p.grad for p in model.parameters()]]

    same(program)


def test_less_is_kept() -> None:
    """Of a chain of ten operations on x, of 8 MB each, nothing is kept but x."""
    x = rushlight.ones(1_000_000, dtype=rushlight.float64, requires_grad=True)

    def run(x: Any) -> Any:
        for _ in range(10):
            x = x.sin()
        return x

    def held(make: Callable[[], Any]) -> float:
        tracemalloc.start()
        result = make()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del result
        return size / x.nbytes

    assert 9.9 < held(lambda: run(x)) < 10.2
    assert 0.9 < held(lambda: rushlight.utils.checkpoint.checkpoint(run, x, use_reentrant=False)) < 1.2


def test_inside_a_compiled_function() -> None:
    x = rushlight.ones(3, requires_grad=True)

    @rushlight.compile
    def step() -> Any:
        x.grad = None
        rushlight.utils.checkpoint.checkpoint(lambda x: x.sin().exp(), x, use_reentrant=False).sum().backward()
        return x.grad

    for _ in range(3):
        np.testing.assert_allclose(step().numpy(), np.exp(np.sin(1)) * np.cos(1), rtol=1e-6)
