"""Autograd in threads and forked processes: gradients that meet in a leaf add up, modes are each thread's own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import numpy as np
import pytest

import rushlight as torch

THREADS = 8


def in_threads(run: Callable[[int], None]) -> None:
    """Runs `run(number)` in eight threads that start together; their exceptions are raised here."""
    barrier, errors = threading.Barrier(THREADS), []

    def target(number: int) -> None:
        try:
            barrier.wait()
            run(number)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is compared or raised)
            errors.append(error)

    threads = [threading.Thread(target=target, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("size", [3, 40_000])
def test_leaves_of_many_graphs_get_the_sum(size: int) -> None:
    passes = 30
    shared, other = torch.ones(size, requires_grad=True), torch.ones(size, requires_grad=True)

    def run(number: int) -> None:
        for _ in range(passes):
            (shared * (number + 1) + shared * other).sum().backward()

    in_threads(run)
    assert np.all(shared.grad.numpy() == passes * (sum(range(1, THREADS + 1)) + THREADS))
    assert np.all(other.grad.numpy() == passes * THREADS)


def test_one_graph_walked_by_many_threads() -> None:
    x = torch.ones(1000, dtype=torch.float64, requires_grad=True)
    y = ((x * x).exp() * x).sum()
    in_threads(lambda number: y.backward(retain_graph=True))
    np.testing.assert_allclose(x.grad.numpy(), THREADS * 3 * np.e, rtol=1e-12)


def test_a_model_trained_by_many_threads_at_once() -> None:
    """Fused programs are in use by several threads here."""
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 4)).double()
    inputs = [torch.randn(5, 8, dtype=torch.float64) for _ in range(THREADS)]
    targets = torch.zeros(5, dtype=torch.int64)

    def run(number: int) -> None:
        for _ in range(30):
            torch.nn.functional.cross_entropy(model(inputs[number]), targets).backward()

    for number in range(THREADS):
        run(number)
    expected = [p.grad.numpy().copy() for p in model.parameters()]
    model.zero_grad()
    in_threads(run)
    for p, grad in zip(model.parameters(), expected, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), grad, rtol=1e-9, atol=1e-12)


def test_grad_mode_is_each_threads_own() -> None:
    seen: dict[int, list[bool]] = {}

    def run(number: int) -> None:
        x = torch.ones(2, requires_grad=True)
        with torch.set_grad_enabled(number % 2 == 0):
            seen[number] = [(x * 2).requires_grad for _ in range(100)]

    with torch.no_grad():
        in_threads(run)
    assert all(set(found) == {number % 2 == 0} for number, found in seen.items())


def test_hooks_of_saved_tensors_are_each_threads_own() -> None:
    packed: dict[int, int] = dict.fromkeys(range(THREADS), 0)

    def run(number: int) -> None:
        def pack(tensor: torch.Tensor) -> torch.Tensor:
            packed[number] += 1
            return tensor

        x = torch.ones(2, requires_grad=True)
        if number % 2:
            x.exp()
        else:
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
                for _ in range(20):
                    x.exp().sum().backward()

    in_threads(run)
    assert packed == {number: 0 if number % 2 else 20 for number in range(THREADS)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_goes_on() -> None:
    """After compiled and threaded work in the parent: the child starts threads and takes locks of its own."""
    x = torch.ones(200, 200, requires_grad=True)

    def loss() -> torch.Tensor:
        return ((x @ x).tanh() * x).sum()

    @torch.compile
    def step() -> torch.Tensor:
        x.grad = None
        loss().backward()
        return x.grad

    for _ in range(3):
        expected = step().numpy().copy()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            same = np.allclose(step().numpy(), expected)
            x.grad = None
            loss().backward()
            status = 0 if same and np.allclose(x.grad.numpy(), expected, rtol=1e-4) else 2
        finally:
            os.write(write, bytes([status]))
            os._exit(status)
    os.close(write)
    assert os.read(read, 1) == b"\0"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(read)
    np.testing.assert_allclose(step().numpy(), expected)
