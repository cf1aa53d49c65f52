"""The backward pass beside PyTorch's: accumulation, retained and differentiable graphs, hooks, and its errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as pytorch

import rushlight

BOTH = pytest.mark.parametrize("torch", [pytorch, rushlight], ids=["pytorch", "rushlight"])


def leaf(torch: Any, *values: float) -> Any:
    return torch.tensor(values if len(values) != 1 else values[0], dtype=torch.float64, requires_grad=True)


def same(function: Callable[[Any], Any]) -> None:
    """Runs a function on both libraries; what it returns, flattened to numbers, has to be the same."""
    theirs, mine = (flat(function(torch)) for torch in (pytorch, rushlight))
    assert len(theirs) == len(mine)
    for t, m in zip(theirs, mine, strict=True):
        if isinstance(t, np.ndarray):
            assert t.shape == m.shape
            np.testing.assert_allclose(m, t, 1e-12, 1e-12)
        else:
            assert t == m


def flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flat(item)]
    return [value.detach().numpy() if hasattr(value, "detach") else value]


# ---------------------------------------------------------------- backward and grad


def test_gradients_accumulate() -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.0, 2.0)
        (x * x).sum().backward()
        first = x.grad.clone()
        (x**3).sum().backward()
        return first, x.grad

    same(program)


def test_accumulation_is_in_place_in_grad() -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.0, 2.0)
        (x * x).sum().backward()
        held = x.grad
        (x * x).sum().backward()
        return held is x.grad, held

    same(program)


def test_one_tensor_used_many_times() -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 0.5, 2.0)
        y = x * x
        (y * x + y.exp() + x).sum().backward()
        return x.grad

    same(program)


def test_weights_of_backward_and_several_roots() -> None:
    def program(torch: Any) -> Any:
        x, w = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, 4.0)
        torch.autograd.backward([x * w, x.sum()], [torch.tensor([1.0, 2.0], dtype=torch.float64), None])
        return x.grad, w.grad

    same(program)


def test_backward_with_inputs() -> None:
    def program(torch: Any) -> Any:
        x, w = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, 4.0)
        h = x * w
        h.retain_grad()
        (h * h).sum().backward(inputs=[x])
        return x.grad, w.grad is None

    same(program)


def test_grad_leaves_dot_grad_alone_and_gives_gradients_of_results() -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.0, 2.0)
        h = x * 3
        gx, gh = torch.autograd.grad((h * h).sum(), [x, h])
        return gx, gh, x.grad is None

    same(program)


def test_unused_inputs() -> None:
    def program(torch: Any) -> Any:
        x, w = leaf(torch, 1.0, 2.0), leaf(torch, 3.0)
        first = torch.autograd.grad(x.sum(), [x, w], allow_unused=True)
        second = torch.autograd.grad(x.sum(), [x, w], materialize_grads=True)
        return first[0], first[1] is None, second

    same(program)


def test_retain_graph() -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.0, 2.0)
        y = (x * x).sum()
        y.backward(retain_graph=True)
        y.backward()
        return x.grad

    same(program)


def test_third_derivative() -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.0, 2.0)
        y = (x**4).sum()
        results = []
        for _ in range(3):
            (y,) = torch.autograd.grad(y, x, create_graph=True)
            results.append(y)
            y = y.sum()
        return results

    same(program)


def test_backward_with_create_graph() -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.0, 2.0)
        (x**3).sum().backward(create_graph=True)
        (second,) = torch.autograd.grad(x.grad.sum(), x)
        result = x.grad.detach().clone()
        x.grad = None
        return result, second

    with pytest.warns(UserWarning, match="create_graph"):  # PyTorch's warning of a reference cycle
        same(program)


def test_gradient_of_a_gradient_penalty() -> None:
    def program(torch: Any) -> Any:
        x, w = leaf(torch, 0.3, -0.7), leaf(torch, 1.5, -0.2)
        out = (x * w).tanh().sum()
        (g,) = torch.autograd.grad(out, x, create_graph=True)
        (out + (g * g).sum()).backward()
        return x.grad, w.grad

    same(program)


def test_several_outputs_of_one_tensor() -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.0, 2.0, 3.0, 4.0)
        a, b = (x * x).split(2)
        c = torch.stack(x.unbind())
        (a * b + c[:2]).sum().backward()
        return x.grad

    same(program)


def test_detach_and_no_gradient_through_integers() -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.5, 2.5)
        y = x.detach()
        z = x * y + x.long() * x
        z.sum().backward()
        return x.grad, y.requires_grad, x.long().requires_grad, y.data_ptr() == x.data_ptr()

    same(program)


# ---------------------------------------------------------------- leaves


def test_requires_grad_and_is_leaf() -> None:
    def program(torch: Any) -> Any:
        x = torch.ones(2)
        results = [x.requires_grad, x.is_leaf, x.grad_fn is None]
        y = x * 2
        results += [y.requires_grad, y.is_leaf]
        x.requires_grad_()
        z = x * 2
        results += [x.requires_grad, x.is_leaf, z.is_leaf, z.requires_grad, z.grad_fn is not None, z.detach().is_leaf]
        x.requires_grad_(False)
        return [*results, x.requires_grad, (x * 2).requires_grad]

    same(program)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda x: x + 1, "AddBackward0"), (lambda x: x - x, "SubBackward0"), (lambda x: x * 2, "MulBackward0"),
        (lambda x: x / 2, "DivBackward0"), (lambda x: x**2, "PowBackward0"), (lambda x: -x, "NegBackward0"),
        (lambda x: x.exp(), "ExpBackward0"), (lambda x: x.relu(), "ReluBackward0"), (lambda x: x.sum(), "SumBackward0"),
        (lambda x: x.mean(), "MeanBackward0"), (lambda x: x.view(-1), "ViewBackward0"), (lambda x: x.t(), "TBackward0"),
        (lambda x: x.transpose(0, 1), "TransposeBackward0"), (lambda x: x.permute(1, 0), "PermuteBackward0"),
        (lambda x: x[0], "SelectBackward0"), (lambda x: x[:, 1:], "SliceBackward0"), (lambda x: x.clone(), "CloneBackward0"),
        (lambda x: x.unsqueeze(0), "UnsqueezeBackward0"), (lambda x: x.expand(2, 2, 2), "ExpandBackward0"),
        (lambda x: x @ x, "MmBackward0"), (lambda x: x.sigmoid(), "SigmoidBackward0"), (lambda x: x.tanh(), "TanhBackward0"),
        (lambda x: x.log(), "LogBackward0"), (lambda x: x.sqrt(), "SqrtBackward0"), (lambda x: x.abs(), "AbsBackward0"),
    ],
)  # fmt: skip
def test_names_of_grad_fn(make: Any, name: str) -> None:
    for torch in (pytorch, rushlight):
        x = torch.ones(2, 2, requires_grad=True)
        assert type(make(x).grad_fn).__name__ == name or (torch is rushlight and name in GENERAL_NAMES), torch


GENERAL_NAMES = {"TBackward0", "SelectBackward0"}  # one operation here: transpose, slice


def test_next_functions_lead_to_the_leaves() -> None:
    x = rushlight.ones(2, requires_grad=True)
    y = (x * 3).exp()
    ((mul, number),) = y.grad_fn.next_functions
    assert (mul.name(), number) == ("MulBackward0", 0)
    (accumulate, _), (nothing, _) = mul.next_functions
    assert accumulate.variable is x
    assert nothing is None


# ---------------------------------------------------------------- hooks


def test_hooks_see_and_replace_gradients() -> None:
    def program(torch: Any) -> Any:
        seen = []
        x = leaf(torch, 1.0, 2.0)
        h = x * 2
        h.register_hook(lambda g: seen.append(g.clone()))
        h.register_hook(lambda g: g * 10)
        handle = x.register_hook(lambda g: g + 1)
        (h * h).sum().backward()
        first = x.grad.clone()
        handle.remove()
        x.grad = None
        (x * x).sum().backward()
        return seen, first, x.grad

    same(program)


def test_hook_of_a_leaf_sees_the_whole_gradient_once() -> None:
    def program(torch: Any) -> Any:
        seen = []
        x = leaf(torch, 1.0, 2.0)
        x.register_hook(lambda g: seen.append(g.clone()))
        (x * x + x.exp()).sum().backward()
        return seen

    same(program)


def test_retain_grad() -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.0, 2.0)
        h = x * 2
        h.retain_grad()
        (h * h).sum().backward()
        return h.grad, h.retains_grad, x.retains_grad

    same(program)


def test_post_accumulate_grad_hook() -> None:
    def program(torch: Any) -> Any:
        seen = []
        x = leaf(torch, 1.0, 2.0)
        x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.clone()))
        (x * x).sum().backward()
        (x * x).sum().backward()
        return seen

    same(program)


def test_hooks_of_nodes() -> None:
    seen = []
    x = rushlight.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    y.grad_fn.register_hook(lambda grads, outputs: seen.append((grads[0].tolist(), outputs[0].tolist())))
    y.sum().backward()
    assert seen == [([3.0, 3.0], [1.0, 1.0])]


# ---------------------------------------------------------------- errors


def message(function: Callable[[Any], Any], torch: Any) -> tuple[type, str]:
    with pytest.raises((RuntimeError, ValueError, TypeError, IndexError)) as caught:
        function(torch)
    return next(t for t in type(caught.value).__mro__ if t.__module__ == "builtins"), str(caught.value)


def twice(torch: Any) -> None:
    x = leaf(torch, 1.0, 2.0)
    y = (x * x).sum()
    y.backward()
    y.backward()


def in_place_on_a_leaf(torch: Any) -> None:
    leaf(torch, 1.0, 2.0).add_(1)


def in_place_on_a_view_of_a_leaf(torch: Any) -> None:
    leaf(torch, 1.0, 2.0)[0].add_(1)


def not_a_scalar(torch: Any) -> None:
    (leaf(torch, 1.0, 2.0) * 2).backward()


def no_grad_required(torch: Any) -> None:
    torch.ones(2).sum().backward()


def input_requires_no_grad(torch: Any) -> None:
    x = leaf(torch, 1.0, 2.0)
    torch.autograd.grad(x.sum(), torch.ones(2))


def input_not_used(torch: Any) -> None:
    torch.autograd.grad(leaf(torch, 1.0, 2.0).sum(), leaf(torch, 3.0))


def wrong_shape_of_weight(torch: Any) -> None:
    (leaf(torch, 1.0, 2.0) * 2).backward(torch.ones(3, dtype=torch.float64))


def modified(torch: Any) -> None:
    x = leaf(torch, 1.0, 2.0)
    y = x.exp()
    y.add_(1)
    y.sum().backward()


def integers_require(torch: Any) -> None:
    torch.ones(2, dtype=torch.int64).requires_grad_()


def result_does_not_change(torch: Any) -> None:
    (leaf(torch, 1.0) * 2).requires_grad = False


def numpy_of_tracked(torch: Any) -> None:
    leaf(torch, 1.0, 2.0).numpy()


def grad_of_another_shape(torch: Any) -> None:
    leaf(torch, 1.0, 2.0).grad = torch.ones(3, dtype=torch.float64)


def hook_without_grad(torch: Any) -> None:
    torch.ones(2).register_hook(print)


def detach_view_in_place(torch: Any) -> None:
    (leaf(torch, 1.0, 2.0) * 2)[:1].detach_()


def deepcopy_of_result(torch: Any) -> None:
    import copy

    copy.deepcopy(leaf(torch, 1.0, 2.0) * 2)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (twice, "Trying to backward through the graph a second time"),
        (in_place_on_a_leaf, "a leaf Variable that requires grad is being used in an in-place operation"),
        (in_place_on_a_view_of_a_leaf, "a view of a leaf Variable that requires grad is being used in an in-place operation"),
        (not_a_scalar, "grad can be implicitly created only for scalar outputs"),
        (no_grad_required, "element 0 of tensors does not require grad and does not have a grad_fn"),
        (input_requires_no_grad, "One of the differentiated Tensors does not require grad"),
        (input_not_used, "The differentiated Tensor at index 0 appears to not have been used in the graph"),
        (wrong_shape_of_weight, "Mismatch in shape: grad_output[0] has a shape of torch.Size([3]) and output[0] has a shape of torch.Size([2])"),
        (modified, "one of the variables needed for gradient computation has been modified by an inplace operation"),
        (integers_require, "only Tensors of floating point"),
        (result_does_not_change, "you can only change requires_grad flags of leaf variables"),
        (numpy_of_tracked, "Can't call numpy() on Tensor that requires grad"),
        (grad_of_another_shape, "attempting to assign a gradient of size '[3]' to a tensor of size '[2]'"),
        (hook_without_grad, "cannot register a hook on a tensor that doesn't require gradient"),
        (detach_view_in_place, "Can't detach views in-place"),
        (deepcopy_of_result, "Only Tensors created explicitly by the user"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_errors(function: Any, words: str) -> None:
    for torch in (pytorch, rushlight):
        kind, text = message(function, torch)
        assert kind is RuntimeError
        assert words in re.sub(r"\s+", " ", text), torch


def test_the_error_of_a_modified_value_names_the_line_that_wrote() -> None:
    x = rushlight.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    y.mul_(2)  # the line to blame
    with pytest.raises(
        RuntimeError, match=r"ExpBackward0 saved.*version 1; expected version 0.*mul_ at .*test_backward\.py:\d+"
    ):
        y.sum().backward()


def test_a_write_through_a_view_is_noticed() -> None:
    for torch in (pytorch, rushlight):
        x = leaf(torch, 1.0, 2.0)
        y = x.exp()
        y.detach()[0] = 5
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_dot_data_writes_unnoticed() -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.0, 2.0)
        y = x * x
        x.data.add_(1)
        y.sum().backward()
        return x.grad, x

    same(program)


def test_versions() -> None:
    def program(torch: Any) -> Any:
        x = torch.zeros(3)
        view = x[1:]
        counts = [x._version]
        x.add_(1)
        view.mul_(2)
        x[0] = 5
        counts += [x._version, view._version, x.detach()._version]
        return counts

    same(program)
