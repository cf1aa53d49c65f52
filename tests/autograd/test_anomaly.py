"""Anomaly mode: the message and line of what went wrong, for each thread by itself, at no cost when it is off."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import pytest

import rushlight
from rushlight.autograd import detect_anomaly, set_detect_anomaly
from rushlight.ops import observers

ENABLED = "Anomaly Detection has been enabled"


def explained(torch: Any, program: Any) -> tuple[str, list[str]]:
    """(the error's message, the warnings' texts) of a program run in anomaly mode."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with torch.autograd.detect_anomaly(), pytest.raises(RuntimeError) as error:
            program(torch)
    return str(error.value), [str(w.message) for w in caught if not str(w.message).startswith(ENABLED)]


def make_nan(torch: Any) -> None:
    x = torch.tensor([-1.0, 4.0], dtype=torch.float64, requires_grad=True)
    y = x.sqrt()  # here it begins
    (y * 0.0).sum().backward()


def make_nan_in_second_order(torch: Any) -> None:
    x = torch.tensor([0.0], dtype=torch.float64, requires_grad=True)
    y = x**1.5  # first order
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (g.sqrt() * 0).sum().backward()  # second order: infinity times zero


def test_beside_pytorch(same) -> None:
    def program(torch: Any) -> Any:
        message, (warning,) = explained(torch, make_nan)
        return message, warning.split("\n")[0].removesuffix(" (Triggered internally"), "here it begins" in warning

    same(program)


def test_the_last_line_shown_is_the_users() -> None:
    _, (warning,) = explained(rushlight, make_nan)
    assert warning.rstrip().endswith("y = x.sqrt()  # here it begins")


def test_second_order_shows_who_induced_it(same) -> None:
    def program(torch: Any) -> Any:
        message, texts = explained(torch, make_nan_in_second_order)
        return message[:16], any("# second order" in t or "# first order" in t for t in texts)

    same(program)
    F = rushlight.autograd.Function
    second = type("Second", (F,), {
        "forward": staticmethod(lambda ctx, g: g * 1), "backward": staticmethod(lambda ctx, g: g * float("nan")),
    })  # fmt: skip
    first = type("First", (F,), {
        "forward": staticmethod(lambda ctx, a: a * 1), "backward": staticmethod(lambda ctx, g: second.apply(g)),
    })  # fmt: skip

    def program_of_functions(torch: Any) -> None:
        x = torch.ones(1, requires_grad=True)
        y = first.apply(x * x)  # the cause
        (g,) = torch.autograd.grad((y * y).sum(), x, create_graph=True)
        g.sum().backward()

    message, texts = explained(rushlight, program_of_functions)
    assert message == "Function 'SecondBackward' returned nan values in its 0th output."
    assert "Previous calculation was induced by FirstBackward" in texts[1] and "# the cause" in texts[1]


def test_exceptions_are_explained_too_and_nan_may_be_left_alone(same) -> None:
    def program(torch: Any) -> Any:
        def failing(ctx: Any, g: Any) -> Any:
            raise RuntimeError("on purpose")

        F = type("Failing", (torch.autograd.Function,), {
            "forward": staticmethod(lambda ctx, a: a * 2), "backward": staticmethod(failing),
        })  # fmt: skip

        def run(torch: Any) -> None:
            y = F.apply(torch.ones(2, requires_grad=True))  # made here
            y.sum().backward()

        message, (warning,) = explained(torch, run)
        with pytest.warns(UserWarning, match=ENABLED):
            mode = torch.autograd.detect_anomaly(check_nan=False)
        with mode:
            make_nan(torch)
            states = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
        return message, "made here" in warning, states, torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()

    same(program)


def test_without_it_there_is_no_word_of_the_forward_pass() -> None:
    x = rushlight.tensor([-1.0], requires_grad=True)
    y = (x.sqrt() * 0.0).sum()
    with pytest.warns(UserWarning, match=ENABLED):
        mode = detect_anomaly()
    with mode, pytest.warns(UserWarning, match="No forward pass information available"), pytest.raises(RuntimeError):
        y.backward()


def test_as_a_function_and_in_a_block() -> None:
    set_detect_anomaly(True)
    try:
        assert rushlight.is_anomaly_enabled() and observers.count == 1
        with set_detect_anomaly(False):
            assert not rushlight.is_anomaly_enabled() and observers.count == 0
        assert rushlight.is_anomaly_enabled()
    finally:
        set_detect_anomaly(False)
    assert observers.count == 0


def test_other_threads_are_not_in_anomaly_mode() -> None:
    states = []
    with set_detect_anomaly(True):
        thread = threading.Thread(target=lambda: (states.append(rushlight.is_anomaly_enabled()), make_nan(rushlight)))
        thread.start()
        thread.join()
    assert states == [False]
