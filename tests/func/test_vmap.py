"""`vmap`: its arguments and errors against PyTorch's, and what happens inside: writes, random numbers, single examples."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch

import rushlight
from rushlight.arrays import kinds

X = torch.arange(12, dtype=torch.float64).reshape(3, 4).sin()


def ours(tree: Any) -> Any:
    """The same tensors, here."""
    if isinstance(tree, torch.Tensor):
        return rushlight.from_numpy(tree.detach().numpy().copy())
    if isinstance(tree, dict):
        return {key: ours(item) for key, item in tree.items()}
    return type(tree)(ours(item) for item in tree) if isinstance(tree, (list, tuple)) else tree


def flat(tree: Any) -> list[np.ndarray]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return [leaf for item in tree for leaf in flat(item)]
    return [tree.detach().numpy()]


def check(function: Any, *args: Any, tolerance: float = 1e-12) -> None:
    """`function(module, *args)` gives the same in both libraries."""
    got, expected = flat(function(rushlight, *ours(args))), flat(function(torch, *args))
    assert [a.shape for a in got] == [b.shape for b in expected]
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, tolerance, tolerance)


# ---------------------------------------------------------------- dimensions and structures


@pytest.mark.parametrize("in_dims", [0, 1, -1, (0, None), (None, 1), (1, 0)])
@pytest.mark.parametrize("out_dims", [0, 1, -1])
def test_dimensions(in_dims: Any, out_dims: int) -> None:
    square = torch.arange(16, dtype=torch.float64).reshape(4, 4).cos()
    check(lambda m, x, y: m.vmap(lambda a, b: a @ b + 0 * a, in_dims, out_dims)(x, y), square, square.T.contiguous())


def test_structures() -> None:
    def run(m: Any, tree: Any, y: Any) -> Any:
        def f(tree: Any, y: Any, scale: float) -> Any:
            return {"sum": tree["a"] + tree["b"][0], "rest": [tree["b"][1] * y, scale * y]}

        return m.vmap(f, ({"a": 0, "b": (1, None)}, 0, None), {"sum": 1, "rest": [0, -1]})(tree, y, 2.0)

    check(run, {"a": X, "b": (X.T.contiguous(), X[0])}, X)


def test_out_dims_none_and_constants() -> None:
    check(lambda m, x: m.vmap(lambda a: (a.sum(), m.ones(2, dtype=m.float64)))(x), X)
    check(lambda m, x: m.vmap(lambda a: (a, m.ones(2, dtype=m.float64)), out_dims=(0, None))(x), X)


def test_keyword_arguments_are_batched_along_0_never() -> None:
    check(lambda m, x, y: m.vmap(lambda a, *, b: a + b)(x, b=y), X, X[0])


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 7])
def test_chunks(chunk_size: int) -> None:
    check(lambda m, x: m.vmap(lambda a: (a.sum(), a * 2), out_dims=(0, 1), chunk_size=chunk_size)(x), X)


def test_nested() -> None:
    check(lambda m, x, y: m.vmap(m.vmap(lambda a, b: a * b + a, (0, None)), (None, 0))(x, y), X[0], X[1])
    check(lambda m, x: m.vmap(m.vmap(m.vmap(lambda a: a.exp())), in_dims=2, out_dims=1)(x), X.reshape(3, 2, 2))


# ---------------------------------------------------------------- errors


def failure(m: Any, call: Any) -> tuple[str, str]:
    with pytest.raises(Exception) as caught:
        call(m)
    return type(caught.value).__name__, str(caught.value)


FAILURES = {
    "no inputs": lambda m: m.vmap(lambda: 1)(),
    "no tensor": lambda m: m.vmap(lambda a: a, (0,))(3),
    "nothing batched": lambda m: m.vmap(lambda a: a, None)(m.ones(2)),
    "in_dims of a type": lambda m: m.vmap(lambda a: a, "0")(m.ones(2)),
    "in_dims nested too deep": lambda m: m.vmap(lambda a: a, ((0,),))(m.ones(2)),
    "in_dims entry": lambda m: m.vmap(lambda a: a, ("x",))(m.ones(2)),
    "in_dim out of range": lambda m: m.vmap(lambda a: a, 2)(m.ones(2)),
    "sizes differ": lambda m: m.vmap(lambda a, b: a)(m.ones(2), m.ones(3)),
    "all mapped dimensions None": lambda m: m.vmap(lambda a, b: a, (None, None))(m.ones(2), m.ones(3)),
    "out_dims do not fit": lambda m: m.vmap(lambda a: (a, a), out_dims=(0, 0, 0))(m.ones(2)),
    "out_dims of a type": lambda m: m.vmap(lambda a: a, out_dims="a")(m.ones(2)),
    "no tensor returned": lambda m: m.vmap(lambda a: 3)(m.ones(2)),
    "batched where None was said": lambda m: m.vmap(lambda a: a, out_dims=None)(m.ones(2)),
    "randomness": lambda m: m.vmap(lambda a: a, randomness="some")(m.ones(2)),
    "random numbers": lambda m: m.vmap(lambda a: a + m.randn(1))(m.ones(2)),
    "chunk_size": lambda m: m.vmap(lambda a: a, chunk_size=0)(m.ones(2)),
    "item": lambda m: m.vmap(lambda a: a * a.item())(m.ones(2)),
}


@pytest.mark.parametrize("name", FAILURES)
def test_errors(name: str) -> None:
    (kind, text), (wanted, expected) = failure(rushlight, FAILURES[name]), failure(torch, FAILURES[name])
    assert kind == wanted
    assert text.replace("rushlight.tensor.", "torch.")[:60] == expected[:60]
    assert not kinds.levels(), "the transform must be over"


def test_python_may_not_branch_on_a_value() -> None:
    with pytest.raises(RuntimeError, match="data-dependent control flow"):
        rushlight.vmap(lambda a: a if a > 0 else -a)(rushlight.ones(2))


def test_a_write_into_what_is_one_for_all() -> None:
    with pytest.raises(RuntimeError, match="vmap: inplace arithmetic"):
        rushlight.vmap(lambda a, b: b.add_(a), (0, None))(rushlight.ones(2), rushlight.zeros(3))


def test_a_tensor_that_outlived_its_vmap() -> None:
    kept = []
    rushlight.vmap(lambda a: kept.append(a) or a)(rushlight.ones(2))
    with pytest.raises(RuntimeError, match="after vmap had returned"):
        kept[0] + 1


def test_name_of_partial_functions_in_errors() -> None:
    with pytest.raises(ValueError, match=r"functools.partial\(add, ...\)"):
        rushlight.vmap(functools.partial(rushlight.add, alpha=2), in_dims=5)(rushlight.ones(2), rushlight.ones(2))


# ---------------------------------------------------------------- inside


def test_writes() -> None:
    def writing(m: Any) -> Any:
        def f(a: Any) -> Any:
            out = m.zeros_like(a)
            out[0] = a[1]
            out[1:].add_(a[:3])
            fresh = a.new_zeros(2)
            fresh.copy_(a[:2])
            return out.mul_(2), fresh

        return f

    check(lambda m, x: m.vmap(writing(m))(x), X)


def test_arguments_are_written_to_as_in_pytorch() -> None:
    mine, theirs = ours(X), X.clone()
    rushlight.vmap(lambda a: a.mul_(2))(mine)
    torch.vmap(lambda a: a.mul_(2))(theirs)
    np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


@pytest.mark.parametrize("randomness", ["same", "different"])
def test_random_numbers(randomness: str) -> None:
    def run(m: Any, x: Any) -> Any:
        m.manual_seed(5)
        return m.vmap(lambda a: a + m.rand(4, dtype=m.float64), randomness=randomness)(x)

    check(run, X)


def test_different_random_numbers_in_two_levels() -> None:
    inner = rushlight.vmap(lambda a: rushlight.rand(()), randomness="different")
    values = rushlight.vmap(inner, randomness="different")(rushlight.zeros(3, 4))
    assert values.shape == (3, 4)
    assert len(set(values.flatten().tolist())) == 12
    inner = rushlight.vmap(lambda a: rushlight.rand(()), randomness="same")
    values = rushlight.vmap(inner, randomness="different")(rushlight.zeros(3, 4))
    assert all(len(set(row)) == 1 for row in values.tolist())
    assert len(set(values[:, 0].tolist())) == 3


def test_an_operation_without_a_rule_runs_example_by_example() -> None:
    """`unfold` of windows has none; its gradients pass through all the same."""
    images = torch.arange(32, dtype=torch.float64).reshape(2, 1, 1, 4, 4).sin()

    def run(m: Any, x: Any) -> Any:
        x = x.requires_grad_()
        out = m.vmap(lambda a: m.nn.functional.unfold(a, 2))(x)
        return out, m.autograd.grad((out * out).sum(), x)[0]

    check(run, images)


def test_results_of_different_shapes_are_refused() -> None:
    with pytest.raises(RuntimeError, match="vmap"):
        rushlight.vmap(lambda a: a[a > 0])(rushlight.tensor([[1.0, -1.0], [1.0, 1.0]]))


def test_gradients_go_to_what_was_there_before() -> None:
    def run(m: Any, x: Any, w: Any) -> Any:
        w = w.requires_grad_()
        m.vmap(lambda a: (w @ a).tanh().sum())(x).sum().backward()
        return w.grad

    check(run, X, X[:2])


def test_no_grad_outside_holds_inside() -> None:
    w = rushlight.ones(4, requires_grad=True)
    with rushlight.no_grad():
        out = rushlight.vmap(rushlight.func.grad(lambda a: (w * a).sum()))(ours(X).float())
    assert not out.requires_grad


def test_compiled() -> None:
    """A vmapped gradient inside a recorded program."""
    x = ours(X).float()

    def per_example(x: Any) -> Any:
        return rushlight.vmap(rushlight.func.grad(lambda a: (a.sin() * a).sum()))(x)

    compiled = rushlight.compile(per_example, fullgraph=True)
    for _ in range(3):
        got = compiled(x)
    np.testing.assert_allclose(got.numpy(), per_example(x).numpy(), 1e-6)
