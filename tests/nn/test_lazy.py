"""Lazy modules, and others that take little room: beside PyTorch."""

import copy
import importlib
import pickle

import pytest

import rushlight
from rushlight import nn

torch = pytest.importorskip("torch")

LAZY = [
    (("LazyLinear", 4), (2, 3)), (("LazyConv1d", 4, 2), (2, 3, 5)), (("LazyConv2d", 4, 2), (3, 5, 5)),
    (("LazyConv3d", 4, 2), (1, 3, 3, 3, 3)), (("LazyConvTranspose1d", 4, 2), (2, 3, 5)),
    (("LazyConvTranspose2d", 4, 2), (2, 3, 5, 5)), (("LazyConvTranspose3d", 4, 2), (1, 3, 3, 3, 3)),
    (("LazyBatchNorm1d",), (4, 3)), (("LazyBatchNorm2d",), (2, 3, 4, 4)), (("LazyBatchNorm3d",), (2, 3, 2, 2, 2)),
    (("LazyInstanceNorm1d",), (2, 3, 4)), (("LazyInstanceNorm2d",), (2, 3, 4, 4)),
    (("LazyInstanceNorm3d",), (2, 3, 2, 2, 2)),
]  # fmt: skip


def numbers(t, shape):
    return t.linspace(-1, 1, int(t.ones(shape).numel())).reshape(shape)


@pytest.mark.parametrize(("made", "shape"), LAZY)
def test_the_first_input_makes_it_an_ordinary_module(same, made, shape):
    def ask(t):
        module = getattr(t.nn, made[0])(*made[1:])
        before = repr(module), [repr(p) for p in module.parameters()], list(module.state_dict())
        out = module(numbers(t, shape))
        return before, repr(module), dict(module.state_dict()), out, module.has_uninitialized_params is None if hasattr(module, "has_uninitialized_params") else True  # fmt: skip

    same(ask)


@pytest.mark.parametrize(("made", "shape"), LAZY)
def test_a_load_gives_shapes_too(same, made, shape):
    def ask(t):
        source, target, waiting = (getattr(t.nn, made[0])(*made[1:]) for _ in range(3))
        empty = str(waiting.load_state_dict(source.state_dict()))
        source(numbers(t, shape))
        result = str(target.load_state_dict(source.state_dict()))
        try:
            source.load_state_dict(waiting.state_dict())
        except RuntimeError as error:
            return empty, result, dict(target.state_dict()), str(error)[:80]
        return empty, result, dict(target.state_dict()), "loaded", target(numbers(t, shape))

    same(ask)


def test_conversion_copy_and_pickle_of_what_has_no_shape():
    layer = nn.LazyLinear(2).double()
    assert layer.weight.dtype is rushlight.float64
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.has_uninitialized_params()
        assert other(rushlight.ones(1, 3).double()).dtype is rushlight.float64
    assert layer.has_uninitialized_params()


def test_use_before_a_shape_is_known(same):
    same(lambda t: t.nn.LazyLinear(2).weight.shape)
    for use in (lambda w: w + 1, lambda w: w.sum()):
        with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter"):
            use(nn.LazyLinear(2).weight)


def test_errors(same):
    same(lambda t: t.nn.LazyConv2d(4, 2)(t.ones(2, 2)))
    same(lambda t: t.nn.LazyConv1d(4, 2, groups=2)(t.ones(1, 3, 4)))


def test_a_lazy_module_of_ones_own(same):
    def ask(t):
        package = "rushlight" if t is rushlight else "torch"
        mixin = importlib.import_module(package + ".nn.modules.lazy").LazyModuleMixin

        class Scale(mixin, t.nn.Module):
            def __init__(self):
                super().__init__()
                self.factor = t.nn.UninitializedParameter()

            def initialize_parameters(self, x):
                if self.has_uninitialized_params():
                    self.factor.materialize(x.shape[-1:])
                    with t.no_grad():
                        self.factor.fill_(2.0)

            def forward(self, x):
                return x * self.factor

        scale = Scale()
        return scale(t.ones(2, 3)), scale(t.ones(3)), scale.has_uninitialized_params()

    same(ask)


# ---------------------------------------------------------------- others


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5)])
def test_sync_batch_norm_in_one_process(same, shape):
    def ask(t):
        model = t.nn.Sequential(t.nn.BatchNorm1d(3), t.nn.Sequential(t.nn.BatchNorm1d(3)))
        model(numbers(t, shape))
        converted = t.nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return repr(converted), converted(numbers(t, shape)), dict(converted.state_dict())

    same(ask)
    same(lambda t: t.nn.SyncBatchNorm(3)(t.ones(3)))


@pytest.mark.parametrize("targets", [[0, 3, 9, 5, 1], [0, 1, 0, 1, 0], [7, 8, 9, 9, 8], 4, [0, 3, 10, 5, 1]])
@pytest.mark.parametrize("head_bias", [False, True])
def test_adaptive_softmax(same, targets, head_bias):
    def ask(t):
        softmax = t.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [2, 6], div_value=2.0, head_bias=head_bias)
        x = (numbers(t, (5, 8)) if isinstance(targets, list) else numbers(t, (8,))).requires_grad_()
        result = softmax(x, t.tensor(targets))
        grads = t.autograd.grad(result.loss, [x, *softmax.parameters()], allow_unused=True)
        batch = x if x.ndim == 2 else x[None]
        return repr(softmax), list(result), [g for g in grads if g is not None], softmax.log_prob(batch), softmax.predict(10 * batch)  # fmt: skip

    same(ask)


@pytest.mark.parametrize("arguments", [(8, 10, []), (8, 10, [3, 2]), (8, 10, [10]), (8, 10, [0, 2]), (8, 10, [2.5])])
def test_adaptive_softmax_errors(same, arguments):
    same(lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(*arguments))


def test_adaptive_softmax_shapes(same):
    for shapes in (((5, 8), (4,)), ((8,), (1,)), ((5, 8), (5, 1)), ((5, 8), ())):
        same(lambda t, s=shapes: t.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [2])(t.ones(s[0]), t.zeros(s[1]).long()))


def test_data_parallel_and_old_names(same):
    same(lambda t: list(t.nn.DataParallel(t.nn.Linear(2, 3)).state_dict()))
    for name in ("NLLLoss2d", "Container"):
        with pytest.warns(FutureWarning, match="deprecated"):
            getattr(nn, name)()
