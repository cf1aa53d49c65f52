"""Initial values against PyTorch's, for the same seed."""

import numpy as np
import pytest

import rushlight
from rushlight.nn import init

torch = pytest.importorskip("torch")

# name, arguments, exact (or else to a rounding error: normals and logarithms)
ROWS = [
    ("uniform_", (-0.3, 0.7), True),
    ("normal_", (1.0, 0.2), False),
    ("trunc_normal_", (), False),
    ("trunc_normal_", (0.0, 0.02, -0.01, 0.03), False),
    ("trunc_normal_", (0.0, 1.0, 0.5, 0.9), False),
    ("trunc_normal_", (0.0, 1.0, 2.0, 3.0), False),
    ("constant_", (0.3,), True),
    ("ones_", (), True),
    ("zeros_", (), True),
    ("eye_", (), True),
    ("xavier_uniform_", (2.0,), True),
    ("xavier_normal_", (), False),
    ("kaiming_uniform_", (0.3, "fan_out", "leaky_relu"), True),
    ("kaiming_uniform_", (5**0.5,), True),
    ("kaiming_normal_", (0, "fan_in", "relu"), False),
    ("orthogonal_", (2.0,), False),
]


def filled(t, module, name, args, shape, dtype):
    t.manual_seed(0)
    tensor = t.empty(shape, dtype=getattr(t, dtype), requires_grad=True)
    result = getattr(module, name)(tensor, *args)
    assert result is tensor
    assert tensor.grad_fn is None
    return tensor.detach().numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 4), (30, 20), (5, 3)])
@pytest.mark.parametrize(("name", "args", "exact"), ROWS)
def test_values(name, args, exact, shape, dtype):
    actual = filled(rushlight, init, name, args, shape, dtype)
    expected = filled(torch, torch.nn.init, name, args, shape, dtype)
    tolerance = 0 if exact else 2e-6 if name != "orthogonal_" else 2e-5
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(rushlight.default_generator.get_state(), torch.get_rng_state().numpy())


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (2, 3, 4)])
@pytest.mark.parametrize("name", ["xavier_uniform_", "kaiming_uniform_"])
def test_fans_of_kernels(name, shape):
    actual = filled(rushlight, init, name, (), shape, "float32")
    np.testing.assert_array_equal(actual, filled(torch, torch.nn.init, name, (), shape, "float32"))


def test_generator():
    a = init.uniform_(rushlight.empty(5), generator=rushlight.Generator().manual_seed(3))
    b = torch.nn.init.uniform_(torch.empty(5), generator=torch.Generator().manual_seed(3))
    assert a.tolist() == b.tolist()


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("linear", ()), ("conv2d", ()), ("sigmoid", ()), ("tanh", ()), ("relu", ()), ("selu", ()), ("leaky_relu", ()),
        ("leaky_relu", (0.5,)), ("leaky_relu", ("a",)), ("foo", ()),
    ],
)  # fmt: skip
def test_gain(name, args):
    def gain(module):
        try:
            return module.calculate_gain(name, *args)
        except ValueError as error:
            return str(error)

    assert gain(init) == gain(torch.nn.init)


@pytest.mark.parametrize(
    "ask",
    [
        lambda t, i: i.xavier_uniform_(t.ones(3)),
        lambda t, i: i.kaiming_uniform_(t.ones(3, 3), mode="a"),
        lambda t, i: i.eye_(t.ones(3)),
        lambda t, i: i.orthogonal_(t.ones(3)),
    ],
)
def test_faults(ask):
    with pytest.raises(ValueError) as expected:
        ask(torch, torch.nn.init)
    with pytest.raises(ValueError) as actual:
        ask(rushlight, init)
    assert str(actual.value) == str(expected.value)


def test_nothing_to_fill_is_warned_of():
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
        init.kaiming_uniform_(rushlight.empty(0, 3))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 2, 3, 3), (2, 4, 3, 3, 2)])
def test_dirac(same, shape, groups):
    same(lambda t: t.nn.init.dirac_(t.ones(shape), groups), 0)
    same(lambda t: t.nn.init.dirac_(t.ones(3, 3), groups))
    same(lambda t: t.nn.init.dirac_(t.ones(5, 3, 3), 2))


def test_sparse(same):
    same(lambda t: t.nn.init.sparse_(t.ones(7, 4), 0.3, std=2.0), 1e-6)
    same(lambda t: t.nn.init.sparse_(t.ones(7), 0.3))


def test_old_names_warn():
    for name in ("uniform", "xavier_normal", "kaiming_uniform", "orthogonal", "eye"):
        with pytest.warns(FutureWarning, match=f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`."):
            getattr(init, name)(rushlight.ones(2, 2))
