"""Parameters, and the functions over all of them, against PyTorch."""

import copy
import pickle

import numpy as np
import pytest

import rushlight
from rushlight import nn

torch = pytest.importorskip("torch")


def test_a_parameter_shares_memory():
    x = rushlight.zeros(2)
    parameter = nn.Parameter(x)
    x[0] = 5.0
    assert parameter.tolist() == [5, 0]
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert isinstance(parameter, rushlight.Tensor)
    assert nn.Parameter().shape == (0,)
    assert not nn.Parameter(x, False).requires_grad
    assert type(parameter * 2) is rushlight.Tensor


def test_integers_cannot_be_trained():
    with pytest.raises(RuntimeError, match="Only Tensors of floating point and complex dtype can require gradients"):
        nn.Parameter(rushlight.tensor([1]))
    assert nn.Parameter(rushlight.tensor([1]), requires_grad=False).tolist() == [1]
    with pytest.raises(TypeError, match="must be Tensor, not list"):
        nn.Parameter([1.0])


def test_copies():
    parameter = nn.Parameter(rushlight.ones(2), requires_grad=False)
    parameter.grad = rushlight.ones(2)
    for copied in (copy.deepcopy(parameter), pickle.loads(pickle.dumps(parameter))):
        assert type(copied) is nn.Parameter
        assert not copied.requires_grad
        assert copied.grad is None
        assert copied.tolist() == [1, 1]
        assert copied is not parameter


def with_gradients(t, n):
    t.manual_seed(0)
    model = n.Sequential(n.Linear(3, 4), n.Linear(4, 2), n.Linear(2, 2))
    for parameter in list(model.parameters())[:4]:
        values = np.random.default_rng(parameter.numel()).standard_normal(tuple(parameter.shape))
        parameter.grad = t.from_numpy(values.astype(np.float32))
    return model


def clipped(ask):
    answers = []
    for t, n in ((rushlight, nn), (torch, torch.nn)):
        model = with_gradients(t, n)
        result = ask(t, n, model)
        grads = [p.grad.numpy() for p in model.parameters() if p.grad is not None]
        answers.append([np.float64(result.item() if result is not None else 0), *grads])
    for a, b in zip(*answers, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("norm_type", [2.0, 1, 3.0, float("inf")])
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clip_grad_norm(limit, norm_type):
    clipped(lambda t, n, m: n.utils.clip_grad_norm_(m.parameters(), limit, norm_type))


def test_clip_one_and_none():
    clipped(lambda t, n, m: n.utils.clip_grad_norm_(m[0].weight, 0.1))
    clipped(lambda t, n, m: n.utils.clip_grad_norm_([], 0.1))
    clipped(lambda t, n, m: n.utils.clip_grad_value_(m.parameters(), 0.3))


def test_norms_that_are_not_finite():
    x = nn.Parameter(rushlight.zeros(2))
    x.grad = rushlight.tensor([float("nan"), 1.0])
    with pytest.raises(
        RuntimeError, match=r"The total norm of order 2.0 for gradients from `parameters` is non-finite"
    ):
        nn.utils.clip_grad_norm_([x], 1.0, error_if_nonfinite=True)


def test_parameters_as_a_vector():
    def story(t, n):
        model = with_gradients(t, n)
        vector = n.utils.parameters_to_vector(model.parameters())
        n.utils.vector_to_parameters(vector.detach() * 2, model.parameters())
        with pytest.raises(TypeError, match=r"expected torch.Tensor, but got: list"):
            n.utils.vector_to_parameters([1], model.parameters())
        return vector.tolist(), [p.tolist() for p in model.parameters()], vector.requires_grad

    assert story(rushlight, nn) == story(torch, torch.nn)
