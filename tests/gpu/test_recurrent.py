"""Recurrent layers on a GPU: a product and a kernel for each time, with PyTorch's numbers and those of differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cupy
import numpy as np
import pytest
from cupy_backends.cuda.libs import cublas

import rushlight as torch
from rushlight import nn
from rushlight.arrays import numpy as numpy_arrays, recurrent
from rushlight.compiler import cuda_whole_scan
from rushlight.ops import scanned

pytorch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "tanh": ("RNN", {}), "relu": ("RNN", {"nonlinearity": "relu"}), "GRU": ("GRU", {}), "LSTM": ("LSTM", {}),
    "projected": ("LSTM", {"proj_size": 2}),
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "one": {}, "two both ways": {"num_layers": 2, "bidirectional": True},
    "without biases, batch first": {"bias": False, "batch_first": True},
    "all dropped between": {"num_layers": 2, "dropout": 1.0},
}  # fmt: skip
LENGTHS = [3, 5, 1, 5]


@pytest.fixture(autouse=True)
def compiled() -> Iterator[None]:
    """The programs that a test needs are made in it, and there are some."""
    scanned._programs.clear()
    scanned._times_seen.clear()
    yield
    programs = [program for key, program in scanned._programs.items() if key[1]]
    assert programs and None not in programs


def states(hidden: Any) -> tuple[Any, ...]:
    return hidden if isinstance(hidden, tuple) else (hidden,)


def total(values: Any) -> Any:
    return sum(((value + 1) ** 2).sum() for value in values)


def layer_of(library: Any, kind: str, options: dict[str, Any], dtype: str, device: str) -> Any:
    """A layer with the same numbers, whoever makes it."""
    name, more = KINDS[kind]
    layer = getattr(library.nn, name)(3, 4, **options, **more, device=device, dtype=getattr(library, dtype))
    random = np.random.default_rng(0)
    with library.no_grad():
        for p in layer.parameters():
            p.copy_(library.from_numpy(random.uniform(-0.7, 0.7, tuple(p.shape))))
    return layer


def numbers(library: Any, *shape: int, dtype: str, device: str) -> Any:
    array = np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    return library.from_numpy(array).to(device, getattr(library, dtype)).requires_grad_()


def run(library: Any, kind: str, options: dict[str, Any], form: str, dtype: str, device: str) -> list[np.ndarray]:
    """The outputs, the last states and all gradients."""
    layer, batch_first = layer_of(library, kind, options, dtype, device), options.get("batch_first", False)
    x = numbers(library, *((4, 5, 3) if batch_first else (5, 4, 3)), dtype=dtype, device=device)
    depth = layer.num_layers * (2 if layer.bidirectional else 1)
    widths = (layer.proj_size or 4, 4)[: 2 if layer.mode == "LSTM" else 1]
    given, hx = x, [numbers(library, depth, 4, n, dtype=dtype, device=device) for n in widths]
    leaves = [x, *layer.parameters(), *hx]
    if form == "without a batch":
        given, hx = x[0] if batch_first else x[:, 0], [h[:, 0] for h in hx]
    elif form == "packed":
        pack = library.nn.utils.rnn.pack_padded_sequence
        given = pack(x, library.tensor(LENGTHS), batch_first, enforce_sorted=False)
    output, hidden = layer(given, tuple(hx) if layer.mode == "LSTM" else hx[0])
    found = [output.data if form == "packed" else output, *states(hidden)]
    grads = library.autograd.grad(total(found), leaves)
    return [value.detach().cpu().double().numpy() for value in (*found, *grads)]


def check(kind: str, options: str, form: str, dtype: str, tolerance: float) -> None:
    arguments = kind, OPTIONS[options], form, dtype
    expected = run(pytorch, *arguments, "cpu")
    for want, found in zip(expected, run(torch, *arguments, "cuda"), strict=True):
        np.testing.assert_allclose(found, want, tolerance, tolerance * max(1, abs(want).max()))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_pytorchs(kind: str, options: str) -> None:
    check(kind, options, "padded", "float64", 1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_are_pytorchs(kind: str) -> None:
    check(kind, "two both ways", "packed", "float64", 1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_of_single_precision(kind: str) -> None:
    check(kind, "one", "packed", "float32", 1e-4)
    check(kind, "one", "without a batch", "float32", 1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["GRU", "projected"])
def test_half_precision_is_rounded_as_on_the_cpu(kind: str, dtype: str) -> None:
    expected = run(torch, kind, {"num_layers": 2}, "padded", dtype, "cpu")
    step = 2.0**-8 if dtype == "bfloat16" else 2.0**-11
    for want, found in zip(expected, run(torch, kind, {"num_layers": 2}, "padded", dtype, "cuda"), strict=True):
        np.testing.assert_allclose(found, want, 4 * step, 4 * step * max(1, abs(want).max()))


@pytest.mark.parametrize(("mode", "hidden"), [("LSTM", 1), ("GRU", 2), ("LSTM", 33), ("GRU", 130)])
def test_all_widths(mode: str, hidden: int) -> None:
    """Also those of which a row is less, or more, than a block of threads, for one sample and for many, few times and more."""
    layer = getattr(nn, mode)(2, hidden, dtype=torch.float64)
    there = getattr(nn, mode)(2, hidden, dtype=torch.float64, device="cuda")
    there.load_state_dict(layer.state_dict())
    for num_times, batch in ((3, 1), (3, 7), (5, 7)):
        x, results = torch.randn(num_times, batch, 2, dtype=torch.float64), []
        for module, given in ((layer, x), (there, x.cuda())):
            output, hidden_states = module(given)
            grads = torch.autograd.grad(total([output, *states(hidden_states)]), [*module.parameters()])
            results.append([value.detach().cpu().numpy() for value in (output, *grads)])
        for want, found in zip(*results, strict=True):
            np.testing.assert_allclose(found, want, 1e-10, 1e-10 * max(1, abs(want).max()))


CELLS = {"RNNCell": {}, "relu": {"nonlinearity": "relu"}, "GRUCell": {}, "LSTMCell": {}}


@pytest.mark.parametrize("kind", CELLS)
def test_cells_are_pytorchs(kind: str) -> None:
    def ask(library: Any, device: str) -> list[np.ndarray]:
        cell = getattr(library.nn, "RNNCell" if kind == "relu" else kind)(3, 4, **CELLS[kind])
        with library.no_grad():
            for i, p in enumerate(cell.parameters()):
                p.copy_(library.cos(library.arange(p.numel()) + i).reshape(p.shape))
        cell, x = cell.to(device), numbers(library, 2, 3, dtype="float32", device=device)
        hidden = cell(x)
        for _ in range(3):
            hidden = cell(x, hidden)
        grads = library.autograd.grad(total(states(hidden)), [x, *cell.parameters()])
        return [value.detach().cpu().numpy() for value in (*states(hidden), *grads)]

    for want, found in zip(ask(pytorch, "cpu"), ask(torch, "cuda"), strict=True):
        np.testing.assert_allclose(found, want, 1e-4, 1e-4 * max(1, abs(want).max()))


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_are_those_of_differences(kind: str) -> None:
    """First ones by the kernels, second ones by the composition of the waist's functions."""
    layer = layer_of(torch, kind, {"bidirectional": True}, "float64", "cuda")
    x = numbers(torch, 2, 2, 3, dtype="float64", device="cuda")

    def function(x: Any, *parameters: Any) -> Any:
        output, hidden = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))
        return (output, *states(hidden))

    names, parameters = zip(*layer.named_parameters(), strict=True)
    assert torch.autograd.gradcheck(function, (x, *parameters), fast_mode=True)
    assert torch.autograd.gradgradcheck(function, (x, *parameters), fast_mode=True)


# ---------------------------------------------------------------- what is launched


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """ "kernel" or "product", in the order in which they are launched."""
    found: list[str] = []

    def watch(module: Any, name: str, kind: str) -> None:
        launch = getattr(module, name)

        def watched(*arguments: Any) -> None:
            found.append(kind)
            launch(*arguments)

        monkeypatch.setattr(module, name, watched)

    watch(cupy.cuda.driver, "launchKernel", "kernel")
    watch(cublas, "gemmEx", "product")
    return found


@pytest.fixture
def no_whole_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all matrices were large."""
    monkeypatch.setattr(cuda_whole_scan, "MOST_BYTES", 0)


@pytest.mark.usefixtures("no_whole_scans")
@pytest.mark.parametrize("kind", KINDS)
def test_two_launches_a_time(kind: str, launched: list[str]) -> None:
    """And four with a projection, whose product comes after the gates. What else is launched does not depend on time."""
    layer, times = layer_of(torch, kind, {}, "float32", "cuda"), 2 if kind == "projected" else 1
    layer(torch.ones(1, 2, 3, device="cuda"))[0].sum().backward()  # counts towards compiling
    others: list[tuple[int, int]] = []
    for num_times in (2, 7, 12):
        x, parts = torch.ones(num_times, 2, 3, device="cuda"), num_times * times
        launched.clear()
        output, _ = layer(x)
        forward = "".join(launched)
        launched.clear()
        output.backward(torch.ones_like(output))
        back = "".join(launched)
        assert "productkernel" * parts in forward and "kernelproduct" * parts in back
        others.append((len(forward.replace("productkernel", "")), len(back.replace("kernelproduct", ""))))
    assert len(set(others)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_one_launch_for_all_times(kind: str, launched: list[str]) -> None:
    """Where the matrices are small and there are some times."""
    layer, counts = layer_of(torch, kind, {}, "float32", "cuda"), []
    for num_times in (4, 9):
        x = torch.ones(num_times, 2, 3, device="cuda")
        launched.clear()
        output, _ = layer(x)
        output.backward(torch.ones_like(output))
        counts.append([*launched])
    assert counts[0] == counts[1] and counts[0].count("kernel") == 2


@pytest.mark.parametrize(("kind", "hidden", "blocks"), [("LSTM", 130, 1), ("GRU", 5, 3), ("projected", 32, 2)])
def test_blocks_of_several_rows(kind: str, hidden: int, blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of which may have fewer; with columns that are more, or fewer, than a block's threads."""
    monkeypatch.setattr(cuda_whole_scan, "BLOCKS", blocks)
    name, more = KINDS[kind]
    layer, results = getattr(nn, name)(2, hidden, **more, device="cuda"), []
    x = torch.randn(4, 7, 2, device="cuda")
    for most in (1 << 20, 0):
        monkeypatch.setattr(cuda_whole_scan, "MOST_BYTES", most)
        output, hidden_states = layer(x)
        grads = torch.autograd.grad(total([output, *states(hidden_states)]), [*layer.parameters()])
        results.append([value.detach().cpu().numpy() for value in (output, *grads)])
    for want, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, want, 1e-4, 1e-4 * max(1, abs(want).max()))


@pytest.mark.usefixtures("no_whole_scans")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_allocated_for_a_time(kind: str) -> None:
    class Counting(cupy.cuda.MemoryHook):
        name, count = "counting", 0

        def malloc_preprocess(self, **_: Any) -> None:
            self.count += 1

    layer, counts = layer_of(torch, kind, {}, "float32", "cuda"), []
    for num_times in (2, 2, 2, 9, 30):
        x = torch.ones(num_times, 2, 3, device="cuda")
        with Counting() as counting:
            layer(x)[0].sum().backward()
        counts.append(counting.count)
    assert counts[2] == counts[3] == counts[4] > 0


def test_one_program_for_all_batches_and_lengths() -> None:
    layer = nn.GRU(3, 4, device="cuda")
    for num_times, batch in ((2, 3), (9, 40), (1, 1), (4, 300)):
        layer(torch.ones(num_times, batch, 3, device="cuda"))[0].sum().backward()
    assert len(scanned._programs) == 2


def test_a_layer_is_one_node() -> None:
    layer = nn.LSTM(3, 4, device="cuda")

    def count(num_times: int) -> int:
        stack, seen = [layer(torch.ones(num_times, 2, 3, device="cuda"))[0].grad_fn], set()
        while stack:
            node = stack.pop()
            if node is not None and node not in seen:
                seen.add(node)
                stack += [edge for edge, _ in node.next_functions]
        return len(seen)

    assert count(2) == count(40)


@pytest.mark.usefixtures("no_whole_scans")
def test_products_are_as_exact_as_products_are(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[int] = []
    multiply = cublas.gemmEx

    def watched(*arguments: Any) -> None:
        ways.append(arguments[-2])
        multiply(*arguments)

    monkeypatch.setattr(cublas, "gemmEx", watched)
    rounded, exact = cublas.CUBLAS_COMPUTE_32F_FAST_TF32, cublas.CUBLAS_COMPUTE_32F
    for precision, way in (("high", rounded), ("highest", exact)):
        torch.set_float32_matmul_precision(precision)
        ways.clear()
        nn.LSTM(3, 4, device="cuda")(torch.ones(3, 2, 3, device="cuda"))
        assert ways and set(ways) == {way}
    ways.clear()
    nn.LSTM(3, 4, device="cuda", dtype=torch.float64)(torch.ones(3, 2, 3, device="cuda", dtype=torch.float64))
    assert set(ways) == {cublas.CUBLAS_COMPUTE_64F}


def test_kernels_run_on_the_current_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    streams: list[int] = []
    launch = cupy.cuda.driver.launchKernel

    def watched(*arguments: Any) -> None:
        streams.append(arguments[8])
        launch(*arguments)

    layer, stream = nn.LSTM(3, 4, device="cuda"), torch.cuda.Stream()
    monkeypatch.setattr(cupy.cuda.driver, "launchKernel", watched)
    with torch.cuda.stream(stream):
        layer(torch.ones(3, 2, 3, device="cuda"))
    assert streams and set(streams) == {stream.cuda_stream}


# ---------------------------------------------------------------- what has no kernel


def scan(step: Callable[..., Any], *groups: list[np.ndarray], num_times: int) -> list[np.ndarray]:
    """A step over time on a GPU, three times; the last results."""
    num_rows = len(groups[2][0])
    times = recurrent.steps((num_times * num_rows, 0), (num_rows,) * num_times, False)
    for _ in range(3):
        outputs, last = recurrent._scan(step, *[[cupy.asarray(x) for x in group] for group in groups], times, [False])
    return [x.get() for x in (*outputs, *last)]


def by_hand(step: Callable[..., Any], constants: Any, inputs: Any, states: Any, num_times: int) -> list[np.ndarray]:
    """The same in NumPy; one output and one state."""
    rows, (state,) = [], states
    for part in np.split(inputs[0], num_times):
        row, state = step(numpy_arrays, *constants, part, state)
        rows.append(row)
    return [np.concatenate(rows), state]


def launches_of(step: Callable[..., Any]) -> list[str]:
    """The launches at a time of a step, whose numbers are right."""
    random = np.random.default_rng(0)
    groups = [[random.standard_normal((5, 5))], [random.standard_normal((12, 5))], [random.standard_normal((3, 5))]]
    for found, want in zip(scan(step, *groups, num_times=4), by_hand(step, *groups, 4), strict=True):
        np.testing.assert_allclose(found, want, 1e-10)
    (program,) = scanned._programs.values()
    return ["kernel" if hasattr(launch, "text") else "sum" if launch.adds else "product" for launch in program.launches]


@pytest.mark.parametrize("order", [1, -1])
def test_a_product_is_added_to_what_a_state_has_become(order: int) -> None:
    """Where it can be: the other part of the sum is stored before."""

    def step(xp: Any, weight: Any, given: Any, state: Any) -> Any:
        out = given * state
        parts = (xp.matmul(out, weight), out - state)[::order]
        return out, parts[0] + parts[1]

    assert launches_of(step) == ["kernel", "sum"]


def test_a_product_with_the_state_itself_is_not_added_to_it() -> None:
    def step(xp: Any, weight: Any, given: Any, state: Any) -> Any:
        return given * 2.0, xp.matmul(state, weight) + given

    assert launches_of(step) == ["product", "kernel"]


def test_parts_of_one_shape_are_one_kernel() -> None:
    """What a state was is an output that nothing else reads."""

    def step(xp: Any, weight: Any, given: Any, state: Any) -> Any:
        return state, xp.tanh(xp.matmul(state, weight) + given)

    assert launches_of(step) == ["product", "kernel"]


def test_parts_that_need_what_other_threads_write_are_not() -> None:
    def step(xp: Any, weight: Any, given: Any, state: Any) -> Any:
        out = xp.tanh(xp.matmul(state, weight) + given)
        return out, out[:, ::-1] * given

    assert launches_of(step) == ["product", "kernel", "kernel"]


def test_matrices_that_are_read_in_two_ways() -> None:
    """What one kernel for all times would need them in order for."""

    def both_ways(xp: Any, weight: Any, given: Any, state: Any) -> Any:
        return given * 2.0, xp.tanh(xp.matmul(state, weight) + xp.matmul(given, xp.permute_dims(weight, (1, 0))))

    assert launches_of(both_ways).count("product") == 2
    scanned._programs.clear()

    def a_part(xp: Any, weight: Any, given: Any, state: Any) -> Any:
        return state, xp.tanh(xp.matmul(state[:, :4], weight[1:]) + given)

    launches_of(a_part)


def test_what_is_no_function_of_rows_is_computed_step_by_step() -> None:
    def step(xp: Any, weight: Any, given: Any, state: Any) -> Any:
        state = state + xp.sum(given, axis=0, keepdims=True) * weight
        return state, state

    groups = [[np.ones((1, 4), "f")], [np.arange(24, dtype="f").reshape(6, 4)], [np.ones((2, 4), "f")]]

    def step_of_numpy(xp: Any, *arrays: Any) -> Any:
        return step(numpy_arrays, *arrays)

    for found, want in zip(scan(step, *groups, num_times=3), by_hand(step_of_numpy, *groups, 3), strict=True):
        np.testing.assert_allclose(found, want, 1e-6)
    assert list(scanned._programs.values()) == [None]
    scanned._programs.clear()
    test_a_layer_is_one_node()


def test_a_batch_of_none() -> None:
    layer = nn.LSTM(3, 4, device="cuda")
    layer(torch.ones(3, 2, 3, device="cuda"))[0].sum().backward()
    output, (h, c) = layer(torch.ones(3, 0, 3, device="cuda"))
    assert (output.shape, h.shape, c.shape) == ((3, 0, 4), (1, 0, 4), (1, 0, 4))
    assert torch.autograd.grad(output.sum(), layer.weight_hh_l0)[0].count_nonzero() == 0
