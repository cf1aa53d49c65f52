"""`why`: for each way in which a gradient can be missing, zero or not finite, the reason and the place."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable

import pytest
from graph_models import Troubled

import rushlight as torch
from rushlight.autograd import graph
from rushlight.tensor import Tensor


def leaf(*values: float) -> Tensor:
    return torch.tensor(values, requires_grad=True)


# ---------------------------------------------------------------- no gradient: what only the graph shows


def test_detached_is_seen_by_its_memory() -> None:
    graph.record().__enter__().__exit__()  # forgets earlier notes, and has seen nothing
    w, v = leaf(1.0, 2.0), leaf(3.0, 4.0)
    answer = graph.why(w, (w.detach() * v).sum())
    assert (answer.state, answer.reason) == ("none", "detached")
    assert "#1 mul has its values as the constant 'x', (2,)" in answer.text


def test_not_used_and_requires_no_grad() -> None:
    w, v = leaf(1.0), leaf(2.0)
    assert graph.why(w, v * 2).reason == "not used"
    answer = graph.why(torch.ones(2), (v * 2).sum())
    assert answer.reason == "requires_grad" and "requires_grad_()" in answer.text
    assert graph.why(torch.arange(2), (v * 2).sum()).reason == "dtype"


def test_written_in_place_since() -> None:
    w = leaf(1.0, 2.0)
    h = w * 2
    loss = (h * h.detach().clone()).sum()
    h.mul_(2)
    answer = graph.why(h, loss)
    assert answer.reason == "in place" and "MulBackward0, on which the loss does not depend" in answer.text


def test_another_leaf_with_the_same_values() -> None:
    w = leaf(1.0, 2.0)
    again = copy.deepcopy(w)
    answer = graph.why(w, (again * 2).sum())
    assert answer.reason == "other leaf" and "another leaf with the same values, again" in answer.text
    assert (
        graph.why(torch.ones(2, requires_grad=True), (torch.ones(2, requires_grad=True) * 2).sum()).reason == "not used"
    )
    alias = torch.nn.Parameter(w)
    assert "another leaf of the same memory, alias" in graph.why(w, (alias * 2).sum()).text


def test_not_a_leaf_and_not_run() -> None:
    w = leaf(1.0, 2.0)
    h = w * 2
    loss = h.sum()
    assert graph.why(h, loss).reason == "not a leaf" and graph.why(w, loss).reason == "not run"
    h.retain_grad()
    assert graph.why(h, loss).reason == "not run"
    loss.backward()
    assert graph.why(w, h.detach().requires_grad_().sum()).state == "none"


def test_after_backward() -> None:
    w = leaf(1.0, 2.0)
    h = w * w
    loss = h.sum()
    loss.backward()
    answer = graph.why(w, loss)
    assert (answer.state, answer.reason) == ("ok", "freed") and "retain_graph=True" in answer.text
    assert graph.why(h, loss).reason == "not a leaf"
    w.grad = None
    assert (graph.why(w, loss).state, graph.why(w, loss).reason) == ("none", "freed")


def test_sound() -> None:
    w = leaf(3.0, 4.0)
    picture = graph.trace((w * w).sum() / 2)
    picture.backward()
    answer = picture.why(w)
    assert (answer.state, str(answer)) == ("ok", "The gradient of w is sound: norm 5, in [3, 4].")


def test_without_data() -> None:
    w = torch.ones(3, 4, device="meta", requires_grad=True)
    loss = (w.exp() @ w.mT).sum()
    answer = graph.why(w, loss)
    assert (answer.state, answer.reason) == ("ok", "no data")
    assert [str(node.outputs[0]) for node in graph.trace(loss).nodes][2:] == [
        "float32 (4, 3)",
        "float32 (3, 3)",
        "float32 ()",
    ]


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="loss must be a Tensor, not float"):
        graph.why(leaf(1.0), 3.0)
    with pytest.raises(TypeError, match="tensor must be a Tensor, not str"):
        graph.why("w", leaf(1.0))


# ---------------------------------------------------------------- no gradient: what `record` sees


def cut_by_detach(w: Tensor, v: Tensor) -> Tensor:
    doubled = w * 2
    constant = doubled.detach()  # HERE
    return (constant.exp() * v).sum()


def cut_by_no_grad(w: Tensor, v: Tensor) -> Tensor:
    with torch.no_grad():
        doubled = w * 2  # HERE
    return (doubled * v).sum()


def cut_by_argmax(w: Tensor, v: Tensor) -> Tensor:
    return v[w.argmax()] * 2  # HERE


def cut_by_comparison(w: Tensor, v: Tensor) -> Tensor:
    return torch.where(w.exp() > 2, v, 0.0).sum()  # HERE


def cut_by_item(w: Tensor, v: Tensor) -> Tensor:
    scale = w.sum().item()  # HERE
    return (v * scale).sum()


def cut_by_numpy(w: Tensor, v: Tensor) -> Tensor:
    array = (w * 2).detach().numpy()  # HERE
    return (torch.from_numpy(array) * v).sum()


def cut_by_data(w: Tensor, v: Tensor) -> Tensor:
    return (w.data * v).sum()  # HERE


def cut_by_detach_in_place(w: Tensor, v: Tensor) -> Tensor:
    doubled = w * 2
    doubled.detach_()  # HERE
    return (doubled * v).sum()


CUTS: list[tuple[Callable[[Tensor, Tensor], Tensor], str]] = [
    (cut_by_detach, "detached"), (cut_by_no_grad, "no_grad"), (cut_by_argmax, "not differentiable"),
    (cut_by_comparison, "not differentiable"), (cut_by_item, "to Python"), (cut_by_numpy, "detached"),
    (cut_by_data, "detached"), (cut_by_detach_in_place, "detached"),
]  # fmt: skip


@pytest.mark.parametrize("cut, reason", CUTS, ids=[cut.__name__ for cut, _ in CUTS])
def test_the_line_that_cuts(cut: Callable[[Tensor, Tensor], Tensor], reason: str) -> None:
    w, v = leaf(1.0, 2.0), leaf(3.0, 4.0)
    with graph.record():
        loss = cut(w, v)
    answer = graph.why(w, loss)
    assert (answer.state, answer.reason) == ("none", reason)
    assert answer.lines[0].text.endswith("# HERE") and answer.lines[0].function == cut.__name__
    assert f"at {answer.lines[0].file}:{answer.lines[0].line} in {cut.__name__}" in str(answer)
    assert graph.why(v, loss).reason == "not run"


def test_a_loss_without_history() -> None:
    w = leaf(1.0)
    with graph.record(), torch.no_grad():
        loss = (w * 2).sum()  # first
    answer = graph.why(w, loss)
    assert answer.reason == "no_grad" and answer.lines[0].text.endswith("# first")
    assert graph.why(w, w.argmax()).reason == "dtype"  # the notes are of another computation


# ---------------------------------------------------------------- zero


def zero_relu(w: Tensor) -> Tensor:
    return torch.relu(w - 5).sum()


def zero_floor(w: Tensor) -> Tensor:
    return torch.floor(w * 2).sum()


def zero_sign(w: Tensor) -> Tensor:
    return torch.sign(w).sum()


def zero_factor(w: Tensor) -> Tensor:
    return (w * torch.zeros(2)).exp().sum()


def zero_number(w: Tensor) -> Tensor:
    return (w * 0).sum()


def zero_sigmoid(w: Tensor) -> Tensor:
    return torch.sigmoid(w * 1000).sum()


def zero_clamp(w: Tensor) -> Tensor:
    return w.clamp(5, 6).sum()


def zero_where(w: Tensor) -> Tensor:
    return torch.where(torch.tensor([False, False]), w, 1.0).sum()


def zero_square(w: Tensor) -> Tensor:
    return (w - w.detach()).square().sum()


def zero_softmax(w: Tensor) -> Tensor:
    return (w * 0.0 + w).softmax(0).sum()


def zero_sum(w: Tensor) -> Tensor:
    return (w - w).sum()


ZEROS = [
    (zero_relu, "dead relu", "relu"), (zero_floor, "flat", "floor"), (zero_sign, "flat", "sign"),
    (zero_factor, "times zero", "mul"), (zero_number, "times zero", "mul"), (zero_sigmoid, "saturated", "sigmoid"),
    (zero_clamp, "out of bounds", "clamp_numbers"), (zero_where, "not chosen", "where"), (zero_square, "at zero", "square"),
    (zero_softmax, "constant", "softmax"), (zero_sum, "sum", "leaf"),
]  # fmt: skip


@pytest.mark.parametrize("compute, reason, operation", ZEROS, ids=[compute.__name__ for compute, *_ in ZEROS])
def test_where_it_becomes_zero(compute: Callable[[Tensor], Tensor], reason: str, operation: str) -> None:
    w = leaf(1.0, 2.0)
    picture = graph.trace(compute(w))
    answer = picture.why(w)
    assert (answer.state, answer.reason) == ("zero", reason), answer.text
    assert picture.nodes[answer.node].op == operation
    assert answer.path[0] == picture.roots[0] and answer.path[-1] == answer.node
    assert w.grad is None


def test_zero_on_several_paths_names_them_all() -> None:
    w = leaf(1.0, 2.0)
    answer = graph.why(w, torch.relu(w - 5).sum() + torch.floor(w).sum())
    assert "floor" in answer.text and "relu" in answer.text and "other paths" in answer.text


# ---------------------------------------------------------------- NaN and infinite


def test_sqrt_of_zero_behind_where() -> None:
    w = leaf(0.0, 4.0)
    picture = graph.trace(torch.where(w > 0, w.sqrt(), 0.0).sum())
    answer = picture.why(w)
    assert (answer.state, answer.reason) == ("nan", "infinite")
    assert picture.nodes[answer.node].op == "sqrt"
    assert "1 of 2 elements of 'out', which it saved, are 0" in answer.text and "grad / (2 * out)" in answer.text


def test_the_forward_pass_is_to_blame() -> None:
    w = leaf(0.0, 4.0)
    for recorded in (False, True):  # without notes the operation is run again on what it saved
        if recorded:
            with graph.record():
                loss = (w.log() * w).sum()  # -inf times 0
        else:
            loss = (w.log() * w).sum()
        picture = graph.trace(loss)
        answer = picture.why(w)
        assert answer.reason == "forward" and picture.nodes[answer.node].op == "mul"
        assert bool(answer.lines) == recorded
    answer = graph.why(w, w.log().sum())
    assert (
        answer.state == "inf"
        and "the result of #1 log is the first that is not finite, from 'x' in [0, 4]" in answer.text
    )


@pytest.mark.parametrize("recorded", [False, True])
def test_infinities_that_come_to_nothing_are_no_fault(recorded: bool) -> None:
    """The -inf of a mask becomes a 0 in the softmax: what overflows is behind it."""
    w = leaf(1.0, 2.0)
    with graph.record() if recorded else contextlib.nullcontext():
        shares = torch.where(torch.tensor([True, False]), w, -float("inf")).softmax(0)
        loss = (shares * w * 1e30).exp().log().sum()
    picture = graph.trace(loss)
    answer = picture.why(w)
    assert answer.reason == "forward" and picture.nodes[answer.node].op == "exp"


def test_zeros_that_are_not_where_it_is_infinite() -> None:
    """A saved value may have zeros, and the gradient overflow elsewhere."""
    w = leaf(1e-30, 1e-30)
    factor = torch.tensor([0.0, 1e20])
    answer = graph.why(w, (w * factor * factor * 1e-10 * 1e10).sum())
    assert (answer.state, answer.reason) == ("inf", "overflow"), answer.text


def test_overflow() -> None:
    w = leaf(1e-30)
    picture = graph.trace(w * 1e20 * 1e20)  # 1e10, and its derivative is 1e40
    answer = picture.why(w)
    assert (answer.state, answer.reason) == ("inf", "overflow")
    assert picture.nodes[answer.node].op == "mul" and "arrives is finite (norm 1e+20" in answer.text


def test_a_bad_weight_of_backward() -> None:
    w = leaf(1.0, 2.0)
    picture = graph.trace(w * 2)
    picture.probe([torch.tensor([float("nan"), 1.0])])
    answer = picture.why(w)
    assert answer.reason == "root" and "gradient given to backward() is" in answer.text


def test_hooks_take_part() -> None:
    w = leaf(1.0, 2.0)
    h = w * 2
    h.register_hook(lambda grad: grad * 0)
    answer = graph.why(w, h.sum())
    assert answer.state == "zero"


def test_a_troubled_model() -> None:
    model = Troubled()
    with graph.record():
        loss = model(torch.ones(2, 3))
    picture = graph.trace(loss, model)
    answers = {name: picture.why(parameter) for name, parameter in model.named_parameters()}
    assert {name: (answer.state, answer.reason) for name, answer in answers.items()} == {
        "dead.weight": ("zero", "dead relu"), "dead.bias": ("zero", "dead relu"), "cut.weight": ("none", "detached"),
        "cut.bias": ("none", "detached"), "root.weight": ("nan", "infinite"),
    }  # fmt: skip
    assert answers["cut.weight"].lines[0].text == "cut = self.cut(x).detach()"
    assert answers["root.weight"].lines[0].text == "root = torch.where(y > 0, y.sqrt(), 0.0)"
