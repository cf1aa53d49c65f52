"""Recurrent layers and cells, padded and packed, beside PyTorch; their second derivatives; compiled steps."""

import numpy as np
import pytest

import rushlight
from rushlight import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

KINDS = [
    ("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("GRU", {}), ("LSTM", {}), ("LSTM", {"proj_size": 2}),
]  # fmt: skip
LENGTHS = [3, 5, 1, 5]


def states(hidden):
    return hidden if isinstance(hidden, tuple) else (hidden,)


def total(values):
    return sum(((value + 1) ** 2).sum() for value in values)


@pytest.mark.parametrize("form", ["padded", "packed", "packed unsorted", "without a batch"])
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False, "batch_first": True}]
)
@pytest.mark.parametrize(("kind", "more"), KINDS)
def test_layers(same, kind, more, options, form):
    def ask(t):
        layer = getattr(t.nn, kind)(3, 4, **options, **more).double()
        batch_first = options.get("batch_first", False)
        x = t.linspace(-1, 1, 60, dtype=t.float64).reshape((4, 5, 3) if batch_first else (5, 4, 3)).requires_grad_()
        shape = (layer.num_layers * (2 if layer.bidirectional else 1), 4)
        widths = layer.proj_size or 4, 4
        hx = [t.linspace(-1, 1, shape[0] * 4 * n, dtype=t.float64).reshape(*shape, n) for n in widths]
        hx = [h.requires_grad_() for h in hx][: 2 if kind == "LSTM" else 1]
        rnn, given = t.nn.utils.rnn, x
        if form == "without a batch":
            given, hx = x[0] if batch_first else x[:, 0], [h[:, 0] for h in hx]
        elif form != "padded":
            lengths = LENGTHS if form == "packed unsorted" else sorted(LENGTHS, reverse=True)
            given = rnn.pack_padded_sequence(x, t.tensor(lengths), batch_first, enforce_sorted=form == "packed")
        output, hidden = layer(given, tuple(hx) if kind == "LSTM" else hx[0])
        found = states(hidden)
        if form.startswith("packed"):
            assert [size.item() for size in output.batch_sizes] == [4, 3, 3, 2, 2]
            output, lengths = rnn.pad_packed_sequence(output, batch_first, padding_value=7.0, total_length=6)
            found += (lengths,)
        grads = t.autograd.grad(total([output, *states(hidden)]), [x, *layer.parameters(), *hx], allow_unused=True)
        return output, found, grads

    same(ask, 1e-10)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_linear_layer_at_every_time(same, kind):
    """The output's rows lie in the order of times, so the layer copies them; the last states may be changed in place."""

    def ask(t):
        layer, linear = getattr(t.nn, kind)(3, 4, batch_first=True).double(), t.nn.Linear(4, 2).double()
        x = t.linspace(-1, 1, 60, dtype=t.float64).reshape(4, 5, 3).requires_grad_()
        output, hidden = layer(x)
        assert not output.is_contiguous()
        last = states(hidden)
        changed = [h.mul_(2.0) for h in last]
        scores = linear(output)
        unbiased = t.nn.functional.linear(output, linear.weight)
        loss = total([scores, unbiased, *changed])
        grads = t.autograd.grad(loss, [x, output, *layer.parameters(), *linear.parameters()])
        return scores, unbiased, changed, grads

    same(ask, 1e-10)


@pytest.mark.parametrize(("kind", "more"), KINDS)
def test_without_a_state(same, kind, more):
    def ask(t):
        layer = getattr(t.nn, kind)(3, 4, **more)
        packed = t.nn.utils.rnn.pack_sequence([t.ones(2, 3), t.zeros(1, 3)])
        return repr(layer), layer(t.ones(5, 2, 3)), [layer(packed)[0].data, layer(packed)[1]]

    same(ask)


def test_dropout_between_layers_is_pytorchs(same):
    def ask(t):
        layer = t.nn.LSTM(3, 8, num_layers=3, dropout=0.5)
        return layer(t.ones(4, 2, 3)), layer.eval()(t.ones(4, 2, 3))

    same(ask)
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last recurrent layer"):
        nn.GRU(1, 1, dropout=0.5)


@pytest.mark.parametrize("kind", ["RNNCell", "GRUCell", "LSTMCell"])
def test_cells(same, kind):
    def ask(t):
        cell = getattr(t.nn, kind)(3, 4)
        x = t.linspace(-1, 1, 6).reshape(2, 3).requires_grad_()
        first = cell(x)
        second = cell(x, first)
        grads = t.autograd.grad(total(states(second)), [x, *cell.parameters()])
        alone = cell(x[0], tuple(h[0] for h in first) if kind == "LSTMCell" else first[0])
        return repr(cell), first, second, grads, alone

    same(ask)
    same(lambda t: getattr(t.nn, kind)(3, 4)(t.ones(2, 2, 3)))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("kind", "more"), KINDS)
def test_second_derivatives(kind, more, reverse):
    """Those of the operation's own derivative, against differences of it, through every input at once."""
    rushlight.manual_seed(1)
    layer = getattr(nn, kind)(2, 3, bidirectional=reverse, **more).double()
    packed = nn.utils.rnn.pack_sequence([rushlight.randn(3, 2).double(), rushlight.randn(2, 2).double()])
    parameters = list(layer.parameters())
    directions = [rushlight.randn(p.shape).double() for p in parameters]

    def gradient(create_graph):
        output, hidden = layer(packed)
        loss = total([output.data, *states(hidden)])
        return rushlight.autograd.grad(loss, parameters, create_graph=create_graph)

    weights = [rushlight.randn(p.shape).double() for p in parameters]
    exact = rushlight.autograd.grad(gradient(True), parameters, weights)
    slope = sum((d * g).sum() for d, g in zip(directions, exact, strict=True))
    values, step = [], 1e-5
    for sign in (1, -1):
        with rushlight.no_grad():
            for p, d in zip(parameters, directions, strict=True):
                p += sign * step * d
        values.append(sum((w * g).sum() for w, g in zip(weights, gradient(False), strict=True)))
        with rushlight.no_grad():
            for p, d in zip(parameters, directions, strict=True):
                p -= sign * step * d
    np.testing.assert_allclose(slope.item(), ((values[0] - values[1]) / (2 * step)).item(), rtol=1e-6)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_compiled_step_is_the_eager_one(kind):
    def losses(compiles):
        rushlight.manual_seed(0)
        layer, x = getattr(nn, kind)(3, 4), rushlight.randn(5, 2, 3)
        optimizer = rushlight.optim.SGD(layer.parameters(), lr=0.1)

        def step():
            optimizer.zero_grad()
            output, hidden = layer(x)
            loss = total([output, *states(hidden)])
            loss.backward()
            optimizer.step()
            return loss.detach()

        step = rushlight.compile(step) if compiles else step
        return [step().item() for _ in range(4)]

    np.testing.assert_allclose(losses(True), losses(False), rtol=1e-6)


def test_functions_of_torch(same):
    def ask(t):
        layer = t.nn.GRU(3, 4)
        flat, x = list(layer.parameters()), t.ones(5, 2, 3)
        packed = t.nn.utils.rnn.pack_sequence([t.ones(2, 3), t.ones(1, 3)])
        cell = t.gru_cell(x[0], t.zeros(2, 4), *flat)
        whole = t.gru(x, t.zeros(1, 2, 4), flat, True, 1, 0.0, False, False, False)
        rows = t.gru(packed.data, packed.batch_sizes, t.zeros(1, 2, 4), flat, True, 1, 0.0, False, False)
        lstm = t.lstm(x, [t.zeros(1, 2, 1), t.zeros(1, 2, 1)], list(t.nn.LSTM(3, 1).parameters()), True, 1, 0.0, False, False, False)  # fmt: skip
        return cell, list(whole), list(rows), list(lstm)

    same(ask)


ERRORS = [
    lambda t: t.nn.LSTM(3, 4)(t.ones(2, 3, 5)),
    lambda t: t.nn.LSTM(3, 4)(t.ones(3)),
    lambda t: t.nn.RNN(3, 4)(t.ones(3)),
    lambda t: t.nn.LSTM(3, 4)(t.ones(2, 3).double()),
    lambda t: t.nn.LSTM(3, 4)(t.ones(2, 1, 3), (t.zeros(1, 2, 4), t.zeros(1, 1, 4))),
    lambda t: t.nn.LSTM(3, 4)(t.ones(2, 1, 3), (t.zeros(1, 1, 4), t.zeros(1, 2, 4))),
    lambda t: t.nn.LSTM(3, 4)(t.ones(2, 1, 3), (t.zeros(1, 4), t.zeros(1, 4))),
    lambda t: t.nn.LSTM(3, 4)(t.ones(2, 3), (t.zeros(1, 1, 4), t.zeros(1, 1, 4))),
    lambda t: t.nn.GRU(3, 4)(t.ones(2, 1, 3), t.zeros(1, 2, 4)),
    lambda t: t.nn.GRU(3, 4)(t.ones(2, 1, 3), t.zeros(1, 4)),
    lambda t: t.nn.GRU(3, 4, proj_size=2),
    lambda t: t.nn.RNN(3, 4, nonlinearity="wrong"),
    lambda t: t.nn.LSTM(3, 4, proj_size=4),
    lambda t: t.nn.LSTM(3, 4, proj_size=-1),
    lambda t: t.nn.LSTM(3, 4, num_layers=0),
    lambda t: t.nn.LSTM(0, 4),
    lambda t: t.nn.LSTM(3.0, 4),
    lambda t: t.nn.LSTM(3, 4, bias=1),
    lambda t: t.nn.LSTM(3, 4, dropout=2),
    lambda t: t.nn.GRUCell(3, 4)(t.ones(2, 3), t.zeros(1, 2, 4)),
    lambda t: t.nn.LSTMCell(3, 4)(t.ones(2, 3), (t.zeros(2, 4), t.zeros(1, 2, 4))),
    lambda t: t.nn.GRUCell(3, 4)(t.ones(2, 5)),
    lambda t: t.nn.GRUCell(3, 4)(t.ones(2, 3), t.zeros(3, 4)),
]


@pytest.mark.parametrize("ask", ERRORS)
def test_errors(same, ask):
    assert set(same(ask)) == {"error", "text"}
