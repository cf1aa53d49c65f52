"""Parametrizations, weight and spectral normalization, beside PyTorch."""

import copy
import pickle

import pytest

import rushlight
from rushlight.nn.utils import parametrize

torch = pytest.importorskip("torch")


def modules(t):
    """A parametrization with an inverse, one without, and one of two tensors."""

    class Doubled(t.nn.Module):
        def forward(self, x):
            return 2 * x

        def right_inverse(self, x):
            return x / 2

    class Symmetric(t.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

    class Sum(t.nn.Module):
        def forward(self, x, y):
            return x + y

        def right_inverse(self, x):
            return x / 4, x * 3 / 4

    return Doubled(), Symmetric(), Sum()


def facts(module, out=None):
    """All that can be seen of a module."""
    return {
        "repr": repr(module),
        "class": type(module).__name__,
        "state": dict(module.state_dict()),
        "parameters": [name for name, _ in module.named_parameters()],
        "out": out,
    }


@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 1), (1, 0), (2, 0)])
def test_register_assign_and_remove(same, which):
    def ask(t):
        layer = t.nn.Linear(3, 3)
        for number in which:
            t.nn.utils.parametrize.register_parametrization(layer, "weight", modules(t)[number])
        out = layer(t.ones(2, 3))
        out.sum().backward()
        grads = [p.grad for p in layer.parameters()]
        before = facts(layer, out)
        weight = layer.weight
        is_leaf = t.nn.utils.parametrize.is_parametrized(layer, "weight"), t.nn.utils.parametrize.is_parametrized(layer)
        t.nn.utils.parametrize.remove_parametrizations(layer, "weight")
        return grads, before, weight, is_leaf, facts(layer, layer(t.ones(2, 3)))

    same(ask)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_assignment_goes_through_the_inverse(same, which):
    def ask(t):
        layer = t.nn.Linear(2, 2)
        t.nn.utils.parametrize.register_parametrization(layer, "weight", modules(t)[which])
        layer.weight = t.eye(2)
        return facts(layer, layer.weight)

    same(ask)


def bad(t, case):
    class Bad(t.nn.Module):
        def forward(self, x):
            return {"shape": lambda: x[0], "dtype": lambda: x.double(), "none": lambda: None}.get(case, lambda: x)()

    return Bad()


@pytest.mark.parametrize("on_top", [False, True])
@pytest.mark.parametrize("case", ["shape", "dtype", "none"])
def test_checks(same, case, on_top):
    def ask(t):
        layer = t.nn.Linear(2, 3)
        if on_top:
            t.nn.utils.parametrize.register_parametrization(layer, "weight", modules(t)[0])
        t.nn.utils.parametrize.register_parametrization(layer, "weight", bad(t, case))

    assert same(ask)["error"] == "ValueError"


def test_other_errors(same):
    register = "register_parametrization"
    same(lambda t: getattr(t.nn.utils.parametrize, register)(t.nn.Linear(2, 2), "wrong", modules(t)[0]))
    same(lambda t: t.nn.utils.parametrize.remove_parametrizations(t.nn.Linear(2, 2), "weight"))
    same(lambda t: t.nn.utils.parametrize.ParametrizationList([], t.ones(2)))
    same(lambda t: pickle.dumps(t.nn.utils.parametrizations.weight_norm(t.nn.Linear(2, 2))))


def test_cached_computes_once():
    calls = []

    class Counting(rushlight.nn.Module):
        def forward(self, x):
            calls.append(1)
            return x

    layer = parametrize.register_parametrization(rushlight.nn.Linear(2, 2), "weight", Counting())
    calls.clear()
    with parametrize.cached():
        layer(rushlight.ones(2)), layer(rushlight.ones(2))
        assert len(calls) == 1
    layer(rushlight.ones(2))
    assert len(calls) == 2


def test_copies_are_independent():
    layer = rushlight.nn.utils.parametrizations.weight_norm(rushlight.nn.Linear(2, 2))
    other = copy.deepcopy(layer)
    with rushlight.no_grad():
        other.parametrizations.weight.original0.zero_()
    assert float(other.weight.abs().sum().detach()) == 0
    assert float(layer.weight.abs().sum().detach()) > 0
    assert other.parametrizations.weight.original1 is not layer.parametrizations.weight.original1


def test_transfer(same):
    def ask(t):
        source, target = t.nn.Linear(2, 2), t.nn.Linear(2, 2)
        for number in (0, 1):
            t.nn.utils.parametrize.register_parametrization(source, "weight", modules(t)[number])
        t.nn.utils.parametrize.transfer_parametrizations_and_params(source, target)
        return facts(target), t.nn.utils.parametrize.type_before_parametrizations(target) is t.nn.Linear

    same(ask)


@pytest.mark.parametrize("made", [
    lambda t, p: p.weight_norm(t.nn.Linear(3, 4)),
    lambda t, p: p.weight_norm(t.nn.Conv2d(2, 3, 2), dim=None),
    lambda t, p: p.weight_norm(t.nn.Linear(3, 4), dim=1),
    lambda t, p: p.weight_norm(t.nn.Linear(3, 4), name="bias"),
    lambda t, p: p.spectral_norm(t.nn.Linear(3, 4)),
    lambda t, p: p.spectral_norm(t.nn.ConvTranspose2d(2, 3, 2), n_power_iterations=3),
    lambda t, p: p.spectral_norm(t.nn.Linear(3, 4), name="bias"),
    lambda t, p: p.orthogonal(t.nn.Linear(4, 4)),
    lambda t, p: p.orthogonal(t.nn.Linear(3, 5)),
    lambda t, p: p.orthogonal(t.nn.Linear(5, 3), orthogonal_map="cayley"),
    lambda t, p: p.orthogonal(t.nn.Linear(5, 3), orthogonal_map="matrix_exp", use_trivialization=False),
    lambda t, p: p.orthogonal(t.nn.Linear(5, 3), use_trivialization=False),
    lambda t, p: p.orthogonal(t.nn.Linear(5, 3), orthogonal_map="wrong"),
    lambda t, p: p.orthogonal(t.nn.Linear(5, 3), name="bias"),
    lambda t, p: p.spectral_norm(t.nn.Linear(5, 3), dim=7),
    lambda t, p: p.spectral_norm(t.nn.Linear(5, 3), n_power_iterations=0),
    lambda t, p: p.spectral_norm(t.nn.Linear(5, 3), name="wrong"),
])  # fmt: skip
def test_parametrizations(same, made):
    def ask(t):
        module = made(t, t.nn.utils.parametrizations)
        inputs = {"Linear": (2, 0), "Conv2d": (1, 2, 4, 4), "ConvTranspose2d": (1, 2, 4, 4)}
        kind = type(module).__name__.removeprefix("Parametrized")
        shape = (2, module.in_features) if kind == "Linear" else inputs[kind]
        out = module(t.linspace(-1, 1, int(t.ones(shape).numel())).reshape(shape))
        (out * out).sum().backward()
        return facts(module, out), [p.grad for p in module.parameters()], facts(module.eval())

    same(ask, 1e-4)


def test_a_state_of_the_old_weight_norm_loads(same):
    def ask(t):
        layer = t.nn.utils.parametrizations.weight_norm(t.nn.Linear(2, 3))
        state = {"bias": t.zeros(3), "weight_g": t.ones(3, 1), "weight_v": t.arange(6.0).reshape(3, 2)}
        return str(layer.load_state_dict(state)), layer.weight

    same(ask)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("layer", [("Linear", 3, 4), ("ConvTranspose1d", 3, 4, 2)])
def test_the_old_norms(same, name, layer):
    def ask(t):
        module = getattr(t.nn, layer[0])(*layer[1:])
        getattr(t.nn.utils, name)(module)
        x = t.linspace(-1, 1, 12).reshape(4, 3) if layer[0] == "Linear" else t.linspace(-1, 1, 12).reshape(1, 3, 4)
        out = module(x)
        (out * out).sum().backward()
        state = module.state_dict()
        found = facts(module, out), [p.grad for p in module.parameters()], str(module.load_state_dict(state))
        try:
            getattr(t.nn.utils, name)(module)
        except RuntimeError as error:
            found += (str(error),)
        getattr(t.nn.utils, f"remove_{name}")(module)
        found += (facts(module, module(x)),)
        try:
            getattr(t.nn.utils, f"remove_{name}")(module)
        except ValueError as error:
            return (*found, str(error))

    same(ask)


def test_spectral_norm_loads_a_state_without_v(same):
    def ask(t):
        module = t.nn.utils.spectral_norm(t.nn.Linear(3, 4)).eval()
        module(t.ones(1, 3))
        state = dict(module.state_dict())
        weight = module.weight.detach().clone()
        del state["weight_v"]
        return str(module.load_state_dict({**state, "weight": weight})), module(t.ones(1, 3))

    same(ask, 1e-3)
