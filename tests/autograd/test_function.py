"""`autograd.Function` beside PyTorch's."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import rushlight


def leaves(torch: Any) -> tuple[Any, Any]:
    return tuple(torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0]))


def make(torch: Any, forward: Callable[..., Any], backward: Callable[..., Any] | None = None, **more: Any) -> Any:
    methods = {"forward": staticmethod(forward), **more}
    if backward is not None:
        methods["backward"] = staticmethod(backward)
    return type("Mine", (torch.autograd.Function,), methods)


def multiply(torch: Any, log: list[Any] | None = None) -> Any:
    def forward(ctx: Any, a: Any, b: Any, k: float = 2.0) -> Any:
        ctx.save_for_backward(a, b)
        ctx.k = k
        if log is not None:
            log.append((torch.is_grad_enabled(), a.requires_grad, ctx.needs_input_grad))
        return a * b * k

    def backward(ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_tensors
        if log is not None:
            log.append((type(ctx).__name__, g.requires_grad, torch.is_grad_enabled(), a.requires_grad))
            log.append(isinstance(ctx, torch.autograd.function.FunctionCtx))
        return g * b * ctx.k, g * a * ctx.k, None

    return make(torch, forward, backward)


def test_values_and_what_the_methods_see(same, raised) -> None:
    def program(torch: Any) -> Any:
        log: list[Any] = []
        (x, z), F = leaves(torch), multiply(torch, log)
        y = F.apply(x, z, 3.0)
        node = y.grad_fn
        shown = (
            node.name(),
            len(node.next_functions),
            node.saved_tensors[0] is x,
            node.k,
            node.needs_input_grad,
            y.is_leaf,
        )
        y.sum().backward()
        again = raised(lambda: y.sum().backward()), raised(lambda: node.saved_tensors)
        return (
            log,
            shown,
            x.grad,
            z.grad,
            again,
            F.apply(x, z, k=4.0),
            F.apply(x, x).sum(),
            raised(lambda: node.nothing),
        )

    same(program)


def test_second_derivatives(same) -> None:
    def program(torch: Any) -> Any:
        (x, z), F = leaves(torch), multiply(torch)
        E = make(
            torch,
            lambda ctx, a: (ctx.save_for_backward(a.exp()), ctx.to_save[0])[1],
            lambda ctx, g: g * ctx.saved_tensors[0],
        )
        (g,) = torch.autograd.grad((F.apply(x, z) * E.apply(x)).sum(), x, create_graph=True)
        (h,) = torch.autograd.grad((g * g).sum(), x, create_graph=True)
        return g, h, torch.autograd.grad(h.sum(), [x, z])

    same(program)


GRADS: dict[str, Callable[..., Any]] = {
    "few": lambda torch, g: g,
    "many": lambda torch, g: (g, g, g),
    "many with None": lambda torch, g: (g, g, None, None),
    "wrong shape": lambda torch, g: (torch.zeros(3, dtype=g.dtype), g),
    "to be summed": lambda torch, g: (torch.ones(2, 2, dtype=g.dtype), g),
    "to be spread": lambda torch, g: (torch.ones(1, dtype=g.dtype), g),
    "a number": lambda torch, g: (1, g),
    "nothing": lambda torch, g: (None, None),
    "another dtype": lambda torch, g: (g.float(), g),
    "a list": lambda torch, g: [g, g],
}


@pytest.mark.parametrize("grads", GRADS)
def test_what_backward_returns(same, raised, grads: str) -> None:
    def program(torch: Any) -> Any:
        x, z = leaves(torch)
        F = make(torch, lambda ctx, a, b: a * b, lambda ctx, g: GRADS[grads](torch, g))
        error = raised(lambda: F.apply(x, z).sum().backward(), 150)
        return error, x.grad is None, [] if x.grad is None else (x.grad, x.grad.dtype == x.dtype)

    same(program)


def test_definitions_that_are_wrong(same, raised) -> None:
    def program(torch: Any) -> Any:
        x, _ = leaves(torch)
        double: Any = lambda ctx, a, *rest: a * 2  # noqa: E731
        empty = type("Empty", (torch.autograd.Function,), {})
        both = make(torch, double, lambda ctx, g: g, vjp=staticmethod(lambda ctx, g: g))
        of_number = make(torch, double, lambda ctx, g: (g, g))
        saves = make(torch, lambda ctx, a: (ctx.save_for_backward(a, 5), a * 2)[1])
        with pytest.warns(DeprecationWarning, match="should not be instantiated"):
            made = both()
        return (
            raised(lambda: empty.apply(x)), raised(lambda: make(torch, double).apply(x).sum().backward()),
            raised(lambda: both.apply(x).sum().backward()), raised(lambda: of_number.apply(x, 3).sum().backward(), 100),
            raised(lambda: saves.apply(x)), raised(lambda: made(x)), raised(lambda: empty.jvp(None)),
            raised(lambda: empty.vmap(None, None)), raised(lambda: empty.setup_context(None, (), None)),
        )  # fmt: skip

    same(program)


def test_outputs_of_all_kinds(same) -> None:
    def program(torch: Any) -> Any:
        x, _ = leaves(torch)
        log: list[Any] = []

        def seen(ctx: Any, *grads: Any) -> Any:
            log.append([g if g is None else g.clone() for g in grads])
            return grads[0] * 2

        mixed = make(torch, lambda ctx, a: (a * 2, 5, None, "x", a * 3, a > 1), seen).apply(x)
        mixed[0].sum().backward()
        single = [make(torch, lambda ctx, a, made=made: made, seen).apply(x) for made in (5, None, "x")]
        bare = make(torch, lambda ctx, a: (ctx.set_materialize_grads(False), a * 2, a * 3)[1:], seen).apply(x)
        bare[0].sum().backward()

        def marked(ctx: Any, a: Any) -> Any:
            above = (a > 1).double()
            ctx.mark_non_differentiable(above)
            return a * 2, above

        parts = make(torch, marked, seen).apply(x)
        parts[0].sum().backward()
        return (
            log, x.grad, mixed[1:4], single, mixed[5].requires_grad, mixed[4].output_nr, mixed[0].grad_fn is mixed[4].grad_fn,
            parts[1].requires_grad, parts[1].is_leaf,
        )  # fmt: skip

    same(program)


def test_inputs_and_views_returned(same, raised) -> None:
    def program(torch: Any) -> Any:
        x, _ = leaves(torch)
        F = make(torch, lambda ctx, a: a, lambda ctx, g: g * 5)
        y = F.apply(x)
        y.sum().backward()
        first = make(torch, lambda ctx, a: a[:1], lambda ctx, g: torch.cat([g, g]))
        part = first.apply(x * 1)
        part.sum().backward()
        base = x * 1
        stale = first.apply(base)
        base.add_(1)
        return (
            x.grad, y is x, y._is_view(), y.data_ptr() == x.data_ptr(), part._is_view(), part.grad_fn.name(),
            raised(lambda: F.apply(x * 1).mul_(2)), raised(lambda: part.mul_(2)), raised(lambda: part[0].mul_(2), 11),
            raised(lambda: stale.grad_fn, 70),
        )  # fmt: skip

    same(program)


def test_inputs_written_to(same, raised) -> None:
    def program(torch: Any) -> Any:
        x, _ = leaves(torch)

        def increment(ctx: Any, a: Any) -> Any:
            ctx.mark_dirty(a)
            a.add_(1)
            return a

        F = make(torch, increment, lambda ctx, g: g * 7)
        b = x * 1
        before = b * b  # keeps b
        result = F.apply(b)
        b.sum().backward()
        whole = x * 1
        F.apply(whole[:1])
        whole.sum().backward()
        unreturned = make(torch, lambda ctx, a: (ctx.mark_dirty(a), a * 2)[1], lambda ctx, g: g)
        return (
            result is b, b.grad_fn.name(), x.grad, raised(lambda: F.apply(x)), raised(lambda: before.sum().backward()),
            raised(lambda: unreturned.apply(x * 1)),
        )  # fmt: skip

    same(program)


def test_setup_context(same, raised) -> None:
    def program(torch: Any) -> Any:
        log: list[Any] = []

        def setup(ctx: Any, inputs: Any, output: Any) -> None:
            log.append((len(inputs), inputs[2], len(output), torch.is_grad_enabled()))
            ctx.save_for_backward(*inputs[:2])

        def backward(ctx: Any, g: Any, h: Any) -> Any:
            a, b = ctx.saved_tensors
            return g * b * 2 + h, g * a * 2, None

        x, z = leaves(torch)
        F = make(torch, lambda a, b, k=2: (a * b * k, a * 1), backward, setup_context=staticmethod(setup))
        sum(part.sum() for part in F.apply(x, z)).backward()
        returned = make(torch, lambda a, b, k=2: (a, b * 1), backward, setup_context=staticmethod(setup))
        return log, x.grad, z.grad, raised(lambda: returned.apply(x, z), 110)

    same(program)


def test_once_differentiable(same, raised) -> None:
    def program(torch: Any) -> Any:
        once = torch.autograd.function.once_differentiable
        x, _ = leaves(torch)
        F = make(
            torch,
            lambda ctx, a: (ctx.save_for_backward(a), a * a)[1],
            once(lambda ctx, g: g * 2 * ctx.saved_tensors[0]),
        )
        F.apply(x).sum().backward()
        (constant,) = torch.autograd.grad(F.apply(x).sum(), x, create_graph=True)
        (g,) = torch.autograd.grad((F.apply(x) ** 2).sum(), x, create_graph=True)
        return x.grad, constant.requires_grad, g, g.requires_grad, raised(lambda: g.sum().backward(), 100)

    same(program)


def test_saved_tensors_written_to_and_hooks_of_them(same, raised) -> None:
    def program(torch: Any) -> Any:
        (x, z), F = leaves(torch), multiply(torch)
        a, b = x * 1, z * 1
        y = F.apply(a, b)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().numpy().copy(), torch.from_numpy):
            packed = F.apply(a, b)
        a.add_(1)
        (g,) = torch.autograd.grad(packed.sum(), x, create_graph=True)
        return raised(lambda: y.sum().backward()), g, torch.autograd.grad(g.sum(), z)

    same(program)


def test_backward_is_told_what_is_wanted() -> None:
    asked: list[Any] = []
    F = make(rushlight, lambda ctx, a, b: a * b, lambda ctx, g: (asked.append(ctx.needs_input_grad), (g, g))[1])
    x, z = leaves(rushlight)
    rushlight.autograd.grad(F.apply(x, z).sum(), z)
    F.apply(x, z).sum().backward()
    assert asked == [(False, True), (True, True)]


@pytest.mark.parametrize("names", ["shapes", "saved", "edges", "attrs", "op", "serial", "extras", "outputs"])
def test_attributes_of_the_context_are_the_users(names: str) -> None:
    F = make(
        rushlight,
        lambda ctx, a: (setattr(ctx, names, 17), a * 2)[1],
        lambda ctx, g: g * getattr(ctx, names),
    )
    x, _ = leaves(rushlight)
    F.apply(x).sum().backward()
    assert x.grad.tolist() == [17, 17]


class Cube(rushlight.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class Cubes(rushlight.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.function = Cube

    def forward(self, x):
        return self.function.apply(x)


Cubes.__module__ = Cube.__module__ = __name__


def test_inside_a_compiled_function() -> None:
    x = rushlight.tensor([1.0, 2.0], requires_grad=True)

    @rushlight.compile
    def step():
        x.grad = None
        (Cube.apply(x) * x).sum().backward()
        return x.grad

    for _ in range(4):
        assert step().tolist() == [4, 32]


def test_the_graph_goes_with_the_result() -> None:
    gc.collect()
    gc.disable()
    try:
        x = rushlight.ones(2, requires_grad=True)
        y = Cube.apply(x)
        E = make(
            rushlight,
            lambda ctx, a: (ctx.save_for_backward(a, a.exp()), ctx.to_save[1])[1],
            lambda ctx, g: g * ctx.saved_tensors[1],
        )
        z = E.apply(y)
        watched = weakref.ref(y), weakref.ref(z), weakref.ref(y.grad_fn), weakref.ref(z.grad_fn)
        z.sum().backward()
        del y, z
        assert [reference() for reference in watched] == [None] * 4
    finally:
        gc.enable()


def test_variable_is_a_tensor() -> None:
    from rushlight.autograd import Variable

    x = Variable(rushlight.ones(2), requires_grad=True)
    assert type(x) is rushlight.Tensor and isinstance(x, Variable) and x.requires_grad
    assert not isinstance(3, Variable)


def test_pickling_what_uses_one(tmp_path, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())
    again = pickle.loads(pickle.dumps(Cubes()))
    assert again(rushlight.tensor(2.0)).item() == 8


def _this_module() -> Any:
    import types

    module = types.ModuleType(__name__)
    module.Cube, module.Cubes = Cube, Cubes  # type: ignore[attr-defined]
    return module
