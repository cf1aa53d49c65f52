"""A module called with other tensors than its own, beside PyTorch."""

import numpy as np
import pytest

import rushlight
from rushlight.nn.utils import stateless

torch = pytest.importorskip("torch")


def counting(t):
    """A module with a tensor under two names, one that it assigns itself, and a child."""

    class Counting(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = t.nn.Parameter(t.ones(2))
            self.tied = self.weight
            self.register_buffer("count", t.zeros(()))
            self.child = t.nn.Linear(2, 2, bias=False)

        def forward(self, x, scale=1.0):
            self.count = self.count + 1
            return self.child(x * self.weight + self.tied) * scale

    return Counting()


def call(t, module, *args, **kwargs):
    function = stateless.call_with_tensors if t is rushlight else t.func.functional_call
    return function(module, *args, **kwargs)


def both(ask):
    answers = []
    for t in (rushlight, torch):
        t.manual_seed(0)
        try:
            answers.append(ask(t))
        except Exception as error:  # noqa: BLE001  (the type and the text are what is compared)
            answers.append((type(error).__name__, str(error).strip("\"'")))
    assert answers[0] == answers[1]
    return answers[1]


def numbers(tensor):
    return np.round(tensor.detach().numpy().astype(float), 5).tolist()


@pytest.mark.parametrize("tie_weights", [True, False])
def test_the_values_are_used_and_the_module_is_as_before(tie_weights):
    def ask(t):
        module = counting(t)
        own = dict(module.named_parameters())
        given = {"weight": t.tensor([2.0, 3.0], requires_grad=True), "count": t.tensor(7.0)}
        out = call(t, module, given, (t.ones(2),), {"scale": 2.0}, tie_weights=tie_weights)
        out.sum().backward()
        assert dict(module.named_parameters()) == own
        assert module.tied is module.weight
        assert module.weight.grad is None or not tie_weights
        return numbers(out), numbers(given["weight"].grad), given["count"].item(), module.count.item()

    assert both(ask)[2:] == (8, 0)


def test_several_dicts_and_a_path():
    def ask(t):
        given = ({"child.weight": t.eye(2)}, {"weight": t.zeros(2)})
        return numbers(call(t, counting(t), given, t.tensor([1.0, 2.0])))

    both(ask)


@pytest.mark.parametrize(
    "given",
    [
        lambda t: {"weight": t.zeros(2), "tied": t.ones(2)},
        lambda t: ({"weight": t.zeros(2)}, {"weight": t.zeros(2)}),
        lambda t: ({"weight": t.zeros(2)}, 3),
        lambda t: 3,
        lambda t: {"weight": 3},
        lambda t: {"": t.zeros(2)},
    ],
)
def test_faults(given):
    def ask(t):
        module = counting(t)
        state = {name: id(value) for name, value in module.named_parameters()}
        try:
            return numbers(call(t, module, given(t), t.ones(2)))
        finally:
            assert {name: id(value) for name, value in module.named_parameters()} == state

    assert isinstance(both(ask)[0], str)


def test_strict_names_every_fault():
    def ask(t):
        return call(
            t, counting(t), {"weight": t.zeros(2), "wrong": t.zeros(2), "away": t.ones(1)}, t.ones(2), strict=True
        )

    kind, text = both(ask)
    assert kind == "RuntimeError"
    assert "Unexpected key(s): 'away', 'wrong'." in text


def test_a_name_that_the_module_lacks_is_there_for_the_call():
    def ask(t):
        module = counting(t)
        call(t, module, {"extra": t.ones(1)}, t.ones(2))
        return hasattr(module, "extra")

    assert both(ask) is False


def test_the_old_name_warns():
    with pytest.warns(FutureWarning, match=r"torch.func.functional_call"):
        result = stateless.functional_call(rushlight.nn.Identity(), {}, (rushlight.ones(1),))
    assert result.item() == 1
