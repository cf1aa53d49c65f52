"""Transforms of transforms beside PyTorch's, in float64 to 1e-9."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as pytorch
from beside import compare, fails_the_same, numbers, same

import rushlight

pytestmark = pytest.mark.filterwarnings("ignore:.*performance drop", "ignore:.*jit", "ignore:.*get_attr Node")


def scalar(x: Any) -> Any:
    return (x.sin() * x.exp()).sum() + x.prod()


def vector(x: Any) -> Any:
    return x.sin() * x.flip(0) + x.cumsum(0).tanh()


def of_two(x: Any, w: Any) -> Any:
    return ((x @ w).sigmoid() ** 2).sum() * x.norm()


# ---------------------------------------------------------------- grad and vmap


def test_grad_of_grad_of_grad() -> None:
    def program(torch: Any) -> Any:
        grad, x = torch.func.grad, torch.tensor(0.7, dtype=torch.float64)
        return grad(torch.sin)(x), grad(grad(torch.sin))(x), grad(grad(grad(lambda x: x**5 * x.exp())))(x)

    same(program)


def test_grad_by_arguments_and_with_more_results() -> None:
    def program(torch: Any) -> Any:
        x, w, f = numbers(torch, 3, 4), numbers(torch, 4, 2), torch.func
        return [
            f.grad(of_two, argnums=1)(x, w),
            f.grad(of_two, argnums=(0, 1))(x, w),
            f.grad(lambda x, w: (of_two(x, w), {"product": x @ w}), has_aux=True)(x, w),
            f.grad_and_value(of_two)(x, w),
            f.grad_and_value(lambda x, w: (of_two(x, w), x + 1), argnums=(1,), has_aux=True)(x, w),
        ]

    same(program)


def test_vmap_of_grad() -> None:
    same(lambda torch: torch.func.vmap(torch.func.grad(scalar))(numbers(torch, 5, 3)))
    same(lambda torch: torch.func.vmap(torch.func.grad(of_two, argnums=(0, 1)), in_dims=(0, None))(
        numbers(torch, 5, 3, 4), numbers(torch, 4, 2))
    )  # fmt: skip
    same(lambda torch: torch.func.vmap(torch.func.vmap(torch.func.grad(torch.tanh)))(numbers(torch, 5, 3)))


def test_grad_of_vmap() -> None:
    def loss(torch: Any) -> Callable[..., Any]:
        return lambda x, w: torch.func.vmap(lambda row: (row @ w).tanh().prod())(x).sum()

    same(lambda torch: torch.func.grad(loss(torch), argnums=(0, 1))(numbers(torch, 5, 3), numbers(torch, 3, 4)))


def test_vmap_of_grad_of_vmap() -> None:
    def program(torch: Any) -> Any:
        inner = torch.func.vmap(lambda x, y: (x * y).sin().sum(), in_dims=(1, None))
        outer = torch.func.grad(lambda x, y: inner(x, y).pow(2).sum(), argnums=(0, 1))
        return torch.func.vmap(outer, in_dims=(2, 0), out_dims=(1, 0))(numbers(torch, 3, 4, 5), numbers(torch, 5, 3))

    same(program)


def test_vjp() -> None:
    def program(torch: Any) -> Any:
        x, w, f = numbers(torch, 3), numbers(torch, 3, 2), torch.func
        output, pull = f.vjp(lambda x, w: {"a": x @ w, "b": (x.exp(),)}, x, w)
        weights = {"a": numbers(torch, 2, seed=1), "b": (numbers(torch, 3, seed=2),)}
        value, pull_aux, aux = f.vjp(lambda x: (vector(x), x * 2), x, has_aux=True)
        batch = f.vmap(f.vjp(vector, x)[1])(numbers(torch, 4, 3, seed=3))
        return output, pull(weights), value, pull_aux(x), aux, batch

    same(program)


def test_vjp_of_vjp() -> None:
    def program(torch: Any) -> Any:
        x, v, f = numbers(torch, 3), numbers(torch, 3, seed=1), torch.func
        return f.vjp(lambda x: f.vjp(vector, x)[1](v)[0], x)[1](v)

    same(program)


# ---------------------------------------------------------------- Jacobians and Hessians


@pytest.mark.parametrize("names", [
    ("jacrev",), ("jacfwd",), ("jacfwd", "jacrev"), ("jacrev", "jacfwd"), ("jacrev", "jacrev"), ("jacfwd", "jacfwd"),
    ("jacfwd", "jacfwd", "jacrev"), ("jacrev", "jacfwd", "jacrev"), ("vmap", "jacfwd", "jacrev"), ("vmap", "jacrev", "jacfwd"),
    ("vmap", "hessian"), ("jacfwd", "vmap"), ("jacrev", "vmap"), ("jacfwd", "vmap", "jacrev"),
], ids="-".join)  # fmt: skip
def test_nested_jacobians(names: tuple[str, ...]) -> None:
    def program(torch: Any) -> Any:
        function = scalar if "hessian" in names else vector
        for name in reversed(names):
            function = getattr(torch.func, name)(function)
        return function(numbers(torch, 2, 3) if "vmap" in names else numbers(torch, 3))

    same(program)


def test_hessian_of_two_arguments() -> None:
    def program(torch: Any) -> Any:
        x, w = numbers(torch, 2, 3), numbers(torch, 3, 2)
        return torch.func.hessian(of_two, argnums=(0, 1))(x, w)

    same(program)


def test_jacobians_of_structures() -> None:
    def results(x: Any, w: Any) -> Any:
        return {"a": x * w, "b": (x.sum(), w.exp())}

    def program(torch: Any) -> Any:
        x, w, f = numbers(torch, 3), numbers(torch, 3, seed=1), torch.func
        return [
            f.jacrev(results)(x, w),
            f.jacrev(results, argnums=(0, 1))(x, w),
            f.jacfwd(results, argnums=1)(x, w),
            f.jacfwd(results, argnums=(1, 0))(x, w),
            f.jacrev(lambda x: (vector(x), x + 1), has_aux=True)(x),
            f.jacfwd(lambda x: (vector(x), x + 1), has_aux=True)(x),
            f.jacrev(vector, chunk_size=2)(x),
            f.jacfwd(vector, randomness="same")(x),
            f.jacrev(lambda p: p["x"] * p["w"].sum())({"x": x, "w": w}),
        ]

    same(program)


# ---------------------------------------------------------------- products with the Hessian


def hessian_products(torch: Any, function: Callable[..., Any], x: Any, v: Any) -> dict[str, Any]:
    """H v by every route."""
    f, functional = torch.func, torch.autograd.functional
    leaf = x.detach().clone().requires_grad_()
    (first,) = torch.autograd.grad(function(leaf), leaf, create_graph=True)
    return {
        "forward over reverse": f.jvp(f.grad(function), (x,), (v,))[1],
        "reverse over forward": f.grad(lambda x: f.jvp(function, (x,), (v,))[1])(x),
        "reverse over reverse": f.vjp(f.grad(function), x)[1](v)[0],
        "grad of a product": f.grad(lambda x: (f.grad(function)(x) * v).sum())(x),
        "functional.hvp": functional.hvp(function, x, v)[1],
        "functional.vhp": functional.vhp(function, x, v)[1],
        "the engine": torch.autograd.grad(first, leaf, v)[0],
        "linearized gradient": f.linearize(f.grad(function), x)[1](v),
        "the matrix": f.hessian(function)(x) @ v,
    }


def test_hessian_vector_products_by_each_route() -> None:
    def program(torch: Any) -> Any:
        return hessian_products(torch, scalar, numbers(torch, 4), numbers(torch, 4, seed=1))

    same(program)
    found = list(program(rushlight).values())
    for other in found[1:]:
        np.testing.assert_allclose(other.numpy(), found[0].numpy(), 1e-9, 1e-9)


def test_hessian_vector_products_of_a_batch() -> None:
    def program(torch: Any) -> Any:
        f = torch.func
        product = lambda x, v: f.jvp(f.grad(scalar), (x,), (v,))[1]  # noqa: E731
        return f.vmap(product, in_dims=(None, 0))(numbers(torch, 4), numbers(torch, 6, 4, seed=1))

    same(program)


# ---------------------------------------------------------------- forward mode


def test_jvp() -> None:
    def program(torch: Any) -> Any:
        x, w, f = numbers(torch, 3), numbers(torch, 3, seed=1), torch.func
        return [
            f.jvp(vector, (x,), (w,)),
            f.jvp(lambda x, w: {"a": x * w, "b": w.log()}, (x, w), (w, x)),
            f.jvp(lambda x: (vector(x), x * 3), (x,), (w,), has_aux=True),
            f.jvp(lambda x: f.jvp(vector, (x,), (w,))[1], (x,), (w,)),
            f.jvp(lambda x: torch.ones(2, dtype=torch.float64), (x,), (w,)),
        ]

    same(program)


def test_jvp_of_vmap_and_vmap_of_jvp() -> None:
    def program(torch: Any) -> Any:
        x, v, f = numbers(torch, 5, 3), numbers(torch, 5, 3, seed=1), torch.func
        return [
            f.jvp(f.vmap(vector), (x,), (v,)),
            f.vmap(lambda x, v: f.jvp(vector, (x,), (v,)))(x, v),
            f.vmap(lambda v: f.jvp(vector, (x[0],), (v,))[1])(v),
            f.jvp(f.vmap(f.grad(scalar)), (x,), (v,)),
        ]

    same(program)


def test_linearize() -> None:
    def program(torch: Any) -> Any:
        x, v, f = numbers(torch, 3), numbers(torch, 3, seed=1), torch.func
        output, push = f.linearize(vector, x)
        two, push_two = f.linearize(lambda x, w: (x * w, x.sum()), x, v)
        return output, push(v), push(2 * v), two, push_two(v, x), f.vmap(push)(numbers(torch, 4, 3))

    same(program)


def test_dual_levels() -> None:
    def program(torch: Any) -> Any:
        forward_ad = torch.autograd.forward_ad
        x, v = numbers(torch, 3), numbers(torch, 3, seed=1)
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, v)
            y = dual.sin()
            y.mul_(dual)
            primal, tangent = forward_ad.unpack_dual(y)
            part = forward_ad.unpack_dual(dual[1:] * 2).tangent
            none = forward_ad.unpack_dual(x).tangent
        return primal, tangent, part, none

    same(program)


def test_forward_mode_and_backward_mode_together() -> None:
    def program(torch: Any) -> Any:
        forward_ad = torch.autograd.forward_ad
        x, v = numbers(torch, 3).requires_grad_(), numbers(torch, 3, seed=1).requires_grad_()
        with forward_ad.dual_level():
            tangent = forward_ad.unpack_dual(vector(forward_ad.make_dual(x, v))).tangent
        return tangent, torch.autograd.grad((tangent**2).sum(), [x, v])

    same(program)


def test_gradients_of_tensors_that_are_not_dual_inside_a_dual_level() -> None:
    def program(torch: Any) -> Any:
        forward_ad = torch.autograd.forward_ad
        x, w = numbers(torch, 3).requires_grad_(), numbers(torch, 3, seed=1)
        with forward_ad.dual_level():
            product = (forward_ad.make_dual(w, x.detach()) * x).sin()
            (found,) = torch.autograd.grad(product.sum(), x, create_graph=True)
            return forward_ad.unpack_dual(found)

    same(lambda torch: tuple(program(torch)))


# ---------------------------------------------------------------- transforms and the engine


def test_backward_through_transforms() -> None:
    def program(torch: Any) -> Any:
        x, f = numbers(torch, 5, 3).requires_grad_(), torch.func
        w = numbers(torch, 3, seed=1).requires_grad_()
        results = [
            f.vmap(vector)(x),
            f.vmap(f.grad(scalar))(x),
            f.jvp(vector, (x[0],), (w,))[1],
            f.jacrev(vector)(x[1]),
            f.jacfwd(vector)(x[1]),
            f.vmap(lambda row: (row * w).sum())(x),
        ]
        return results, torch.autograd.grad(sum((r**2).sum() for r in results), [x, w])

    same(program)


def test_no_grad_inside_and_outside() -> None:
    def program(torch: Any) -> Any:
        def without(x: Any) -> Any:
            with torch.no_grad():
                shift = x**3
            return (x * x - shift).sum()

        x = numbers(torch, 3)
        inside = torch.func.grad(without)(x)
        with torch.no_grad():
            outside = torch.func.grad(scalar)(x)
        return inside, outside, inside.requires_grad, outside.requires_grad

    same(program)


def test_detached_values_are_constant_for_every_transform() -> None:
    def program(torch: Any) -> Any:
        f, x, v = torch.func, numbers(torch, 3), numbers(torch, 3, seed=1)
        product = lambda x: x * x.detach()  # noqa: E731
        return [
            f.grad(lambda x: f.grad(lambda y: product(y).sum())(x).sum())(x),
            f.jvp(product, (x,), (v,)),
            f.jvp(f.vmap(product), (x,), (v,)),
            f.vmap(lambda x, v: f.jvp(product, (x,), (v,)))(x, v),
            f.grad(lambda x: f.jvp(product, (x,), (v,))[1].sum())(x),
            f.jvp(f.grad(lambda x: product(x).sum()), (x,), (v,)),
            f.jvp(lambda x: f.grad_and_value(lambda y: (y * y).sum())(x), (x,), (v,)),
            f.jvp(lambda x: f.vjp(vector, x)[0], (x,), (v,)),
            f.jvp(lambda x: x * x.data, (x,), (v,)),
        ]

    same(program)


def test_what_a_function_closes_over_is_constant() -> None:
    def program(torch: Any) -> Any:
        x, w = numbers(torch, 3), numbers(torch, 3, seed=1)
        return torch.func.grad(lambda x: (x * w * torch.func.grad(lambda y: (x * y).sum())(x)).sum())(x)

    same(program)


# ---------------------------------------------------------------- vmap itself


def test_dimensions_in_and_out() -> None:
    def program(torch: Any) -> Any:
        vmap, x, y = torch.func.vmap, numbers(torch, 2, 3, 4), numbers(torch, 4)
        return [
            vmap(lambda x: x.sum(0), in_dims=1)(x),
            vmap(lambda x, y: x * y, in_dims=(2, 0), out_dims=1)(x, y),
            vmap(lambda x: (x, x.sum()), in_dims=-1, out_dims=(-1, 0))(x),
            vmap(lambda p: p["x"] @ p["y"], in_dims=({"x": 1, "y": None},))({"x": x, "y": y}),
            vmap(lambda x, n: x * n, in_dims=(0, None))(x, 3),
            vmap(lambda x: {"sum": x.sum()}, in_dims=2, out_dims=0)(x),
            vmap(vmap(vmap(torch.exp), in_dims=1), in_dims=2)(x),
            vmap(vmap(lambda x, y: x.sum() + y, in_dims=(None, 0), out_dims=0), in_dims=(0, None))(x, y),
            vmap(lambda x: x * 2, chunk_size=2)(numbers(torch, 5, 2)),
            vmap(lambda x: torch.ones(2), out_dims=0)(x),
            vmap(lambda x, y: y, in_dims=(0, None))(x, y),
        ]

    same(program)


def test_views_inside() -> None:
    def program(torch: Any) -> Any:
        def body(x: Any) -> Any:  # (3, 4)
            first, *_ = x.unbind(0)
            return [
                x.t(), x.mT.reshape(-1), x.view(2, 6), x[1:, ::2], x[0], x[:, None, 1], x[..., -1], x.diagonal(), x.unsqueeze(1),
                x.expand(2, 3, 4), x.permute(1, 0), x.flatten(), x.split(2, 1)[1], x.chunk(3)[2], x.narrow(1, 1, 2), first,
                x.unfold(1, 2, 1), x.movedim(0, 1), x.squeeze(), x.swapaxes(0, 1).contiguous(), x.ravel()[3:],
                x.select(1, 2), x.broadcast_to(2, 3, 4), torch.atleast_3d(x),
            ]  # fmt: skip

        x = numbers(torch, 5, 3, 4)
        return torch.func.vmap(body)(x), torch.func.vmap(torch.func.vmap(lambda x: x[1:].view(1, -1)))(x)

    same(program)


def test_writing_in_place_inside() -> None:
    def body(torch: Any, x: Any, y: Any) -> Any:
        x = x.clone()
        x.add_(y)
        x[0] = y.sum()
        x[1:].mul_(2)
        z = x.view(-1)
        z[2:].copy_(y[:2])
        x.masked_fill_(x > 3, 0.5)
        return x, z, y.clone().index_add_(0, torch.tensor([0, 1]), x[:2])

    def program(torch: Any) -> Any:
        return torch.func.vmap(lambda x, y: body(torch, x, y))(numbers(torch, 6, 4), numbers(torch, 6, 4, seed=1))

    def on_the_argument(torch: Any) -> Any:
        x = numbers(torch, 6, 4)
        return torch.func.vmap(lambda x: x.mul_(2))(x), x

    same(program)
    same(on_the_argument)


def test_gradients_of_writing_in_place() -> None:
    def program(torch: Any) -> Any:
        def body(x: Any) -> Any:
            y = x * 2
            y[0] = x[1] ** 2
            y[1:].mul_(x[1:])
            return (y**2).sum()

        f, x = torch.func, numbers(torch, 5, 4)
        return f.vmap(f.grad(body))(x), f.grad(body)(x[0]), f.jvp(body, (x[0],), (x[1],)), f.hessian(body)(x[0])

    same(program)


def test_writing_a_batch_into_one_tensor() -> None:
    def program(torch: Any) -> Any:
        y = torch.zeros(3, dtype=torch.float64)
        return torch.func.vmap(lambda x: y.mul_(x))(numbers(torch, 5, 3))

    for torch in (pytorch, rushlight):
        with pytest.raises(
            RuntimeError, match=r"^vmap: .*\(self, \*extra_args\) is not possible because there exists a Tensor"
        ):
            program(torch)


def test_operations_on_batches() -> None:
    """Those with a rule of their own in a library: products, indices, joins, sorts, reductions, convolutions."""

    def program(torch: Any) -> Any:
        functional = torch.nn.functional

        def body(x: Any, w: Any, i: Any) -> Any:  # (3, 4), (4, 2), (2,)
            return [
                x @ w, w.t() @ x.t(), x[:, 0] @ x, x.mv(w[:, 0]), x[0].dot(x[1]), torch.outer(x[0], w[:, 1]), x[i], x[:, i], x[i, i],
                x.gather(1, i.expand(3, 2)), x.index_select(0, i), torch.cat([x, w.t()]), torch.stack([x[0], x[1]], 1),
                x.sort(1)[0], x.sort(0)[1], x.topk(2)[0], x.argmax(), x.argmax(1), x.cumsum(0), x.cumprod(1), x.amax((0, 1)),
                x.logsumexp(0), x.softmax(-1), x.var(), x.std(0), x.norm(dim=1), torch.where(x > 1, x, w.sum()), x.tril(), x.roll(1, 0),
                x.flip((0, 1)), functional.layer_norm(x, (4,)), functional.conv1d(x[None], w.t()[:, :3, None]),
                functional.linear(x, w.t()), functional.one_hot(i, 3), functional.cross_entropy(x[:2], i), torch.einsum("ij,jk->ki", x, w),
                torch.linalg.solve(x[:, :3] @ x[:, :3].T + torch.eye(3), x), torch.linalg.svdvals(x), torch.linalg.det(x[:, :3]),
                x.scatter(1, i.expand(3, 2), x[:, :2]), functional.embedding(i, x), x.median(), x.prod(0), x.repeat(2, 1), torch.kron(x, w),
                torch.cdist(x, x[:1]), functional.pad(x, (1, 2)), functional.max_pool1d(x[None], 2), functional.avg_pool1d(x[None], 2),
                torch.fft.rfft(x).abs(), x.double().round(decimals=1), (x > 1).any(), (x > 0).all(1), x.minimum(w.max()),
            ]  # fmt: skip

        i = torch.tensor([[0, 2], [1, 1], [2, 0], [1, 2], [0, 0]])
        x, w = numbers(torch, 5, 3, 4), numbers(torch, 5, 4, 2)
        return torch.func.vmap(body)(x, w, i), torch.func.vmap(body, in_dims=(0, None, None))(x, w[0], i[0]), torch.func.vmap(
            body, in_dims=(None, 0, None))(x[0], w, i[1]), torch.func.vmap(body, in_dims=(None, None, 0))(x[0], w[0], i)  # fmt: skip

    same(program)


# ---------------------------------------------------------------- random numbers


@pytest.mark.parametrize("randomness", ["same", "different"])
def test_random_numbers(randomness: str) -> None:
    def program(torch: Any) -> Any:
        def body(x: Any) -> Any:
            return x + torch.randn(3), torch.rand_like(x), torch.nn.functional.dropout(x, 0.5) * 0

        torch.manual_seed(3)
        return torch.func.vmap(body, randomness=randomness)(numbers(torch, 4, 3, dtype="float32"))

    same(program, 1e-5)


def test_the_modes_of_randomness_differ() -> None:
    x = numbers(rushlight, 4, 3)
    one = rushlight.func.vmap(lambda x: x * 0 + rushlight.randn(3), randomness="same")(x)
    each = rushlight.func.vmap(lambda x: x * 0 + rushlight.randn(3), randomness="different")(x)
    assert rushlight.equal(one[0], one[1])
    assert not rushlight.equal(each[0], each[1])


def test_random_numbers_are_refused_by_default() -> None:
    fails_the_same(lambda torch: torch.func.vmap(lambda x: x + torch.randn(3))(numbers(torch, 4, 3)), words=8)
    fails_the_same(lambda torch: torch.func.vmap(torch.sin, randomness="sometimes")(numbers(torch, 4, 3)))


# ---------------------------------------------------------------- complex numbers


def test_complex_numbers() -> None:
    def program(torch: Any) -> Any:
        f = torch.func
        z, v = numbers(torch, 3, dtype="complex128"), numbers(torch, 3, seed=1, dtype="complex128")
        batch = numbers(torch, 4, 3, dtype="complex128")
        real = lambda z: (z * z.conj()).real.sum() + z.abs().sum()  # noqa: E731
        return [
            f.vmap(lambda z: z.exp() * z.conj())(batch),
            f.grad(real)(z),
            f.vmap(f.grad(real))(batch),
            f.vjp(lambda z: z.sin() * z.conj(), z)[1](v),
            f.jvp(lambda z: z.sin() * z.conj(), (z,), (v,)),
            f.jvp(f.grad(real), (z,), (v,)),
            f.vmap(lambda z: torch.view_as_real(z).sum(0))(batch),
        ]

    same(program)


# ---------------------------------------------------------------- errors

WRONG: dict[str, Callable[[Any, Any], Any]] = {
    "grad of a vector": lambda torch, f: f.grad(vector)(numbers(torch, 3)),
    "grad of no tensor": lambda torch, f: f.grad(lambda x: 1.0)(numbers(torch, 3)),
    "vmap of nothing": lambda torch, f: f.vmap(lambda: 1)(),
    "sizes that differ": lambda torch, f: f.vmap(lambda x, y: x)(numbers(torch, 3), numbers(torch, 4)),
    "no batched argument": lambda torch, f: f.vmap(lambda x: x, in_dims=(None,))(numbers(torch, 3)),
    "a dimension that is not there": lambda torch, f: f.vmap(lambda x: x, in_dims=2)(numbers(torch, 3)),
    "too many dimensions given": lambda torch, f: f.vmap(lambda x: x, in_dims=(0, 0))(numbers(torch, 3)),
    "a result that is no tensor": lambda torch, f: f.vmap(lambda x: 1)(numbers(torch, 3)),
    "a value of a batch": lambda torch, f: f.vmap(lambda x: x.sum().item())(numbers(torch, 3, 2)),
    "a condition of a batch": lambda torch, f: f.vmap(lambda x: x if x.sum() > 0 else -x)(numbers(torch, 3, 2)),
    "jvp without tuples": lambda torch, f: f.jvp(vector, numbers(torch, 3), numbers(torch, 3)),
    "jvp of different lengths": lambda torch, f: f.jvp(vector, (numbers(torch, 3),), ()),
    "a chunk of nothing": lambda torch, f: f.vmap(vector, chunk_size=0)(numbers(torch, 3, 2)),
    "dual levels within each other": lambda torch, f: nested_levels(torch),
    "a dual outside": lambda torch, f: torch.autograd.forward_ad.make_dual(numbers(torch, 3), numbers(torch, 3)),
}


def nested_levels(torch: Any) -> None:
    with torch.autograd.forward_ad.dual_level(), torch.autograd.forward_ad.dual_level():
        pass


@pytest.mark.parametrize("case", WRONG)
def test_errors(case: str) -> None:
    fails_the_same(lambda torch: WRONG[case](torch, torch.func), words=10)


def test_nothing_is_left_behind_by_an_error() -> None:
    """After a function that raises inside of transforms, operations are plain ones again."""
    for name in ("grad", "vmap", "jacrev", "jacfwd"):
        with pytest.raises(ZeroDivisionError):
            getattr(rushlight.func, name)(lambda x: x * (1 // 0))(numbers(rushlight, 3))
    compare(vector(numbers(pytorch, 3)), vector(numbers(rushlight, 3)))
