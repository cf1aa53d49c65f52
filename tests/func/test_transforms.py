"""`grad`, `vjp`, `jvp`, `jacrev`, `jacfwd`, `hessian`, `linearize`, forward-mode levels: arguments, structures and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.autograd.forward_ad as their_forward_ad

import rushlight
import rushlight.autograd.forward_ad as our_forward_ad
from rushlight.arrays import kinds

A, B = torch.arange(3, dtype=torch.float64).cos(), torch.arange(3, dtype=torch.float64).sin() + 2


def mapped(tree: Any, function: Any) -> Any:
    if isinstance(tree, torch.Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {key: mapped(item, function) for key, item in tree.items()}
    return type(tree)(mapped(item, function) for item in tree) if isinstance(tree, (list, tuple)) else tree


def ours(tree: Any) -> Any:
    """The same tensors, here."""
    return mapped(tree, lambda x: rushlight.from_numpy(x.numpy().copy()))


def copies(tree: Any) -> Any:
    return mapped(tree, torch.clone)


def same(got: Any, expected: Any) -> None:
    """The same structure and numbers."""
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        got, expected = list(got.values()), list(expected.values())
    if isinstance(expected, (list, tuple)):
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            same(a, b)
        return
    assert tuple(got.shape) == tuple(expected.shape)
    assert got.requires_grad == expected.requires_grad
    np.testing.assert_allclose(got.detach().numpy(), expected.detach().numpy(), 1e-12, 1e-12)


def check(function: Any, *args: Any) -> None:
    same(function(rushlight, *ours(args)), function(torch, *copies(args)))


def tree_function(m: Any) -> Any:
    def f(x: Any, y: Any) -> Any:
        return {"p": (x["a"] * y).sin(), "q": [x["b"].sum() * y.sum()]}

    return f


TREE = {"a": A, "b": B}


@pytest.mark.parametrize("argnums", [0, 1, (0,), (0, 1), (1, 0)])
@pytest.mark.parametrize("has_aux", [False, True])
def test_argnums_and_aux(argnums: Any, has_aux: bool) -> None:
    def f(m: Any) -> Any:
        def function(x: Any, y: Any) -> Any:
            value = (x * y.exp()).sum()
            return (value, {"x": x * 2}) if has_aux else value

        return function

    check(lambda m, x, y: m.func.grad(f(m), argnums, has_aux)(x, y), A, B)
    check(lambda m, x, y: m.func.grad_and_value(f(m), argnums, has_aux)(x, y), A, B)
    check(lambda m, x, y: m.func.jacrev(f(m), argnums, has_aux=has_aux)(x, y), A, B)
    check(lambda m, x, y: m.func.jacfwd(f(m), argnums, has_aux=has_aux)(x, y), A, B)
    if not has_aux:
        check(lambda m, x, y: m.func.hessian(f(m), argnums)(x, y), A, B)


def test_positions_from_the_end() -> None:
    """PyTorch's jacrev gives zeros for these."""
    f = lambda x, y: (x * y.exp()).sum()  # noqa: E731
    x, y = ours((A, B))
    for transform in (rushlight.func.grad, rushlight.func.jacrev, rushlight.func.jacfwd):
        np.testing.assert_array_equal(transform(f, -1)(x, y).numpy(), transform(f, 1)(x, y).numpy())


def test_structures() -> None:
    check(lambda m, x, y: m.func.jacrev(tree_function(m), (0, 1))(x, y), TREE, B)
    check(lambda m, x, y: m.func.jacfwd(tree_function(m), (0, 1))(x, y), TREE, B)
    check(lambda m, x, y: m.func.jvp(tree_function(m), (x, y), (x, y * 2)), TREE, B)
    check(lambda m, x, y: m.func.vjp(tree_function(m), x, y)[0], TREE, B)
    check(lambda m, x, y: m.func.vjp(tree_function(m), x, y)[1]({"p": y, "q": [y.sum()]}), TREE, B)


def test_vjp_of_one_and_of_several_results() -> None:
    check(lambda m, x, y: m.func.vjp(lambda a, b: (a * b, a + b), x, y)[1]((x, y)), A, B)
    check(lambda m, x, y: m.func.vjp(lambda a: a.sin(), x, has_aux=False)[1](y), A, B)
    check(lambda m, x: m.func.vjp(lambda a: (a.sin(), a), x, has_aux=True)[2], A)


@pytest.mark.parametrize("chunk_size", [1, 2, 5])
def test_chunks(chunk_size: int) -> None:
    check(lambda m, x: m.func.jacrev(lambda a: (a.outer(a), a.sum()), chunk_size=chunk_size)(x), A)
    in_chunks = rushlight.func.jacfwd(
        lambda a: (a.outer(a), a.sum()), chunk_size=chunk_size
    )  # PyTorch has no such option
    same(in_chunks(ours(A)), torch.func.jacfwd(lambda a: (a.outer(a), a.sum()))(A))


def test_what_does_not_depend_on_the_argument_has_zeros() -> None:
    check(lambda m, x: m.func.grad(lambda a: m.ones((), dtype=m.float64))(x), A)
    check(lambda m, x: m.func.jacrev(lambda a: (a * 2, m.ones(2, dtype=m.float64)))(x), A)
    check(lambda m, x: m.func.jacfwd(lambda a: (a * 2, m.ones(2, dtype=m.float64)))(x), A)
    check(lambda m, x: m.func.jvp(lambda a: m.ones(2, dtype=m.float64), (x,), (x,)), A)


def test_no_grad_inside_is_a_constant_and_outside_does_not_matter() -> None:
    def f(m: Any) -> Any:
        def function(x: Any) -> Any:
            with m.no_grad():
                c = x**2
            return (x - c).sum()

        return function

    check(lambda m, x: m.func.grad(f(m))(x), A)
    with rushlight.no_grad(), torch.no_grad():
        check(lambda m, x: m.func.grad(lambda a: (a**3).sum())(x), A)
        check(lambda m, x: m.func.vjp(lambda a: a**3, x)[0], A)


def test_gradients_of_results_by_what_was_closed_over() -> None:
    def run(m: Any, x: Any, w: Any) -> Any:
        w = w.requires_grad_()
        found = m.func.grad(lambda a: (w * a**3).sum())(x)
        jacobian = m.func.jacfwd(lambda a: w * a**3)(x)
        return found, m.autograd.grad(found.sum() + jacobian.sum(), w)[0]

    check(run, A, B)


def test_transforms_of_arguments_with_history() -> None:
    def run(m: Any, x: Any) -> Any:
        x = x.requires_grad_()
        found = m.func.grad(lambda a: (a**3).sum())(x * 2)
        _, tangent = m.func.jvp(lambda a: a.exp(), (x,), (x * x,))
        return m.autograd.grad(found.sum() + tangent.sum(), x)

    check(run, A)


def test_no_confusion_of_levels() -> None:
    """d/dx (x * d/dy (x + y)) = 1, where a sloppy implementation says 2."""
    for m in (rushlight, torch):
        one = m.tensor(1.0)
        assert m.func.grad(lambda x: x * m.func.grad(lambda y: x + y)(one))(one).item() == 1.0  # noqa: B023
        inner = lambda x: m.func.jvp(lambda y: x + y, (one,), (one,))[1]  # noqa: B023, E731
        assert m.func.jvp(lambda x: x * inner(x), (one,), (one,))[1].item() == 1.0  # noqa: B023


def test_linearize() -> None:
    def run(m: Any, x: Any, y: Any) -> Any:
        value, jvp_fn = m.func.linearize(lambda a, b: (a * b.sin(), a.sum()), x, y)
        return value, jvp_fn(x, y), jvp_fn(y, x)

    # PyTorch's own linearize warns of a node that it makes, so jvp is the reference.
    def by_jvp(x: Any, y: Any) -> Any:
        f = lambda a, b: (a * b.sin(), a.sum())  # noqa: E731
        value, first = torch.func.jvp(f, (x, y), (x, y))
        return value, first, torch.func.jvp(f, (x, y), (y, x))[1]

    same(run(rushlight, *ours((A, B))), by_jvp(A, B))


# ---------------------------------------------------------------- dual tensors


def both(run: Any, *args: Any) -> None:
    same(run(rushlight, our_forward_ad, *ours(args)), run(torch, their_forward_ad, *copies(args)))


def test_dual_level() -> None:
    def run(m: Any, forward_ad: Any, x: Any, t: Any) -> Any:
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, t)
            out = forward_ad.unpack_dual((dual * dual).sin().sum())
            assert forward_ad.unpack_dual(x).tangent is None
            return out.primal, out.tangent

    both(run, A, B)


def test_forward_over_reverse_and_reverse_over_forward() -> None:
    def run(m: Any, forward_ad: Any, x: Any, t: Any) -> Any:
        x, t = x.requires_grad_(), t.requires_grad_()
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, t)
            out = (dual**3).sum() * dual.exp().sum()
            (grad,) = m.autograd.grad(out, x, create_graph=True)
            over = forward_ad.unpack_dual(grad)
            tangent = forward_ad.unpack_dual(out).tangent
            under = m.autograd.grad(tangent, (x, t))
            return over.primal.detach(), over.tangent.detach(), under

    both(run, A, B)


def test_writes_carry_tangents() -> None:
    def run(m: Any, forward_ad: Any, x: Any, t: Any) -> Any:
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, t)
            buffer = m.zeros(4, dtype=m.float64)
            buffer[1:] = dual
            buffer[0] = dual[2] * 2
            whole = dual.clone()
            whole[:2].mul_(dual[1:])
            return [p for x in (buffer, whole) for p in forward_ad.unpack_dual(x)]

    both(run, A, B)


def test_a_dual_tensor_is_its_value_after_the_level() -> None:
    with our_forward_ad.dual_level():
        dual = our_forward_ad.make_dual(rushlight.ones(2), rushlight.ones(2)) * 3
    assert (dual + 1).tolist() == [4.0, 4.0]


def test_forward_ad_errors() -> None:
    x = rushlight.ones(2)
    with pytest.raises(RuntimeError, match="no level exists"):
        our_forward_ad.make_dual(x, x)
    with pytest.raises(RuntimeError, match="Trying to exit a forward AD level"):
        our_forward_ad.exit_dual_level()
    with our_forward_ad.dual_level():
        with pytest.raises(RuntimeError, match="Nested forward mode AD is not supported"):
            our_forward_ad.enter_dual_level()
        with pytest.raises(ValueError, match="Expected primal to be floating point or complex"):
            our_forward_ad.make_dual(rushlight.ones(2, dtype=rushlight.int64), x)
        with pytest.raises(RuntimeError, match="same shape"):
            our_forward_ad.make_dual(x, rushlight.ones(3))
        dual = our_forward_ad.make_dual(x, x)
        with pytest.raises(RuntimeError, match="already has a forward gradient at the same level"):
            our_forward_ad.make_dual(dual, x)
    assert not kinds.levels()


# ---------------------------------------------------------------- errors

FAILURES = {
    "grad of a vector": lambda m, x: m.func.grad(lambda a: a)(x),
    "grad of no tensor": lambda m, x: m.func.grad(lambda a: 3)(x),
    "grad without aux": lambda m, x: m.func.grad(lambda a: a.sum(), has_aux=True)(x),
    "argnums beyond": lambda m, x: m.func.grad(lambda a: a.sum(), 3)(x),
    "argnums empty": lambda m, x: m.func.grad(lambda a: a.sum(), ())(x),
    "argnums twice": lambda m, x: m.func.grad(lambda a, b: a.sum(), (0, 0))(x, x),
    "argnums of a type": lambda m, x: m.func.grad(lambda a: a.sum(), "0")(x),
    "vjp weights of another structure": lambda m, x: m.func.vjp(lambda a: (a, a), x)[1](x),
    "jvp primals no tuple": lambda m, x: m.func.jvp(lambda a: a, x, x),
    "jvp structures": lambda m, x: m.func.jvp(lambda a: a, (x,), (x, x)),
    "jvp strict": lambda m, x: m.func.jvp(lambda a: m.ones(2), (x,), (x,), strict=True),
    "jvp aux": lambda m, x: m.func.jvp(lambda a: a, (x,), (x,), has_aux=True),
    "jacrev chunk": lambda m, x: m.func.jacrev(lambda a: a, chunk_size=0)(x),
    "jacrev complex": lambda m, x: m.func.jacrev(lambda a: a)(x.to(m.complex64)),
    "jacfwd complex": lambda m, x: m.func.jacfwd(lambda a: a)(x.to(m.complex64)),
    "stack no models": lambda m, x: m.func.stack_module_state([]),
    "stack modes": lambda m, x: m.func.stack_module_state([m.nn.Linear(1, 1), m.nn.Linear(1, 1).eval()]),
    "stack classes": lambda m, x: m.func.stack_module_state([m.nn.Linear(1, 1), m.nn.ReLU()]),
}


@pytest.mark.parametrize("name", FAILURES)
def test_errors(name: str) -> None:
    texts = []
    for m in (rushlight, torch):
        with pytest.raises(Exception) as caught:
            FAILURES[name](m, m.ones(2))
        texts.append((type(caught.value).__name__, str(caught.value)))
    (kind, text), (wanted, expected) = texts
    assert kind == wanted
    assert text[:40] == expected[:40], (text, expected)
    assert not kinds.levels(), "the transform must be over"
