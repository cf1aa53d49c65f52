"""Steps over time as native loops: against the same steps in NumPy, for every step and whatever the sizes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import rushlight as torch
from rushlight.arrays import recurrent
from rushlight.ops import scanned

SIZES = {
    "one sample": ((1,) * 4, 1),
    "one time": ((5,), 1),
    "a batch": ((19,) * 5, 1),
    "a large batch": ((150,) * 3, 1),
    "of many lengths": ((21, 21, 17, 9, 8, 2, 1), 1),
}


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    scanned._programs.clear()
    scanned._times_seen.clear()
    yield
    recurrent.use(scanned.compiled_scan)


def routines(
    mode: str, hidden: int, sizes: tuple[int, ...], reverse: bool, dtype: str, is_padded: bool = False,
    batch_first: bool = False, input_grad: bool = True,
) -> Callable[[], list[np.ndarray]]:  # fmt: skip
    """A function that runs a layer and its way back and gives all results."""
    random, num, batch = np.random.default_rng(hidden), sum(sizes), sizes[0]

    def numbers(*shape: int) -> np.ndarray:
        return (0.5 * random.standard_normal(shape)).astype(dtype)

    num_gates = {"LSTM": 4, "PROJECTED": 4, "GRU": 3}.get(mode, 1) * hidden
    width = 3 if mode == "PROJECTED" else hidden
    if is_padded:
        rows = (batch, len(sizes)) if batch_first else (len(sizes), batch)
        of_h = len(sizes), batch
    else:
        rows = of_h = (num,)
    layer = numbers(*rows, 7), numbers(num_gates, 7), numbers(num_gates, width), numbers(num_gates), numbers(num_gates)
    h, c = numbers(batch, width), numbers(batch, hidden)
    projection = [numbers(width, hidden)] if mode == "PROJECTED" else []
    grad, grad_h, grad_c = numbers(*of_h, width), numbers(batch, width), numbers(batch, hidden)
    order: dict[str, Any] = {
        "sizes": None if is_padded else sizes, "reverse": reverse, "batch_first": batch_first,
    }  # fmt: skip
    back = {**order, "input_grad": input_grad}

    def run() -> list[np.ndarray]:
        if mode in ("LSTM", "PROJECTED"):
            out = recurrent.lstm_states(*layer, h, c, *projection, **order)
            known = grad, grad_h, grad_c, *out[3:], *layer[:3], *projection
            return [*out, *recurrent.lstm_backward(*known, **back)]
        if mode == "GRU":
            out = recurrent.gru_states(*layer, h, **order)
            return [*out, *recurrent.gru_backward(grad, grad_h, *out[2:], *layer[:3], **back)]
        out = recurrent.rnn_states(*layer, h, rectify=mode == "RELU", **order)
        known = grad, grad_h, out[0], out[2], *layer[:3]
        return [*out, *recurrent.rnn_backward(*known, rectify=mode == "RELU", **back)]

    return run


def by_numpy(run: Callable[[], list[np.ndarray]]) -> list[np.ndarray]:
    recurrent.use(lambda *arguments: None)
    try:
        return run()
    finally:
        recurrent.use(scanned.compiled_scan)


def compiled(run: Callable[[], list[np.ndarray]]) -> list[np.ndarray]:
    for _ in range(scanned.PATIENCE):
        run()
        if scanned._programs:
            break
    found = run()
    assert len(scanned._programs) == 2 and None not in scanned._programs.values()  # there, and back
    return found


@pytest.mark.parametrize("mode", ["LSTM", "PROJECTED", "GRU", "TANH", "RELU"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_all_steps(mode: str, reverse: bool, sizes: str) -> None:
    run = routines(mode, 37, SIZES[sizes][0], reverse, "f")
    for found, expected in zip(compiled(run), by_numpy(run), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("mode", ["LSTM", "PROJECTED", "GRU", "TANH", "RELU"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("input_grad", [False, True])
def test_sequences_of_one_length(mode: str, batch_first: bool, input_grad: bool) -> None:
    run = routines(mode, 37, (19,) * 5, batch_first, "d", True, batch_first, input_grad)
    for found, expected in zip(compiled(run), by_numpy(run), strict=True):
        assert found.strides == expected.strides
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_wide_inputs_are_multiplied_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight that no cache holds is not read anew at every time."""
    monkeypatch.setattr(recurrent, "SMALL", 0)
    run = routines("LSTM", 16, (19,) * 5, False, "f", True, True)
    found = compiled(run)
    assert {key[0] for key in scanned._programs} == {recurrent.lstm_step, recurrent._lstm_back}
    for x, y in zip(found, by_numpy(run), strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_rows_are_read_where_they_lie(kind: str) -> None:
    """A gradient in another order than the outputs', spread out, or with gaps between its elements."""
    layers = [getattr(torch.nn, kind)(6, 10, batch_first=first) for first in (False, True)]
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(7, 30, 6)
    weights = torch.randn(7, 30, 10), torch.ones(()).expand(7, 30, 10), torch.randn(7, 30, 20)[:, :, ::2]
    for weight in weights * 2:
        found = []
        for layer in layers:
            given = (x.transpose(0, 1) if layer.batch_first else x).contiguous().requires_grad_()
            output = layer(given)[0].transpose(0, 1) if layer.batch_first else layer(given)[0]
            assert output.stride() == (300, 10, 1)  # as PyTorch's: random numbers are drawn in the order of memory
            by_input, *others = torch.autograd.grad(output, [given, *layer.parameters()], weight)
            found.append([output, by_input.transpose(0, 1) if layer.batch_first else by_input, *others])
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-5)
    assert None not in scanned._programs.values()


@pytest.mark.parametrize("hidden", [1, 2, 5, 8, 16, 31, 32, 33, 64, 100])
def test_all_widths_in_double_precision(hidden: int) -> None:
    for mode in ("LSTM", "GRU"):
        scanned._programs.clear()
        run = routines(mode, hidden, (11, 11, 4), False, "d")
        if hidden == 1:  # rows of one element: may be left to NumPy
            found = [run() for _ in range(scanned.PATIENCE)][-1]
        else:
            found = compiled(run)
        for x, y in zip(found, by_numpy(run), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("samples", [1, 7, 16])
@pytest.mark.parametrize("mode", ["LSTM", "GRU", "TANH"])
def test_a_matrix_that_is_needed_once_is_read_where_it_lies(mode: str, samples: int) -> None:
    for dtype, hidden in (("f", 32), ("f", 96), ("d", 32)):
        scanned._programs.clear()
        run = routines(mode, hidden, (samples,), False, dtype)
        found = compiled(run)
        assert all({is_once for _, is_once in program._jobs} == {True} for program in scanned._programs.values())
        bounds = {"rtol": 1e-4, "atol": 2e-5} if dtype == "f" else {"rtol": 1e-10, "atol": 1e-12}
        for x, y in zip(found, by_numpy(run), strict=True):
            np.testing.assert_allclose(x, y, **bounds)


def test_one_program_for_all_batches_and_lengths() -> None:
    layer = torch.nn.LSTM(6, 10)
    for time, batch in [(30, 3), (5, 40), (11, 1), (2, 17), (64, 64)]:
        layer(torch.ones(time, batch, 6))[0].sum().backward()
    assert len(scanned._programs) == 2 and None not in scanned._programs.values()


def test_other_widths_and_dtypes_have_programs_of_their_own() -> None:
    for width, dtype in ((10, torch.float32), (12, torch.float32), (10, torch.float64)):
        torch.nn.GRU(6, width, dtype=dtype)(torch.ones(30, 2, 6, dtype=dtype))
    assert len(scanned._programs) == 3


def test_a_step_that_is_no_function_of_rows_is_left_to_numpy() -> None:
    def step(xp: Any, weight: Any, given: Any, state: Any) -> tuple[Any, Any]:
        mean = xp.sum(state, axis=0, keepdims=True)  # of all samples
        state = xp.tanh(xp.matmul(given, weight) + mean)
        return state, state

    arrays = [np.ones((30, 4), "f")], [np.ones((1, 4), "f")]
    times = recurrent.steps((30, 4), (1,) * 30, False)
    assert scanned.compiled_scan(step, [np.ones((4, 4), "f")], *arrays, times, [False]) is None
    assert list(scanned._programs.values()) == [None]


def test_threads_do_not_change_results() -> None:
    run = routines("LSTM", 32, (50,) * 8, False, "f")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = compiled(run)
        torch.set_num_threads(3)
        for a, b in zip(alone[:5], run()[:5], strict=True):
            assert np.array_equal(a, b)
    finally:
        torch.set_num_threads(before)
