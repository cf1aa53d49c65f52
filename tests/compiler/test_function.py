"""`rushlight.compile`: what a compiled step does to the world is what the step does."""

from __future__ import annotations

import copy
import warnings
import weakref

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.compiler import trace
from rushlight.nn import functional as F


def make_model(seed: int = 0, dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = nn.Linear(8, 16), nn.ReLU(), nn.Dropout(dropout), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3)
    return nn.Sequential(nn.Flatten(), *layers)


def batch(rows: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(rows, 2, 4), torch.randint(0, 3, (rows,))


def make_step(model, optimizer):
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


OPTIMIZERS = {
    "SGD": lambda ps: torch.optim.SGD(ps, lr=0.1),
    "momentum": lambda ps: torch.optim.SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "Adagrad": lambda ps: torch.optim.Adagrad(ps, lr=0.05, lr_decay=0.1),
    "Adam": lambda ps: torch.optim.Adam(ps, lr=0.01, amsgrad=True),
    "AdamW": lambda ps: torch.optim.AdamW(ps, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_whole_step_is_the_eager_one(name):
    x, y = batch()
    models = [make_model(), make_model()]
    optimizers = [OPTIMIZERS[name](model.parameters()) for model in models]
    eager = make_step(models[0], optimizers[0])
    compiled = torch.compile(make_step(models[1], optimizers[1]), fullgraph=True)
    for i in range(12):
        if i == 6:
            for optimizer in optimizers:
                optimizer.param_groups[0]["lr"] *= 0.1
        np.testing.assert_allclose(compiled(x, y).item(), eager(x, y).item(), rtol=2e-5)
    assert compiled.recorded == 1, "a changed learning rate must not compile again"
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        np.testing.assert_allclose(b.detach().numpy(), a.detach().numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), rtol=1e-4, atol=1e-6)
    mine, theirs = (optimizer.state_dict()["state"] for optimizer in optimizers)
    assert {k: set(v) for k, v in mine.items()} == {k: set(v) for k, v in theirs.items()}


def test_random_numbers_are_drawn_anew_and_as_eager():
    x, y = batch()
    losses = []
    for compiled in (False, True):
        model = make_model(dropout=0.5)
        step = make_step(model, torch.optim.SGD(model.parameters(), lr=0.1))
        if compiled:
            step = torch.compile(step, fullgraph=True)
        torch.manual_seed(7)
        losses.append([step(x, y).item() for _ in range(5)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-5)
    assert len(set(losses[1])) == 5


def test_another_shape_or_mode_is_another_program_and_comes_back(capsys):
    x, y = batch()
    model = make_model(dropout=0.5)
    step = torch.compile(make_step(model, torch.optim.SGD(model.parameters(), lr=0.1)), fullgraph=True)
    step(x, y), step(x[:7], y[:7])
    assert "compiled again" in capsys.readouterr().err
    model.eval()
    step(x, y)
    assert "Sequential is in evaluation mode now" in capsys.readouterr().err
    model.train()
    step(x, y), step(x[:7], y[:7])
    assert step.recorded == 3 and capsys.readouterr().err == ""


def test_gradients_accumulate_where_the_step_does_not_clear_them():
    w = torch.ones(3, requires_grad=True)

    @torch.compile(fullgraph=True)
    def step(x):
        (w * x).sum().backward()

    for _ in range(4):
        step(torch.tensor([1.0, 2.0, 3.0]))
    assert w.grad.tolist() == [4.0, 8.0, 12.0]


def test_a_gradient_somebody_kept_is_left_alone():
    x, y = batch()
    model = make_model()
    step = torch.compile(make_step(model, torch.optim.SGD(model.parameters(), lr=0.5)), fullgraph=True)
    step(x, y)
    kept, array = model[1].weight.grad, model[1].weight.grad.numpy()
    before = array.copy()
    step(x, y)
    assert np.array_equal(array, before) and model[1].weight.grad is not kept
    kept = model[1].weight.grad.numpy()
    before = kept.copy()
    step(x, y)
    assert np.array_equal(kept, before)


def test_buffers_and_views_are_written_in_place():
    running, eager = torch.zeros(4), torch.zeros(4)

    def update(buffer, x):
        buffer.mul_(0.9).add_(x, alpha=0.1)
        buffer[0] = 5.0
        buffer[1:3] += 1
        return buffer.sum()

    compiled = torch.compile(lambda x: update(running, x), fullgraph=True)
    for i in range(3):
        x = torch.arange(4.0) + i
        assert compiled(x).item() == pytest.approx(update(eager, x).item())
    np.testing.assert_allclose(running.numpy(), eager.numpy(), rtol=1e-6)


def test_arguments_may_be_written_to_and_structures_returned():
    @torch.compile(fullgraph=True)
    def f(tensors, scale, *, shift):
        tensors["a"].add_(shift)
        return {"sum": tensors["a"] * scale, "pair": (tensors["b"].T, [tensors["a"]])}

    a, b = torch.zeros(2), torch.arange(6.0).reshape(2, 3)
    for n in (1, 2, 3):
        result = f({"a": a, "b": b}, 2.0, shift=1)
        assert a.tolist() == [n, n] and result["sum"].tolist() == [2 * n, 2 * n]
        assert result["pair"][1][0] is a and result["pair"][0].tolist() == b.T.tolist()


def test_parameters_may_be_replaced_between_steps():
    x, y = batch()
    model = make_model()
    step = torch.compile(make_step(model, torch.optim.SGD(model.parameters(), lr=0.1)), fullgraph=True)
    first = step(x, y).item()
    model.load_state_dict(make_model().state_dict())
    assert step(x, y).item() == pytest.approx(first, rel=1e-6)
    with torch.no_grad():
        for p, q in zip(model.parameters(), make_model().parameters(), strict=True):
            p.data = q.data
    assert step(x, y).item() == pytest.approx(first, rel=1e-6)
    assert step.recorded == 1


def test_second_derivatives():
    x, y = batch()
    x = x.flatten(1)
    w = torch.randn(3, 8, requires_grad=True)
    v = torch.randn(3, 8)

    def hvp(x, y):
        (g,) = torch.autograd.grad(F.cross_entropy((x @ w.T).tanh(), y), w, create_graph=True)
        return torch.autograd.grad(g, w, v)[0]

    compiled = torch.compile(hvp, fullgraph=True)
    for _ in range(2):
        np.testing.assert_allclose(compiled(x, y).numpy(), hvp(x, y).numpy(), rtol=1e-4, atol=1e-6)


def test_python_that_needs_a_value_runs_eager_with_one_warning():
    @torch.compile
    def f(x):
        return x * 2 if x.sum() > 0 else x

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert f(torch.ones(2)).tolist() == [2, 2] and f(-torch.ones(2)).tolist() == [-1, -1]
    assert len(caught) == 1 and "x.sum() > 0" in str(caught[0].message)


def test_fullgraph_raises_and_names_the_line():
    with pytest.raises(
        RuntimeError, match=r"Tensor.item\(\) needs a value.*test_function.py:\d+: .*x.sum\(\).item\(\)"
    ):
        torch.compile(lambda x: x.sum().item(), fullgraph=True)(torch.ones(2))


def test_a_failed_recording_leaves_everything_as_it_was():
    x, y = batch()
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters())
    before = copy.deepcopy(model.state_dict())

    def step(x, y):
        make_step(model, optimizer)(x, y)
        raise KeyError("after the update")

    with pytest.raises(KeyError):
        torch.compile(step)(x, y)
    for p in model.parameters():
        assert type(p._array) is np.ndarray and p.grad is None
    for name, value in model.state_dict().items():
        assert np.array_equal(value.numpy(), before[name].numpy())
    assert trace.current_recorder() is None


def test_results_that_require_gradients_run_eager_and_say_so():
    model = make_model()
    compiled = torch.compile(model)
    with pytest.warns(UserWarning, match="compile the whole step"):
        out = compiled(batch()[0])
    out.sum().backward()
    assert model[1].weight.grad is not None


def test_verify_compares_and_finds_a_wrong_program():
    x, y = batch()
    model = make_model()
    step = torch.compile(make_step(model, torch.optim.SGD(model.parameters(), lr=0.1)), fullgraph=True, verify=5)
    reference = make_model()
    eager = make_step(reference, torch.optim.SGD(reference.parameters(), lr=0.1))
    for _ in range(3):
        assert step(x, y).item() == pytest.approx(eager(x, y).item(), rel=1e-5)
    (programs,) = step.programs.values()
    programs[0].number_values = programs[0].number_values.copy()  # no longer what the program reads: a stale rate
    programs[0].program.bind_input(programs[0].numbers[0].slot, np.array(7.0))
    with pytest.raises(RuntimeError, match="differs from the eager one"):
        step(x, y)


def test_an_embedding_and_a_vae_in_verified_steps():
    torch.manual_seed(0)
    table, head = nn.Embedding(10, 4, padding_idx=0), nn.Linear(4, 2)
    optimizer = torch.optim.Adagrad([*table.parameters(), *head.parameters()])

    def step(ids, y):
        optimizer.zero_grad()
        h = head(table(ids).mean(1))
        z = h + torch.randn_like(h) * torch.exp(0.5 * h)
        loss = F.binary_cross_entropy(torch.sigmoid(z), y, reduction="sum") + (z * z).mean()
        loss.backward()
        optimizer.step()
        return loss

    compiled = torch.compile(step, fullgraph=True, verify=4)
    ids, y = torch.randint(0, 10, (6, 3)), torch.rand(6, 2)
    for _ in range(4):
        compiled(ids, y)


def test_what_numpy_computes_stays_where_it_is_put() -> None:
    """Also if that is a part of what it was made of; and no longer than it is needed."""

    def function(x):
        spectrum = torch.fft.fft(x * 2)
        values, places = torch.sort(spectrum.real, 1)
        return (values + 1).sum(), places * 2, spectrum.imag + 1

    compiled = torch.compile(function)
    for seed in range(3):
        torch.manual_seed(seed)
        x = torch.randn(40, 50)
        for a, b in zip(compiled(x), function(x), strict=True):
            torch.testing.assert_close(a, b)


def test_what_numpy_computed_is_freed_when_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from rushlight.arrays import numpy as numpy_arrays

    made, cumulative_sum = [], numpy_arrays.cumulative_sum

    def watched(x, axis):
        result = cumulative_sum(x, axis)
        made.append(weakref.ref(result))
        return result

    def function(x):
        return torch.cumsum(x * 2, 0).sum()

    monkeypatch.setattr(numpy_arrays, "cumulative_sum", watched)
    compiled, x = torch.compile(function), torch.ones(30, 20)
    assert compiled(x) == 30 * 31 * 20
    assert made and all(array() is None for array in made)
