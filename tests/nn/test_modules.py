"""Every module against PyTorch's: initial values, result, gradients, state and text, for the same seed."""

import copy
import pickle

import numpy as np
import pytest

import rushlight
from rushlight import nn

torch = pytest.importorskip("torch")

FLOAT, TOKENS = "float", "tokens"

# name, arguments, keyword arguments, shape of the input, kind of input
ROWS = [
    ("Identity", (), {}, (2, 3), FLOAT),
    ("Linear", (3, 4), {}, (5, 3), FLOAT),
    ("Linear", (3, 4), {"bias": False}, (2, 5, 3), FLOAT),
    ("Linear", (3, 4), {}, (3,), FLOAT),
    ("Linear", (20, 30), {}, (2, 2, 2, 20), FLOAT),
    ("Linear", (3, 1), {}, (0, 3), FLOAT),
    ("ReLU", (), {}, (4, 5), FLOAT),
    ("ReLU", (True,), {}, (4, 5), FLOAT),
    ("Tanh", (), {}, (4, 5), FLOAT),
    ("Sigmoid", (), {}, (4, 5), FLOAT),
    ("LogSigmoid", (), {}, (4, 5), FLOAT),
    ("GELU", (), {}, (4, 5), FLOAT),
    ("GELU", ("tanh",), {}, (4, 5), FLOAT),
    ("SiLU", (), {}, (4, 5), FLOAT),
    ("SiLU", (True,), {}, (4, 5), FLOAT),
    ("LeakyReLU", (0.2,), {}, (4, 5), FLOAT),
    ("LeakyReLU", (0.2, True), {}, (4, 5), FLOAT),
    ("ELU", (), {}, (4, 5), FLOAT),
    ("ELU", (0.5, True), {}, (4, 5), FLOAT),
    ("Softplus", (2.0, 1.0), {}, (4, 5), FLOAT),
    ("Softmax", (1,), {}, (4, 5), FLOAT),
    ("LogSoftmax", (), {"dim": 0}, (4, 5), FLOAT),
    ("Softmin", (-1,), {}, (4, 5), FLOAT),
    ("Dropout", (0.3,), {}, (40, 50), FLOAT),
    ("Dropout", (0.3, True), {}, (40, 50), FLOAT),
    ("Dropout", (0.0,), {}, (4, 5), FLOAT),
    ("Dropout", (1.0,), {}, (4, 5), FLOAT),
    ("Flatten", (), {}, (2, 3, 4, 5), FLOAT),
    ("Flatten", (0, 1), {}, (2, 3, 4), FLOAT),
    ("Unflatten", (1, (2, 3)), {}, (4, 6), FLOAT),
    ("LayerNorm", (6,), {}, (2, 4, 6), FLOAT),
    ("LayerNorm", ((4, 6),), {"eps": 1e-2, "bias": False}, (2, 4, 6), FLOAT),
    ("LayerNorm", (6,), {"elementwise_affine": False}, (2, 4, 6), FLOAT),
    ("Embedding", (10, 3), {}, (2, 4), TOKENS),
    ("Embedding", (10, 3), {"padding_idx": 2}, (2, 4), TOKENS),
    ("Embedding", (10, 3), {"padding_idx": -1}, (7,), TOKENS),
]
IDS = [f"{name}{args}{kwargs or ''}" for name, args, kwargs, _, _ in ROWS]


def made(library, modules, row):
    """A module and an input, after the same seed."""
    name, args, kwargs, shape, kind = row
    library.manual_seed(1)
    module = getattr(modules, name)(*args, **kwargs)
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    if kind == TOKENS:
        return module, library.from_numpy((np.abs(values) * 100).astype(np.int64) % 10)
    return module, library.from_numpy(values).requires_grad_(True)


def run(module, x):
    """The result and the gradients of a weighted sum of it."""
    y = module(x * 1 if x.is_floating_point() else x)
    weight = np.linspace(-1, 1, y.numel(), dtype=np.float32).reshape(tuple(y.shape))
    library = rushlight if isinstance(y, rushlight.Tensor) else torch
    if y.requires_grad:
        (y * library.from_numpy(weight)).sum().backward()
    return y, [x.grad, *(p.grad for p in module.parameters())]


def check(actual, expected, tolerance=2e-6):
    assert (actual is None) == (expected is None)
    if actual is not None:
        assert str(actual.dtype) == str(expected.dtype)
        np.testing.assert_allclose(actual.detach().numpy(), expected.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_initial_values_result_and_gradients(row):
    ours, x = made(rushlight, nn, row)
    theirs, expected_x = made(torch, torch.nn, row)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        check(a, b, 0 if a.numel() < 16 or row[0] != "Embedding" else 1e-6)
    y, grads = run(ours, x)
    expected_y, expected_grads = run(theirs, expected_x)
    check(y, expected_y)
    for a, b in zip(grads, expected_grads, strict=True):
        check(a, b, 1e-5)
    np.testing.assert_array_equal(rushlight.default_generator.get_state(), torch.get_rng_state().numpy())


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_text_state_and_copies(row):
    ours, x = made(rushlight, nn, row)
    theirs, _ = made(torch, torch.nn, row)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.eval()
    expected = ours(x.detach()).detach().numpy()
    for copied in (copy.deepcopy(ours), copy.copy(ours), pickle.loads(pickle.dumps(ours))):
        np.testing.assert_array_equal(copied(x.detach()).detach().numpy(), expected)
        assert repr(copied) == repr(ours)
    again = getattr(nn, row[0])(*row[1], **row[2]).eval()
    assert str(again.load_state_dict(ours.state_dict())) == "<All keys matched successfully>"
    np.testing.assert_array_equal(again(x.detach()).detach().numpy(), expected)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_float64(row):
    ours, x = made(rushlight, nn, row)
    theirs, expected_x = made(torch, torch.nn, row)
    if row[-1] == FLOAT:
        x, expected_x = x.detach().double(), expected_x.detach().double()
    check(ours.double().eval()(x), theirs.double().eval()(expected_x), 1e-6)


def test_an_embedding_takes_a_table():
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    ours = nn.Embedding.from_pretrained(rushlight.from_numpy(table))
    theirs = torch.nn.Embedding.from_pretrained(torch.from_numpy(table))
    assert repr(ours) == repr(theirs)
    assert not ours.weight.requires_grad
    assert ours(rushlight.tensor([2, 0])).tolist() == theirs(torch.tensor([2, 0])).tolist()
    assert nn.Embedding.from_pretrained(rushlight.from_numpy(table), freeze=False).weight.requires_grad


@pytest.mark.parametrize(
    "option", [{"max_norm": 1.0}, {"scale_grad_by_freq": True}, {"norm_type": 1.0, "max_norm": 2.0}], ids=str
)
def test_options_of_an_embedding(option):
    table, indices = np.arange(6, dtype=np.float32).reshape(3, 2), np.array([2, 0, 2])
    results = []
    for t in (rushlight, torch):
        module = t.nn.Embedding(3, 2, _weight=t.from_numpy(table.copy()), **option)
        out = module(t.from_numpy(indices))
        (out * out).sum().backward()
        results.append((out.tolist(), module.weight.tolist(), module.weight.grad.tolist()))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, 1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: n.Dropout(1.5),
        lambda n: n.Unflatten(1, 3),
        lambda n: n.Unflatten(1, (3, "a")),
        lambda n: n.Embedding(3, 2, padding_idx=5),
        lambda n: n.Linear(2, 3, foo=1),
    ],
)
def test_faults(make):
    with pytest.raises(Exception) as expected:
        make(torch.nn)
    with pytest.raises(type(expected.value)) as actual:
        make(nn)
    if not isinstance(expected.value, TypeError):
        assert str(actual.value) == str(expected.value)
