"""`autograd.Function` inside transforms, against PyTorch's.

The derivative is wrong on purpose, by a factor of 3: what autograd would make of `forward` by itself shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rushlight

X = torch.arange(12, dtype=torch.float64).reshape(4, 3).sin()
W = torch.arange(3, dtype=torch.float64).cos()


def ours(x: torch.Tensor) -> Any:
    return rushlight.from_numpy(x.numpy().copy())


def scaled_sine(m: Any, rule: str) -> Any:
    """(sin(x) w, x + w) as a Function with a generated batching rule or its own."""

    class ScaledSine(m.autograd.Function):
        generate_vmap_rule = rule == "generated"

        @staticmethod
        def forward(x: Any, w: Any) -> Any:
            return x.sin() * w, x + w

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, of_first: Any, of_second: Any) -> Any:
            x, w = ctx.saved_tensors
            return of_first * x.cos() * w * 3 + of_second, of_first * x.sin() + of_second

        @staticmethod
        def jvp(ctx: Any, of_x: Any, of_w: Any) -> Any:
            x, w = ctx.saved_tensors
            return x.cos() * w * of_x * 3 + x.sin() * of_w, of_x + of_w

        if rule == "own":

            @staticmethod
            def vmap(info: Any, in_dims: Any, x: Any, w: Any) -> Any:
                assert info.batch_size == 4
                assert info.randomness == "error"
                x = x if in_dims[0] is None else x.movedim(in_dims[0], 0)
                w = w if in_dims[1] is None else w.movedim(in_dims[1], 0)
                return ScaledSine.apply(x, w), (0, 0)

    return ScaledSine


def loss(function: Any) -> Any:
    return lambda x, w: sum(out.pow(2).sum() for out in function.apply(x, w))


def through_closure(m: Any, f: Any, x: Any, w: Any) -> Any:
    w = w.requires_grad_()
    m.vmap(lambda a: loss(f)(a, w))(x).sum().backward()
    return (w.grad,)


PROGRAMS = {
    "vmap": lambda m, f, x, w: m.vmap(f.apply, (0, None))(x, w),
    "vmap of grad": lambda m, f, x, w: m.vmap(m.func.grad(loss(f), (0, 1)), (0, None))(x, w),
    "grad of vmap": lambda m, f, x, w: m.func.grad(lambda a, b: m.vmap(loss(f), (0, None))(a, b).sum(), (0, 1))(x, w),
    "jvp of vmap": lambda m, f, x, w: m.func.jvp(lambda a, b: m.vmap(loss(f), (0, None))(a, b), (x, w), (x, w)),
    "jacfwd": lambda m, f, x, w: m.vmap(m.func.jacfwd(loss(f), (0, 1)), (0, None))(x, w),
    "jacrev of grad": lambda m, f, x, w: (m.vmap(m.func.jacrev(m.func.grad(loss(f))), (0, None))(x, w),),
    "backward of vmap": through_closure,
}


@pytest.mark.parametrize("rule", ["generated", "own"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str, rule: str) -> None:
    program = PROGRAMS[name]
    got = program(rushlight, scaled_sine(rushlight, rule), ours(X), ours(W))
    expected = program(torch, scaled_sine(torch, rule), X.clone(), W.clone())
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), 1e-12, 1e-12)


def test_forward_mode_of_the_older_style() -> None:
    """`forward` with a context: forward mode works without `setup_context`, and its results have history."""
    import rushlight.autograd.forward_ad as forward_ad

    class Cube(rushlight.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_forward(x)
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return 3 * ctx.saved_tensors[0] ** 2 * grad

        @staticmethod
        def jvp(ctx: Any, tangent: Any) -> Any:
            return 3 * ctx.saved_for_forward[0] ** 2 * tangent

    x = ours(X).requires_grad_()
    with forward_ad.dual_level():
        primal, tangent = forward_ad.unpack_dual(Cube.apply(forward_ad.make_dual(x, ours(X) + 1)))
        grad_of_primal = rushlight.autograd.grad(primal.sum(), x)[0]
        grad_of_tangent = rushlight.autograd.grad(tangent.sum(), x)[0]
    np.testing.assert_allclose(tangent.detach().numpy(), (3 * X**2 * (X + 1)).numpy(), 1e-12)
    np.testing.assert_allclose(grad_of_primal.numpy(), (3 * X**2).numpy(), 1e-12)
    np.testing.assert_allclose(grad_of_tangent.numpy(), (6 * X * (X + 1)).numpy(), 1e-12, 1e-12)


class Plain(rushlight.autograd.Function):
    """Without any rule for transforms."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad * 2


def test_errors() -> None:
    x = ours(X)
    with pytest.raises(RuntimeError, match="You tried to vmap over Plain, but it does not have vmap support"):
        rushlight.vmap(Plain.apply)(x)
    with pytest.raises(NotImplementedError, match="You must implement the jvp function"):
        rushlight.func.jvp(Plain.apply, (x,), (x,))

    class Both(Plain):
        generate_vmap_rule = True

        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any) -> Any:
            return x, 0

    with pytest.raises(RuntimeError, match="has both generate_vmap_rule=True and an overridden vmap"):
        rushlight.vmap(Both.apply)(x)

    class NoSetup(Plain):
        generate_vmap_rule = True

    with pytest.raises(RuntimeError, match="must override the setup_context staticmethod"):
        rushlight.vmap(NoSetup.apply)(x)

    class Odd(Both):
        generate_vmap_rule = False

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def forward(x: Any) -> Any:
            return x

        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any) -> Any:
            return x

    with pytest.raises(RuntimeError, match="to return \\(output, out_dims\\)"):
        rushlight.vmap(Odd.apply)(x)
