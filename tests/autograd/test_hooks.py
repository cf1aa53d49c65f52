"""Hooks on tensors, nodes and accumulators beside PyTorch's: what they see, in which order, what they may return."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import rushlight


def leaf(torch: Any, *values: float) -> Any:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("inputs", ["x", "y", "xy", "yx", ""])
@pytest.mark.parametrize("hooked", ["x", "y"])
def test_order_and_values(same, hooked: str, inputs: str) -> None:
    """Whoever sees a gradient sees the same one at the same time; without inputs, by backward."""

    def program(torch: Any) -> Any:
        log: list[Any] = []
        x = leaf(torch, 2.0)
        y = x * 3
        tensors = {"x": x, "y": y}
        tensors[hooked].register_hook(lambda g: (log.append(("hook", g.item())), g * 10)[1])
        y.grad_fn.register_prehook(lambda gs: log.append(("pre", gs[0].item())))
        y.grad_fn.register_hook(lambda ins, outs: log.append(("post", ins[0].item(), outs[0].item())))
        y.retain_grad()
        y.register_hook(lambda g: log.append(("second hook", g.item())))
        z = (y * y).sum()
        if inputs:
            return log, torch.autograd.grad(z, [tensors[name] for name in inputs]), y.grad
        z.backward()
        return log, x.grad, y.grad

    same(program)


def test_order_at_a_leaf(same) -> None:
    def program(torch: Any) -> Any:
        log: list[Any] = []
        x = leaf(torch, 2.0)
        y = x * 3
        accumulator = y.grad_fn.next_functions[0][0]
        accumulator.register_prehook(lambda gs: (log.append("accumulator before"), (gs[0] * 2,))[1])
        accumulator.register_hook(lambda ins, outs: log.append(("accumulator after", len(ins), outs[0].item())))
        x.register_hook(lambda g: log.append("tensor"))
        x.register_post_accumulate_grad_hook(lambda t: log.append(("accumulated", t.grad.item())))
        y.sum().backward()
        y = x * 3
        y.sum().backward(inputs=[x])
        torch.autograd.grad((x * 3).sum(), x)
        return log, accumulator is y.grad_fn.next_functions[0][0], accumulator.variable is x, accumulator.name()

    same(program)


@pytest.mark.parametrize("what", ["number", "size", "dtype", "none", "few"])
@pytest.mark.parametrize("where", ["tensor", "before", "after"])
def test_what_a_hook_may_not_return(same, raised, where: str, what: str) -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 2.0)
        y = x * 3
        one = {"number": 3, "size": torch.zeros(2, dtype=x.dtype), "dtype": torch.zeros(1), "none": None, "few": None}[
            what
        ]

        def hook(*grads: Any) -> Any:
            if where == "tensor":
                return one
            if what == "few":
                return (grads[0][0],) * 3
            return one if what == "number" else (one, None) if where == "after" else (one,)

        if where == "tensor":
            y.register_hook(hook)
        elif where == "before":
            y.grad_fn.register_prehook(hook)
        else:
            y.grad_fn.register_hook(hook)
        return raised(lambda: y.sum().backward(), 40), x.grad is None

    same(program)


def test_hooks_stay_at_the_value_and_retain_grad_goes_with_the_tensor(same) -> None:
    def program(torch: Any) -> Any:
        log: list[Any] = []
        y = leaf(torch, 2.0) * 3
        y.register_hook(lambda g: log.append(("before", g.item())))
        y.retain_grad()
        y.mul_(2)
        y.register_hook(lambda g: log.append(("after", g.item())))
        y.sum().backward()
        return log, y.grad, y.retains_grad

    same(program)


def test_retained_gradients_add_up_and_inputs_are_retained(same) -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 2.0)
        y = x * 3
        y.retain_grad()
        (y * 2).sum().backward(retain_graph=True)
        (y * y).sum().backward(retain_graph=True)
        z = x * 5
        (z * z).sum().backward(inputs=[z])
        return y.grad, z.grad, z.retains_grad, x.grad

    same(program)


def test_a_node_shows_itself(same) -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 2.0)
        y = x * x
        y.grad_fn.metadata["seen"] = 1
        return y.grad_fn is y.grad_fn, y.grad_fn.metadata, y.grad_fn.name(), y.grad_fn(torch.ones_like(y))

    same(program)


@pytest.mark.parametrize(
    "name, attributes",
    [
        ("exp", ["result"]), ("log", ["self"]), ("tanh", ["result"]), ("sqrt", ["result"]), ("sin", ["self"]),
        ("sigmoid", ["result"]), ("relu", ["result"]),
    ],
)  # fmt: skip
def test_saved_values_have_pytorchs_names(same, name: str, attributes: list[str]) -> None:
    def program(torch: Any) -> Any:
        node = getattr(leaf(torch, 2.0, 3.0), name)().grad_fn
        return [getattr(node, f"_saved_{attribute}") for attribute in attributes]

    same(program)


def test_saved_values_of_products_and_powers(same, raised) -> None:
    def program(torch: Any) -> Any:
        x, y = leaf(torch, 2.0, 3.0), leaf(torch, 4.0, 5.0)
        product, power = (x * y).grad_fn, (x**3.0).grad_fn
        matrices = (x.reshape(1, 2) @ y.reshape(2, 1)).grad_fn
        shown = (
            product._saved_self,
            product._saved_other,
            power._saved_exponent,
            matrices._saved_self,
            matrices._saved_mat2,
        )
        product(torch.ones(2, dtype=x.dtype))
        z = x * y
        z.sum().backward()
        return shown, product._saved_self is x, raised(lambda: z.grad_fn._saved_self), raised(lambda: product._saved_no)

    same(program)


def test_a_hook_of_several_gradients(same) -> None:
    def program(torch: Any) -> Any:
        log: list[Any] = []
        a, b = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, 4.0)
        c, d = a * b, a * b
        register = torch.autograd.graph.register_multi_grad_hook
        handle = register((a, b, c, d), lambda grads: log.append([g is not None for g in grads]))
        register((a, c), lambda grad: log.append(grad.sum().item()), mode="any")
        c.sum().backward(retain_graph=True)
        c.sum().backward(inputs=[a], retain_graph=True)
        (c + d).sum().backward(retain_graph=True)
        handle.remove()
        d.sum().backward()
        return log

    same(program)


def test_a_hook_that_empties_grad_keeps_memory_low() -> None:
    """A leaf's hook runs as soon as its gradient is complete, not at the end of the pass."""
    order: list[str] = []
    first, last = (rushlight.ones(2, requires_grad=True) for _ in range(2))
    for name, tensor in {"first": first, "last": last}.items():
        tensor.register_post_accumulate_grad_hook(lambda t, name=name: order.append(name))
    middle = first * 2
    middle.register_hook(lambda g: order.append("between"))
    (middle * last * last).sum().backward()
    assert order == ["last", "between", "first"]


def test_hooks_leave_no_cycles() -> None:
    gc.collect()
    gc.disable()
    try:
        x = rushlight.ones(3, requires_grad=True)
        y = x * 2
        y.retain_grad()
        rushlight.autograd.graph.register_multi_grad_hook((x, y), lambda grads: None)
        y.sum().backward()
        watched = weakref.ref(x), weakref.ref(y), weakref.ref(y.grad_fn)
        del x, y
        assert [reference() for reference in watched] == [None] * 3
    finally:
        gc.enable()
