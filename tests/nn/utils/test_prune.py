"""Pruning, fusion and modules without first values, beside PyTorch."""

import importlib

import pytest

import rushlight

torch = pytest.importorskip("torch")


def prune_of(t):
    return importlib.import_module(("rushlight" if t is rushlight else "torch") + ".nn.utils.prune")


def facts(module, out=None):
    return dict(module.state_dict()), repr(module), module.weight, out


STEPS = [
    lambda t, p, m: p.l1_unstructured(m, "weight", 0.3),
    lambda t, p, m: p.l1_unstructured(m, "weight", 4, importance_scores=t.arange(24.0).reshape(4, 6)),
    lambda t, p, m: p.random_unstructured(m, "weight", 0.4),
    lambda t, p, m: p.random_structured(m, "weight", 2, 1),
    lambda t, p, m: p.ln_structured(m, "weight", 0.5, 2, 0),
    lambda t, p, m: p.ln_structured(m, "weight", 1, float("inf"), -1),
    lambda t, p, m: p.custom_from_mask(m, "weight", (t.arange(24) % 3 > 0).reshape(4, 6)),
    lambda t, p, m: p.identity(m, "weight"),
    lambda t, p, m: p.l1_unstructured(m, "weight", 0),
]
ERRORS = [
    lambda t, p, m: p.l1_unstructured(m, "weight", -1),
    lambda t, p, m: p.l1_unstructured(m, "weight", 1.5),
    lambda t, p, m: p.l1_unstructured(m, "weight", "half"),
    lambda t, p, m: p.l1_unstructured(m, "weight", 100),
    lambda t, p, m: p.ln_structured(m, "bias", 1, 2, 0),
    lambda t, p, m: p.random_structured(m, "weight", 1, 2),
    lambda t, p, m: p.custom_from_mask(m, "weight", t.ones(2)),
    lambda t, p, m: p.remove(m, "bias"),
    lambda t, p, m: p.global_unstructured(3, p.L1Unstructured, amount=0.1),
    lambda t, p, m: p.PruningContainer(3),
]


@pytest.mark.parametrize("first", STEPS)
@pytest.mark.parametrize("second", [None, STEPS[0], STEPS[3], STEPS[4], STEPS[6]])
def test_methods_on_top_of_each_other(same, first, second):
    def ask(t):
        prune, module = prune_of(t), t.nn.Linear(6, 4)
        first(t, prune, module)
        if second is not None:
            second(t, prune, module)
        out = module(t.ones(2, 6))
        out.sum().backward()
        found = facts(module, out), module.weight_orig.grad, prune.is_pruned(module)
        prune.remove(module, "weight")
        return found, facts(module, module(t.ones(2, 6))), prune.is_pruned(module)

    same(ask)


@pytest.mark.parametrize("step", ERRORS)
def test_errors(same, step):
    def ask(t):
        module = t.nn.Linear(6, 4)
        try:
            step(t, prune_of(t), module)
        finally:
            assert sorted(module.state_dict()) == ["bias", "weight"]

    assert set(same(ask)) == {"error", "text"}


def test_global(same):
    def ask(t):
        prune, model = prune_of(t), t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Linear(4, 2))
        prune.l1_unstructured(model[0], "weight", 2)
        prune.global_unstructured([(model[0], "weight"), (model[1], "weight")], prune.L1Unstructured, amount=0.5)
        return dict(model.state_dict())

    same(ask)


@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d", "Linear"])
@pytest.mark.parametrize("has_bias", [True, False])
def test_fusion(same, kind, has_bias):
    def ask(t):
        layer = getattr(t.nn, kind)(*((3, 4) if kind == "Linear" else (3, 4, 2)), bias=has_bias).eval()
        norm = (t.nn.BatchNorm1d if kind == "Linear" else t.nn.BatchNorm2d)(4)
        x = t.linspace(-1, 1, 24).reshape((8, 3) if kind == "Linear" else (2, 3, 2, 2))
        norm(layer(x))
        norm.eval()
        utils = t.nn.utils
        more = (True,) if kind == "ConvTranspose2d" else ()
        fused = (
            utils.fuse_linear_bn_eval(layer, norm) if kind == "Linear" else utils.fuse_conv_bn_eval(layer, norm, *more)
        )
        assert float((fused(x) - norm(layer(x))).abs().max().detach()) < 1e-5
        return dict(fused.state_dict()), [p.requires_grad for p in fused.parameters()]

    same(ask)
    same(lambda t: t.nn.utils.fuse_conv_bn_eval(t.nn.Conv2d(1, 1, 1), t.nn.BatchNorm2d(1)))


def test_skip_init(same):
    same(lambda t: [list(p.shape) for p in t.nn.utils.skip_init(t.nn.LSTMCell, 3, 4).parameters()])
    same(lambda t: str(t.nn.utils.skip_init(t.nn.Linear, 3, 4).weight.device))
    same(lambda t: t.nn.utils.skip_init(t.nn.ReLU))
