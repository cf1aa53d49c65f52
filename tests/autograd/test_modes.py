"""no_grad, enable_grad, inference_mode and set_grad_enabled: as functions, context managers, decorators, in threads."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch as pytorch

import rushlight

BOTH = pytest.mark.parametrize("torch", [pytorch, rushlight], ids=["pytorch", "rushlight"])


def tracked(torch: Any) -> bool:
    return (torch.ones(2, requires_grad=True) * 2).requires_grad


@BOTH
def test_context_managers_nest(torch: Any) -> None:
    assert tracked(torch)
    with torch.no_grad():
        assert not tracked(torch)
        with torch.enable_grad():
            assert tracked(torch)
            with torch.set_grad_enabled(False):
                assert not tracked(torch)
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


@BOTH
def test_modes_end_with_an_exception(torch: Any) -> None:
    with pytest.raises(KeyError), torch.no_grad():
        raise KeyError
    assert torch.is_grad_enabled()


@BOTH
def test_decorators(torch: Any) -> None:
    @torch.no_grad()
    def called() -> bool:
        return tracked(torch)

    @torch.no_grad
    def bare() -> bool:
        return tracked(torch)

    @torch.inference_mode()
    def inference() -> bool:
        return tracked(torch)

    @torch.set_grad_enabled(False)
    def disabled() -> bool:
        return tracked(torch)

    @torch.no_grad()
    def outer() -> bool:
        @torch.enable_grad()
        def inner() -> bool:
            return tracked(torch)

        return inner()

    assert [called(), bare(), inference(), disabled(), outer(), called()] == [False] * 4 + [True, False]
    assert torch.is_grad_enabled()
    assert called.__name__ == "called"


@BOTH
def test_decorated_generator(torch: Any) -> None:
    @torch.no_grad()
    def steps() -> Any:
        yield tracked(torch)
        yield tracked(torch)

    found = []
    for inside in steps():
        found += [inside, tracked(torch)]
    assert found == [False, True, False, True]


@BOTH
def test_set_grad_enabled_as_a_function(torch: Any) -> None:
    torch.set_grad_enabled(False)
    try:
        assert not tracked(torch)
    finally:
        torch.set_grad_enabled(True)
    assert tracked(torch)


@BOTH
def test_inference_mode(torch: Any) -> None:
    with torch.inference_mode():
        assert torch.is_inference_mode_enabled()
        assert not tracked(torch)
        with torch.inference_mode(False):
            assert tracked(torch)
    assert not torch.is_inference_mode_enabled()


@BOTH
def test_leaves_made_without_grad_keep_their_flag(torch: Any) -> None:
    with torch.no_grad():
        x = torch.ones(2, requires_grad=True)
        x.add_(1)  # allowed: not recorded
    (x * x).sum().backward()
    assert x.grad.tolist() == [4, 4]


@BOTH
def test_a_mode_belongs_to_its_thread(torch: Any) -> None:
    seen = []
    with torch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tracked(torch)))
        thread.start()
        thread.join()
    assert seen == [True]


def test_threads_build_and_differentiate_their_own_graphs() -> None:
    errors: list[BaseException] = []
    w = rushlight.ones(4, requires_grad=True)

    def work(factor: int) -> None:
        try:
            for _ in range(200):
                (gradient,) = rushlight.autograd.grad((w * factor).exp().log().sum(), w)
                assert gradient.tolist() == pytest.approx([factor] * 4)
        except BaseException as error:  # noqa: BLE001  (shown below)
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert w.grad is None
