"""`autograd.functional` beside PyTorch's, in float64 to 1e-9: values, structures, graphs, and errors by their text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as pytorch

import rushlight

Program = Callable[[Any], Any]


def points(torch: Any) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    x, w = rng.uniform(0.3, 1.7, (2, 3)), rng.uniform(-1, 1, 3)
    return torch.tensor(x.tolist(), dtype=torch.float64), torch.tensor(w.tolist(), dtype=torch.float64)


def of_one(x: Any) -> Any:
    return x.sin() * x.exp() + x.cumsum(0)


def of_two(x: Any, w: Any) -> Any:
    return (x @ w).tanh()


def two_results(x: Any, w: Any) -> Any:
    return x * w, (x.log() @ w).prod()


def some_unused(x: Any, w: Any) -> Any:
    return x**2, w.exp()


def number_of_one(x: Any) -> Any:
    return (x**3).sum() * x.prod() + x.exp().max()


def number_of_two(x: Any, w: Any) -> Any:
    return ((x @ w).sin() ** 2).sum() + (w**3).sum()


def linear_number(x: Any, w: Any) -> Any:
    return (x * 2).sum() + w.sum()


MAPS = [of_one, of_two, two_results, some_unused]
NUMBERS = [number_of_one, number_of_two, linear_number]


def arguments(torch: Any, function: Callable[..., Any]) -> Any:
    x, w = points(torch)
    return (x, w) if function.__code__.co_argcount == 2 else x


def like(torch: Any, value: Any, seed: int = 5) -> Any:
    """Random vectors of the shapes of a tensor or a tuple of them."""
    rng = np.random.default_rng(seed)
    if isinstance(value, tuple):
        return tuple(like(torch, part, seed + i) for i, part in enumerate(value))
    return torch.from_numpy(np.asarray(rng.uniform(-1, 1, tuple(value.shape))))


def same(program: Program, tolerance: float = 1e-9) -> None:
    """Runs a program on both libraries: the same structure, flags and, to a tolerance, numbers."""
    compare(program(pytorch), program(rushlight), tolerance)


def compare(theirs: Any, mine: Any, tolerance: float) -> None:
    if isinstance(theirs, (tuple, list)):
        assert isinstance(mine, (tuple, list))
        assert len(theirs) == len(mine)
        for t, m in zip(theirs, mine, strict=True):
            compare(t, m, tolerance)
    elif isinstance(theirs, pytorch.Tensor):
        assert isinstance(mine, rushlight.Tensor)
        assert theirs.requires_grad == mine.requires_grad
        assert tuple(theirs.shape) == tuple(mine.shape)
        np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), tolerance, tolerance)
    else:
        assert theirs == mine


def fails_the_same(program: Program) -> None:
    """Both raise, with the same text and a type of the same name."""
    with pytest.raises(Exception) as theirs:
        program(pytorch)
    with pytest.raises(Exception) as mine:
        program(rushlight)
    assert theirs.type.__name__ == mine.type.__name__
    assert plain(mine.value) == plain(theirs.value)


def plain(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).replace("isonly", "is only").replace("rushlight", "torch")


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("function", MAPS)
def test_vjp_and_jvp(function: Callable[..., Any], create_graph: bool) -> None:
    def program(torch: Any) -> Any:
        inputs, F = arguments(torch, function), torch.autograd.functional
        outputs = function(*inputs) if isinstance(inputs, tuple) else function(inputs)
        return [
            F.vjp(function, inputs, like(torch, outputs), create_graph),
            F.jvp(function, inputs, like(torch, inputs), create_graph),
        ]

    same(program)


@pytest.mark.parametrize("name", ["vhp", "hvp"])
@pytest.mark.parametrize("function", NUMBERS)
def test_products_with_the_hessian(function: Callable[..., Any], name: str) -> None:
    def program(torch: Any) -> Any:
        inputs = arguments(torch, function)
        return getattr(torch.autograd.functional, name)(function, inputs, like(torch, inputs))

    same(program)


def test_vectors_may_be_left_out_for_single_elements() -> None:
    def program(torch: Any) -> Any:
        F, x = torch.autograd.functional, torch.tensor([0.7], dtype=torch.float64)
        return F.vjp(of_one, x), F.jvp(of_one, x), F.vhp(number_of_one, x), F.hvp(number_of_one, x)

    same(program)


@pytest.mark.parametrize("options", [{}, {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}], ids=str)
@pytest.mark.parametrize("function", MAPS)
def test_jacobian(function: Callable[..., Any], options: dict[str, Any]) -> None:
    same(lambda torch: torch.autograd.functional.jacobian(function, arguments(torch, function), **options))


@pytest.mark.parametrize(
    "options", [{}, {"vectorize": True}, {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}], ids=str
)
@pytest.mark.parametrize("function", NUMBERS)
def test_hessian(function: Callable[..., Any], options: dict[str, Any]) -> None:
    def program(torch: Any) -> Any:
        found = torch.autograd.functional.hessian(function, arguments(torch, function), **options)
        if "outer_jacobian_strategy" not in options:
            return found
        # PyTorch's keeps a history here, though nobody asked for a graph: the numbers count
        return tuple(row.detach() if hasattr(row, "detach") else tuple(part.detach() for part in row) for row in found)

    same(program)


def test_jacobian_of_a_tuple_of_one() -> None:
    def program(torch: Any) -> Any:
        F, (x, _) = torch.autograd.functional, points(torch)
        return F.jacobian(of_one, (x,)), F.jacobian(lambda x: (of_one(x),), x), F.hessian(number_of_one, (x,))

    same(program)


def test_jacobian_with_complex_numbers() -> None:
    def program(torch: Any) -> Any:
        z = torch.tensor([0.3 + 0.4j, -1.0 + 2.0j], dtype=torch.complex128)
        return torch.autograd.functional.jacobian(lambda z: (z * z.conj() + z.exp()).real, z)

    same(program)
    complex_results = lambda torch: torch.autograd.functional.jacobian(torch.exp, torch.tensor([1j]))  # noqa: E731
    fails_the_same(complex_results)


@pytest.mark.parametrize("vectorize", [False, True])
def test_jacobians_can_be_differentiated(vectorize: bool) -> None:
    def program(torch: Any) -> Any:
        x, w = points(torch)
        x.requires_grad_()
        F = torch.autograd.functional
        jacobian = F.jacobian(of_two, (x, w), create_graph=True, vectorize=vectorize)
        hessian = F.hessian(number_of_two, (x, w), create_graph=True, vectorize=vectorize)
        return [
            jacobian,
            torch.autograd.grad((jacobian[0] ** 2).sum() + (jacobian[1] ** 2).sum(), x),
            torch.autograd.grad((hessian[0][1] ** 2).sum(), x),
        ]

    same(program)


@pytest.mark.parametrize("name", ["vjp", "jvp", "vhp", "hvp"])
def test_products_can_be_differentiated(name: str) -> None:
    def program(torch: Any) -> Any:
        x, w = points(torch)
        x.requires_grad_()
        v = torch.tensor(0.5, dtype=torch.float64, requires_grad=True) if name == "vjp" else like(torch, (x, w))
        value, product = getattr(torch.autograd.functional, name)(number_of_two, (x, w), v, create_graph=True)
        parts = product if isinstance(product, tuple) else (product,)
        loss = sum((part**2).sum() for part in parts) + value
        return value, product, torch.autograd.grad(loss, [x, v] if name == "vjp" else x)

    same(program)


def test_what_a_function_closes_over_is_constant() -> None:
    def program(torch: Any) -> Any:
        x, _ = points(torch)
        return torch.autograd.functional.jacobian(lambda y: x * y, x)

    same(program)


def test_nothing_is_left_on_the_inputs() -> None:
    def program(torch: Any) -> Any:
        x, w = points(torch)
        x.requires_grad_()
        result = torch.autograd.functional.vjp(of_two, (x, w), torch.ones(2, dtype=torch.float64))
        return result, x.grad is None, w.requires_grad

    same(program)


def test_within_no_grad() -> None:
    def program(torch: Any) -> Any:
        x, w = points(torch)
        with torch.no_grad():
            return torch.autograd.functional.hessian(number_of_two, (x, w))

    same(program)


def test_a_jacobian_without_elements() -> None:
    """PyTorch raises (stack expects a non-empty TensorList); here the Jacobian of nothing is empty."""
    empty = rushlight.zeros(0, dtype=rushlight.float64)
    assert rushlight.autograd.functional.jacobian(of_one, empty).shape == (0, 0)


# ---------------------------------------------------------------- errors

WRONG: dict[str, Callable[[Any, Any, Any], Any]] = {
    "an input that is no tensor": lambda f, x, w: f.jacobian(of_one, 3.0),
    "one of the inputs is no tensor": lambda f, x, w: f.vjp(of_two, (x, [1.0])),
    "a result that is no tensor": lambda f, x, w: f.jvp(lambda x: 1.0, x, x),
    "one of the results is no tensor": lambda f, x, w: f.jacobian(lambda x: (x, 1.0), x),
    "v that is no tensor": lambda f, x, w: f.vjp(of_one, x, 2.0),
    "v of another shape": lambda f, x, w: f.vjp(of_one, x, w),
    "an entry of v of another shape": lambda f, x, w: f.jvp(of_two, (x, w), (x, x)),
    "v of another length": lambda f, x, w: f.jvp(of_two, (x, w), (x,)),
    "too many in v": lambda f, x, w: f.vhp(number_of_one, x, (x, x)),
    "no v for vjp": lambda f, x, w: f.vjp(of_one, x),
    "no v for jvp": lambda f, x, w: f.jvp(of_one, x),
    "no v for vhp": lambda f, x, w: f.vhp(number_of_one, x),
    "no v for hvp": lambda f, x, w: f.hvp(number_of_one, x),
    "vhp of several elements": lambda f, x, w: f.vhp(of_one, x, x),
    "hvp of a tuple": lambda f, x, w: f.hvp(lambda x: (x.sum(), x.sum()), x, x),
    "hessian of several elements": lambda f, x, w: f.hessian(of_one, x),
    "hessian of a tuple": lambda f, x, w: f.hessian(lambda x: (x.sum(),), x),
    "no such strategy": lambda f, x, w: f.jacobian(of_one, x, strategy="sideways"),
    "no such outer strategy": lambda f, x, w: f.hessian(number_of_one, x, outer_jacobian_strategy="sideways"),
    "forward and not vectorized": lambda f, x, w: f.jacobian(of_one, x, strategy="forward-mode"),
    "forward and strict": lambda f, x, w: f.jacobian(of_one, x, strict=True, strategy="forward-mode", vectorize=True),
    "forward with a graph": lambda f, x, w: f.jacobian(of_one, x, create_graph=True, strategy="forward-mode"),
    "vectorized and strict": lambda f, x, w: f.jacobian(of_one, x, strict=True, vectorize=True),
    "strict vjp of a constant": lambda f, x, w: f.vjp(lambda x: x.detach(), x, x, strict=True),
    "strict vjp of an unused input": lambda f, x, w: f.vjp(lambda x, w: x, (x, w), x, strict=True),
    "strict vjp that is constant": lambda f, x, w: f.vjp(lambda x: x * 2, x, x, create_graph=True, strict=True),
    "strict jvp of an unused input": lambda f, x, w: f.jvp(lambda x, w: x, (x, w), (x, w), strict=True),
    "strict jacobian of an unused input": lambda f, x, w: f.jacobian(lambda x, w: x, (x, w), strict=True),
    "strict jacobian of a constant result": lambda f, x, w: f.jacobian(lambda x: (x, x.detach()), x, strict=True),
    "strict jacobian that is constant": lambda f, x, w: f.jacobian(
        lambda x: (x**2, x * 3), x, create_graph=True, strict=True
    ),
    "strict hessian of a linear function": lambda f, x, w: f.hessian(linear_number, (x, w), strict=True),
    "strict hessian that is constant": lambda f, x, w: f.hessian(
        lambda x: (x * x).sum(), x, create_graph=True, strict=True
    ),
    "strict vhp of a linear function": lambda f, x, w: f.vhp(linear_number, (x, w), (x, w), strict=True),
    "strict vhp of separate inputs": lambda f, x, w: f.vhp(
        lambda x, w: (x**2).sum() + w.detach().sum(), (x, w), (x, w), strict=True
    ),
    "strict hvp of a linear function": lambda f, x, w: f.hvp(linear_number, (x, w), (x, w), strict=True),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_are_pytorchs(case: str) -> None:
    fails_the_same(lambda torch: WRONG[case](torch.autograd.functional, *points(torch)))


@pytest.mark.parametrize("function", [number_of_two])
def test_strict_mode_passes_what_depends_on_everything(function: Callable[..., Any]) -> None:
    def program(torch: Any) -> Any:
        f, inputs = torch.autograd.functional, arguments(torch, function)
        return [
            f.jacobian(function, inputs, strict=True),
            f.hessian(function, inputs, strict=True),
            f.vhp(function, inputs, like(torch, inputs), strict=True),
            f.hvp(function, inputs, like(torch, inputs), strict=True),
            f.jvp(function, inputs, like(torch, inputs), strict=True),
        ]

    same(program)
