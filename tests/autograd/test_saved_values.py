"""Hooks of saved tensors, edges as objects, and versions, beside PyTorch's."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import rushlight
from rushlight.autograd.graph import saved_tensors_hooks
from rushlight.ops import observers


def leaf(torch: Any, *values: float) -> Any:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def to_numpy(tensor: Any) -> Any:
    return tensor.numpy().copy()


def test_values_go_through_the_hooks(same) -> None:
    def program(torch: Any) -> Any:
        packed: list[Any] = []

        def pack(tensor: Any) -> Any:
            packed.append(tensor.detach().clone())
            return len(packed) - 1

        x, c = leaf(torch, 1.0, 2.0), torch.tensor([3.0, 4.0], dtype=torch.float64)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda at: packed[at]):
            y = ((x * c).exp() * 3.0).sum()
        y.backward()
        return packed, x.grad

    same(program)


def test_of_operations_that_write_the_new_value_is_packed(same) -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.0, 2.0)
        with torch.autograd.graph.saved_tensors_hooks(to_numpy_of_detached, torch.from_numpy):
            y = (x * x).exp_().sin()
        y.sum().backward()
        return x.grad

    def to_numpy_of_detached(tensor: Any) -> Any:
        return to_numpy(tensor.detach())

    same(program)


def test_second_derivatives_go_on_from_what_was_unpacked(same) -> None:
    def program(torch: Any) -> Any:
        x, w = leaf(torch, 1.0, 2.0), leaf(torch, 0.5, -1.0)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().numpy().copy(), torch.from_numpy):
            y = (x * w).tanh() * x
            joined = torch.cat([y, x * y])
            (g,) = torch.autograd.grad((joined * joined).sum(), x, create_graph=True)
        return torch.autograd.grad((g * g).sum(), [x, w])

    same(program)


def test_the_innermost_hooks_are_in_force_and_may_be_forbidden(same, raised) -> None:
    def program(torch: Any) -> Any:
        log: list[str] = []

        def named(name: str) -> Any:
            return torch.autograd.graph.saved_tensors_hooks(lambda t: (log.append(name), t)[1], lambda t: t)

        x = leaf(torch, 1.0)
        with named("outer"):
            x.exp()
            with named("inner"):
                x.exp()
            x.exp()

        def forbidden_inside() -> None:
            with torch.autograd.graph.disable_saved_tensors_hooks("not here"), named("no"):
                pass

        def forbidden_outside() -> None:
            with named("no"), torch.autograd.graph.disable_saved_tensors_hooks("not here"):
                pass

        return log, raised(forbidden_inside), raised(forbidden_outside), raised(lambda: x.exp().sum().backward())

    same(program)


def test_what_hooks_may_not_do(same, raised) -> None:
    def program(torch: Any) -> Any:
        hooks, x = torch.autograd.graph.saved_tensors_hooks, leaf(torch, 1.0)
        with hooks(lambda t: 5, lambda v: v):
            y = x * x
        with hooks(lambda t: t.add_(1), lambda v: v):
            writes = raised(lambda: x.detach() * x)
        return raised(lambda: y.sum().backward()), writes

    same(program)


def test_hooks_of_one_saved_value(same, raised) -> None:
    def program(torch: Any) -> Any:
        x, y = leaf(torch, 1.0, 2.0), torch.tensor([3.0, 4.0], dtype=torch.float64)
        z = x * y
        z.grad_fn._raw_saved_other.register_hooks(lambda t: t.detach().numpy() * 2, torch.from_numpy)
        y.add_(1)  # what was packed does not mind
        again = raised(lambda: z.grad_fn._raw_saved_other.register_hooks(lambda t: t, lambda t: t), 40)
        none = raised(lambda: z.grad_fn._raw_saved_self.register_hooks(lambda t: t, lambda t: t))
        z.sum().backward()
        return x.grad, again.startswith("RuntimeError: Calling register_hooks on a saved"), none

    same(program)


def test_save_on_cpu(same) -> None:
    def program(torch: Any) -> Any:
        x = leaf(torch, 1.0, 2.0)
        with torch.autograd.graph.save_on_cpu():
            y = x.exp() * x
        y.sum().backward()
        return x.grad

    same(program)


def test_packed_values_are_freed_with_their_node() -> None:
    gc.disable()
    try:
        kept: list[Any] = []

        def pack(tensor: Any) -> Any:
            array = Box(tensor.numpy().copy())
            kept.append(weakref.ref(array))
            return array

        class Box:
            def __init__(self, array: Any):
                self.array = array

        x = rushlight.ones(3, requires_grad=True)
        with saved_tensors_hooks(pack, lambda box: rushlight.from_numpy(box.array)):
            y = x.exp().sin().sum()
        assert all(reference() is not None for reference in kept)
        y.backward()
        assert [reference() for reference in kept] == [None] * len(kept)
    finally:
        gc.enable()


def test_later_code_is_not_slowed_down() -> None:
    """Hooks send operations on the long path; an exception in the block does not leave them there."""

    def fail() -> None:
        with saved_tensors_hooks(lambda t: t, lambda t: t):
            assert observers.count == 1
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert observers.count == 0


def test_writing_to_what_was_saved(same, raised) -> None:
    def program(torch: Any) -> Any:
        a = leaf(torch, 1.0, 2.0)
        with torch.autograd.graph.allow_mutation_on_saved_tensors():
            b = a.clone()
            out = (b**2).sum() + b.exp().sum()
            view = b[:1]
            b.sin_()
            view.mul_(3)
            out = out + b.cos().sum()
            out.backward(retain_graph=True)
        return a.grad, raised(out.backward, 30)

    same(program)


# ---------------------------------------------------------------- edges and versions


def test_edges_stand_for_tensors(same) -> None:
    def program(torch: Any) -> Any:
        edge_of, grad = torch.autograd.graph.get_gradient_edge, torch.autograd.grad
        x = leaf(torch, 1.0, 2.0)
        y = x * 3
        edge = edge_of(y)
        z = (y * y).sum()
        first = grad(edge_of(z), x, retain_graph=True)
        second = grad(z, [edge, edge_of(x)], retain_graph=True)
        third = grad(edge, x, torch.ones(2, dtype=x.dtype), retain_graph=True)
        torch.autograd.backward(edge_of(z), inputs=[x])
        return first, second, third, x.grad, edge.output_nr, edge.node is y.grad_fn

    same(program)


def test_errors_of_edges(same, raised) -> None:
    def program(torch: Any) -> Any:
        edge_of, x = torch.autograd.graph.get_gradient_edge, leaf(torch, 1.0, 2.0)
        y = x * 3
        return (
            raised(lambda: edge_of(torch.ones(1))),
            raised(lambda: torch.autograd.grad(edge_of(y), x)),
            raised(lambda: torch.autograd.grad(edge_of(y), x, torch.ones(3, dtype=x.dtype)), 40),
            raised(lambda: y.sum().backward(inputs=[])),
            raised(lambda: y.sum().backward(inputs=[torch.ones(1)]), 55),
        )

    same(program)


def test_a_version_raised_by_hand_is_noticed(same, raised) -> None:
    def program(torch: Any) -> Any:
        x, c = leaf(torch, 1.0), torch.ones(1, dtype=torch.float64)
        y = x * c
        torch.autograd.graph.increment_version(c)
        return c._version, raised(lambda: y.sum().backward())

    same(program)


# ---------------------------------------------------------------- what a pass computes, and where it puts it


def test_only_wanted_gradients_are_computed(monkeypatch) -> None:
    from rushlight.arrays import numpy as arrays

    products: list[Any] = []
    real = arrays.matmul
    monkeypatch.setattr(arrays, "matmul", lambda a, b: (products.append((a.shape, b.shape)), real(a, b))[1])
    a, b, c = (rushlight.ones(n, m, requires_grad=True) for n, m in ((2, 3), (3, 4), (4, 5)))
    y = (a @ b @ c).sum()
    products.clear()
    rushlight.autograd.grad(y, a, retain_graph=True)
    assert len(products) == 2  # through c to the first product, and through b to a; none for b and c themselves
    products.clear()
    y.backward(inputs=[c])
    assert len(products) == 1


def test_the_gradient_has_the_leafs_order_of_memory(same) -> None:
    def program(torch: Any) -> Any:
        w = torch.arange(6, dtype=torch.float64).reshape(2, 3).t().detach().requires_grad_()
        (w * w).sum().backward()
        x = torch.arange(6, dtype=torch.float64).reshape(2, 3).requires_grad_()
        x.t().matmul(torch.ones(2, 2, dtype=torch.float64)).sum().backward()
        return w.grad.stride(), x.grad.stride(), w.grad

    same(program)


def test_gradients_of_a_graph_do_not_share_memory() -> None:
    a, b = rushlight.ones(3, requires_grad=True), rushlight.ones(3, requires_grad=True)
    (a + b).sum().backward(create_graph=True)
    assert not np.shares_memory(a.grad.detach().numpy(), b.grad.detach().numpy())
    a.grad = b.grad = None
    shared = rushlight.ones(50_000, requires_grad=True)
    other = rushlight.ones(50_000, requires_grad=True)
    (shared + other + shared).sum().backward()
    assert shared.grad[0] == 2 and other.grad[0] == 1
