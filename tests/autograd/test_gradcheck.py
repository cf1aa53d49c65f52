"""`gradcheck` and `gradgradcheck`: right functions pass, wrong ones fail, each for its reason, as with PyTorch on the same functions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as pytorch

import rushlight
from rushlight.autograd.gradcheck import (
    GradcheckError,
    get_analytical_jacobian,
    get_numerical_jacobian,
    get_numerical_jacobian_wrt_specific_input,
)  # fmt: skip
from rushlight.ops.define import op

MODES = pytest.mark.parametrize("fast_mode", [False, True], ids=["slow", "fast"])


def tensors(torch: Any, *shapes: tuple[int, ...], dtype: str = "float64") -> Any:
    """Numbers between 0.3 and 1.7, the same for both libraries; complex ones with an imaginary part."""
    rng, made = np.random.default_rng(7), []
    for shape in shapes:
        values = np.asarray(rng.uniform(0.3, 1.7, shape))
        if dtype.startswith("complex"):
            values = values + 1j * rng.uniform(0.3, 1.7, shape)
        made.append(torch.tensor(values.tolist(), dtype=getattr(torch, dtype), requires_grad=True))
    return tuple(made)


# ---------------------------------------------------------------- right functions

RIGHT: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "elementwise": (lambda x: x.sin() * x.exp(), [(2, 3)]),
    "two inputs": (lambda x, w: (x @ w).tanh(), [(2, 3), (3,)]),
    "two results": (lambda x: (x**3, x.log().sum()), [(2, 2)]),
    "broadcast": (lambda x, w: x / w, [(2, 3), (3,)]),
    "a number": (lambda x: x * x * x, [()]),
    "an unused input": (lambda x, w: x * 2, [(2,), (3,)]),
    "a view of the input": (lambda x: x.t(), [(2, 3)]),
    "the input itself": (lambda x: x, [(3,)]),
    "written in place": (lambda x: x.clone().mul_(x), [(3,)]),
    "linear algebra": (lambda x: (x @ x.mT + 2 * x.new_ones(2, 2)).det(), [(2, 2)]),
    "integers beside it": (lambda x: (x.square(), x.argmax()), [(4,)]),
    "no elements": (lambda x: x.exp(), [(0, 2)]),
    "constant": (lambda x: (x.detach() > 0).double(), [(2,)]),
}


@MODES
@pytest.mark.parametrize("case", RIGHT)
def test_right_functions_pass(case: str, fast_mode: bool) -> None:
    function, shapes = RIGHT[case]
    if case == "no elements" and fast_mode:
        shapes = [(1, 2)]  # of nothing there is no random direction: PyTorch's check divides zero by zero
    for torch in (pytorch, rushlight):
        assert torch.autograd.gradcheck(function, tensors(torch, *shapes), fast_mode=fast_mode)


@MODES
@pytest.mark.parametrize("case", ["elementwise", "two inputs", "two results", "broadcast", "written in place"])
def test_right_second_derivatives_pass(case: str, fast_mode: bool) -> None:
    function, shapes = RIGHT[case]
    for torch in (pytorch, rushlight):
        inputs = tensors(torch, *shapes)
        assert torch.autograd.gradgradcheck(function, inputs, fast_mode=fast_mode)
        assert torch.autograd.gradgradcheck(function, inputs, fast_mode=fast_mode, gen_non_contig_grad_outputs=True)


COMPLEX: dict[str, Callable[..., Any]] = {
    "holomorphic": lambda z: z.exp() * z,
    "not holomorphic": lambda z: z.abs() + z.angle(),
    "conjugate": lambda z: z * z.conj(),
    "a complex and a real result": lambda z: (z.sin(), z.real),
}


@MODES
@pytest.mark.parametrize("case", COMPLEX)
def test_complex_functions_pass(case: str, fast_mode: bool) -> None:
    for torch in (pytorch, rushlight):
        inputs = tensors(torch, (2, 2), dtype="complex128")
        assert torch.autograd.gradcheck(COMPLEX[case], inputs, fast_mode=fast_mode)
        assert torch.autograd.gradgradcheck(COMPLEX[case], inputs, fast_mode=fast_mode)


@MODES
def test_from_real_to_complex_numbers(fast_mode: bool) -> None:
    for torch in (pytorch, rushlight):
        assert torch.autograd.gradcheck(lambda x: x * (1 + 2j), tensors(torch, (3,)), fast_mode=fast_mode)


def test_a_tensor_that_is_not_an_argument_is_seen() -> None:
    for torch in (pytorch, rushlight):
        (x,) = tensors(torch, (3,))
        assert torch.autograd.gradcheck(lambda _, x=x: x.sin(), x)


def test_inputs_are_left_as_they_were() -> None:
    (x,) = tensors(rushlight, (2, 3))
    before, stream = x.detach().clone(), rushlight.get_rng_state()
    rushlight.autograd.gradcheck(rushlight.sin, x, fast_mode=True)
    assert rushlight.equal(x.detach(), before)
    assert x.grad is None
    assert rushlight.equal(rushlight.get_rng_state(), stream)


def test_any_memory_layout_without_overlap() -> None:
    values = np.random.default_rng(0).uniform(0.5, 2, (4, 6))
    for array in (values.T, values[::2, 1::2], values[::-1]):
        x = rushlight.from_numpy(array).requires_grad_()
        assert rushlight.autograd.gradcheck(lambda x: x.log() * x, x)


# ---------------------------------------------------------------- wrong functions, written twice


def pytorchs(forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
    return custom(pytorch, forward, backward)


def custom(torch: Any, forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
    """A function with a derivative of one's own: `backward(grads..., inputs...)`."""

    class Custom(torch.autograd.Function):  # type: ignore[name-defined]
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return backward(*grads, *ctx.saved_tensors)

    return Custom.apply


@op()
def square_times_2_5(xp, x):
    return xp.multiply(x, x)


square_times_2_5.derivative(x=lambda xp, grad, x: grad * x * 2.5)


@op()
def product_and_wrong(xp, x, y):
    return xp.multiply(x, y)


product_and_wrong.derivative(x=lambda xp, grad, y: grad * y, y=lambda xp, grad, x: grad * x * x)


@op(outputs=("sine", "cosine"))
def sine_and_wrong_cosine(xp, x):
    return xp.sin(x), xp.cos(x)


sine_and_wrong_cosine.derivative(
    x=lambda xp, grads, sine, cosine: (
        (0 if grads[0] is None else grads[0] * cosine) + (0 if grads[1] is None else grads[1] * sine)
    )  # should be minus
)


@op(wirtinger=True)
def wrong_square(xp, x):
    return xp.multiply(x, x)


wrong_square.derivative(x=lambda xp, grad, x: grad * 2 * x)  # should be conj(x)

WRONG: dict[str, tuple[Any, Any, list[tuple[int, ...]], str]] = {
    "a factor": (pytorchs(lambda x: x * x, lambda g, x: g * x * 2.5), square_times_2_5, [(2, 2)], "float64"),
    "of the second input": (
        pytorchs(lambda x, y: x * y, lambda g, x, y: (g * y, g * x * x)), product_and_wrong, [(2,), (2,)], "float64",
    ),
    "of the second result": (
        pytorchs(lambda x: (x.sin(), x.cos()), lambda g, h, x: g * x.cos() + h * x.sin()), sine_and_wrong_cosine, [(2,)],
        "float64",
    ),
    "complex": (pytorchs(lambda x: x * x, lambda g, x: g * 2 * x), wrong_square, [(2,)], "complex128"),
}  # fmt: skip


def failure(torch: Any, function: Any, inputs: Any, **options: Any) -> str:
    with pytest.raises(RuntimeError) as caught:
        torch.autograd.gradcheck(function, inputs, **options)
    assert type(caught.value).__name__ == "GradcheckError"
    return str(caught.value)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.\d*(?:e[-+]\d+)?", text)]


@MODES
@pytest.mark.parametrize("case", WRONG)
def test_wrong_functions_fail_with_pytorchs_words_and_numbers(case: str, fast_mode: bool) -> None:
    theirs, mine, shapes, dtype = WRONG[case]
    expected = failure(pytorch, theirs, tensors(pytorch, *shapes, dtype=dtype), fast_mode=fast_mode)
    got = failure(rushlight, mine, tensors(rushlight, *shapes, dtype=dtype), fast_mode=fast_mode)
    start = expected.index("analytical:")
    assert got[:start].split("numerical:")[0] == expected[:start].split("numerical:")[0]
    shown = slice(None) if fast_mode else slice(start)
    np.testing.assert_allclose(
        np.abs(numbers(got[shown]))[: len(numbers(expected[shown]))], np.abs(numbers(expected[shown])), 1e-3, 1e-3
    )


@MODES
@pytest.mark.parametrize("case", WRONG)
def test_wrong_functions_give_false_without_exceptions(case: str, fast_mode: bool) -> None:
    theirs, mine, shapes, dtype = WRONG[case]
    for torch, function in ((pytorch, theirs), (rushlight, mine)):
        inputs = tensors(torch, *shapes, dtype=dtype)
        assert not torch.autograd.gradcheck(function, inputs, raise_exception=False, fast_mode=fast_mode)
        assert torch.autograd.gradcheck(function, inputs, atol=100.0, fast_mode=fast_mode)


@MODES
def test_wrong_functions_of_users_fail_with_pytorchs_words_and_numbers(fast_mode: bool) -> None:
    forward, backward = (lambda x, y: x * y.exp()), (lambda g, x, y: (g * y.exp(), g * x))
    texts = [
        failure(torch, custom(torch, forward, backward), tensors(torch, (2,), (2,)), fast_mode=fast_mode)
        for torch in (pytorch, rushlight)
    ]
    assert texts[0].startswith("Jacobian mismatch for output 0 with respect to input 1,\nnumerical:")
    assert texts[1].split("numerical:")[0] == texts[0].split("numerical:")[0]
    np.testing.assert_allclose(numbers(texts[1])[: len(numbers(texts[0]))], numbers(texts[0]), 1e-3, 1e-3)
    right = lambda g, x, y: (g * y.exp(), g * x * y.exp())  # noqa: E731
    assert rushlight.autograd.gradcheck(custom(rushlight, forward, right), tensors(rushlight, (2,), (2,)))
    assert rushlight.autograd.gradgradcheck(custom(rushlight, forward, right), tensors(rushlight, (2,), (2,)))


def test_the_message_says_where_jacobians_part() -> None:
    text = failure(rushlight, square_times_2_5, rushlight.tensor([1.0, 8.0], dtype=rushlight.float64).requires_grad_())
    assert "numerical:tensor([[ 2.0000,  0.0000],\n        [ 0.0000, 16.0000]], dtype=torch.float64)\n" in text
    assert "analytical:tensor([[ 2.5000,  0.0000],\n        [ 0.0000, 20.0000]], dtype=torch.float64)\n" in text
    assert text.splitlines()[-1] == (
        "They part most in the derivative of output[1], made by SquareTimes25Backward0, with respect to input[1]: "
        "numerical 16, analytical 20, difference 4, allowed 0.016. 2 of 4 elements differ."
    )


def test_the_message_shows_nan() -> None:
    x = rushlight.tensor([0.0, 1.0], dtype=rushlight.float64).requires_grad_()
    text = failure(rushlight, lambda x: (x * x).sqrt() * x, x)
    assert "analytical nan" in text
    assert "2 of 4 elements differ" in text


SIGNS = np.resize([1.0, -1.0], 40)


@op()
def alternating_sum(xp, x):
    return xp.sum(xp.multiply(x, SIGNS), axis=(0,), keepdims=True)


alternating_sum.derivative(x=lambda xp, grad: grad * (SIGNS + 9e-4))


def test_fast_mode_tells_of_differences_that_slow_mode_would_pass() -> None:
    (x,) = tensors(rushlight, (40,))
    assert rushlight.autograd.gradcheck(alternating_sum, x, atol=1e-7)
    text = failure(rushlight, alternating_sum, x, atol=1e-7, fast_mode=True)
    assert "The max per-element difference (slow mode) is: 0.000" in text
    assert "This means that the\ntest might've passed in slow_mode!" in text


@op()
def cube(xp, x):
    return xp.multiply(x, xp.multiply(x, x))


cube.derivative(
    x=lambda xp, grad, x: grad * 1.5 * square_times_2_5(x) * 2 if hasattr(x, "detach") else grad * 3 * x * x
)


def test_wrong_second_derivatives_fail() -> None:
    (x,) = tensors(rushlight, (2,))
    assert rushlight.autograd.gradcheck(cube, x)
    assert not rushlight.autograd.gradgradcheck(cube, x, raise_exception=False)
    with pytest.raises(GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0,\nnumerical:"):
        rushlight.autograd.gradgradcheck(cube, x)


def test_second_derivatives_with_weights_of_ones_own() -> None:
    for torch in (pytorch, rushlight):
        x, weight = tensors(torch, (3,), (3,))
        assert torch.autograd.gradgradcheck(torch.sin, x, weight)
        assert torch.autograd.gradgradcheck(torch.sin, x, weight.detach())


# ---------------------------------------------------------------- forward mode, and batches


@MODES
@pytest.mark.parametrize("case", [case for case in RIGHT if case not in ("no elements", "constant")])
def test_right_functions_pass_in_forward_mode_and_in_batches(case: str, fast_mode: bool) -> None:
    function, shapes = RIGHT[case]
    for torch in (pytorch, rushlight):
        options = {"check_batched_grad": True, "check_forward_ad": True, "check_batched_forward_grad": True}
        assert torch.autograd.gradcheck(function, tensors(torch, *shapes), fast_mode=fast_mode, **options)
        assert torch.autograd.gradcheck(
            function, tensors(torch, *shapes), fast_mode=fast_mode, check_forward_ad=True, check_backward_ad=False
        )


@MODES
@pytest.mark.parametrize("case", COMPLEX)
def test_complex_functions_pass_in_forward_mode(case: str, fast_mode: bool) -> None:
    for torch in (pytorch, rushlight):
        inputs = tensors(torch, (2, 2), dtype="complex128")
        assert torch.autograd.gradcheck(COMPLEX[case], inputs, fast_mode=fast_mode, check_forward_ad=True)


@MODES
def test_second_derivatives_pass_forward_over_backward_and_in_batches(fast_mode: bool) -> None:
    function, shapes = RIGHT["two inputs"]
    for torch in (pytorch, rushlight):
        options = {"check_fwd_over_rev": True, "check_batched_grad": True, "fast_mode": fast_mode}
        assert torch.autograd.gradgradcheck(function, tensors(torch, *shapes), **options)


@op(elementwise=True)
def sine_with_a_wrong_tangent(xp, x):
    return xp.sin(x)


sine_with_a_wrong_tangent.derivative(x=lambda xp, grad, x: grad * xp.cos(x) * 1.01)


@MODES
def test_wrong_tangents_fail(fast_mode: bool) -> None:
    class Sine(pytorch.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return x.sin()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            raise NotImplementedError

        @staticmethod
        def jvp(ctx: Any, tangent: Any) -> Any:
            return tangent * ctx.saved_tensors[0].cos() * 1.01

    options = {"check_forward_ad": True, "check_backward_ad": False, "fast_mode": fast_mode}
    expected = failure(pytorch, Sine.apply, tensors(pytorch, (2,)), **options)
    got = failure(rushlight, sine_with_a_wrong_tangent, tensors(rushlight, (2,)), **options)
    assert got.startswith(
        "Jacobian computed with forward mode mismatch for output 0 with respect to input 0,\nnumerical:"
    )
    np.testing.assert_allclose(numbers(got)[: len(numbers(expected))], numbers(expected), 1e-3, 1e-3)


def test_a_backward_pass_that_cannot_be_batched_fails() -> None:
    @op()
    def closed(xp, x):
        return xp.multiply(x, 2)

    def formula(xp: Any, grad: Any) -> Any:
        if type(grad) is not np.ndarray:
            raise RuntimeError("only for arrays")
        return grad * 2

    closed.derivative(x=formula)
    inputs = tensors(rushlight, (2,))
    assert rushlight.autograd.gradcheck(closed, inputs)
    text = failure(rushlight, closed, inputs, check_batched_grad=True)
    assert text.startswith(
        "While computing batched gradients, got: only for arrays\n\ngradcheck or gradgradcheck failed while"
    )


# ---------------------------------------------------------------- everything else that is checked


def test_a_backward_pass_that_gives_other_values_each_time() -> None:
    count = itertools.count(1)

    @op()
    def unsteady(xp, x):
        return xp.multiply(x, 2)

    unsteady.derivative(x=lambda xp, grad: grad * (2 + next(count) * 1e-7))
    theirs = pytorchs(lambda x: x * 2, lambda g, x: g * (2 + next(count) * 1e-7))
    for torch, function in ((pytorch, theirs), (rushlight, unsteady)):
        inputs = tensors(torch, (2,))
        assert failure(torch, function, inputs).startswith(
            "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives different "
            "values, although analytical gradient matches numerical gradient."
        )
        assert torch.autograd.gradcheck(function, inputs, nondet_tol=1e-4)


def test_a_backward_pass_that_forgets_the_gradient_of_its_output() -> None:
    @op()
    def forgetful(xp, x):
        return xp.multiply(x, 2)

    forgetful.derivative(x=lambda xp, grad: grad * 0 + 2)
    theirs = pytorchs(lambda x: x * 2, lambda g, x: g * 0 + 2)
    for torch, function in ((pytorch, theirs), (rushlight, forgetful)):
        assert failure(torch, function, tensors(torch, ())) == "backward not multiplied by grad_output"


def test_a_function_that_hides_its_dependence() -> None:
    for torch, fast_mode in itertools.product((pytorch, rushlight), (False, True)):
        text = failure(torch, lambda x: x.detach() * 2, tensors(torch, (2,)), fast_mode=fast_mode)
        assert text == "Numerical gradient for function expected to be zero"


def test_a_formula_that_cannot_do_without_a_gradient() -> None:
    @op(outputs=("sine", "cosine", "double"))
    def needy(xp, x):
        return xp.sin(x), xp.cos(x), xp.multiply(x, 2)

    def formula(xp: Any, grads: Any, sine: Any, cosine: Any) -> Any:
        parts = cosine, -sine, 2.0
        given = [grad * part for grad, part in zip(grads, parts, strict=True) if grad is not None]
        return given[0] if len(given) == 1 else grads[0] * parts[0] + grads[1] * parts[1] + grads[2] * parts[2]

    needy.derivative(x=formula)
    inputs = tensors(rushlight, (2,))
    assert rushlight.autograd.gradcheck(needy, inputs, check_undefined_grad=False)
    text = failure(rushlight, needy, inputs)
    assert text.startswith(
        "Expected backward function to handle undefined output grads, but without that of output 0 got:"
    )


def test_gradients_that_do_not_fit() -> None:
    @op()
    def misshapen(xp, x):
        return xp.multiply(x, 2)

    misshapen.derivative(x=lambda xp, grad: xp.reshape(grad * 2, (2, 1)))

    @op()
    def short(xp, x):
        return xp.multiply(x, 2)

    short.derivative(x=lambda xp, grad: xp.astype(grad * 2, np.dtype(np.float32)))
    inputs = tensors(rushlight, (2,))
    assert failure(rushlight, misshapen, inputs) == "Analytical gradient has incorrect size"
    assert failure(rushlight, short, inputs, check_grad_dtypes=True) == "Gradient has dtype mismatch"
    assert failure(rushlight, short, inputs).startswith("grad is incorrect type")


def test_sparse_gradients_of_dense_tensors_are_refused() -> None:
    for torch in (pytorch, rushlight):
        index = torch.tensor([0, 2, 2])
        lookup = lambda w, torch=torch, index=index: torch.nn.functional.embedding(index, w, sparse=True)  # noqa: E731
        text = failure(torch, lookup, tensors(torch, (3, 2)))
        assert text == "grad is incorrect layout (torch.sparse_coo is not torch.strided)"


@pytest.mark.parametrize("what", ["shape", "dtype"])
def test_results_that_change_with_the_input(what: str) -> None:
    for torch in (pytorch, rushlight):
        x = torch.ones(2, dtype=torch.float64, requires_grad=True)

        def unsteady(x: Any, torch: Any = torch) -> Any:
            if (x.detach() >= 1).all():
                return x * 2
            return x[:1] if what == "shape" else (x * 2).to(torch.complex128)

        with pytest.raises(AssertionError) as caught:
            torch.autograd.gradcheck(unsteady, x)
        assert str(caught.value).startswith(
            f"Expected `func` to return outputs with the same {what} when inputs are perturbed on index (0,) by 1e-06, but got:"
        )


# ---------------------------------------------------------------- arguments


def same_error(program: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as theirs:
        program(pytorch)
    with pytest.raises(type(theirs.value)) as mine:
        program(rushlight)
    assert str(mine.value) == str(theirs.value)


ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "nothing requires gradients": lambda torch: torch.autograd.gradcheck(torch.sin, torch.ones(2, dtype=torch.float64)),
    "overlapping memory": lambda torch: torch.autograd.gradcheck(
        torch.sin, torch.ones(1, dtype=torch.float64, requires_grad=True).expand(3)
    ),
    "neither pass": lambda torch: torch.autograd.gradcheck(torch.sin, tensors(torch, (2,)), check_backward_ad=False),
    "batches without backward": lambda torch: torch.autograd.gradcheck(
        torch.sin, tensors(torch, (2,)), check_backward_ad=False, check_forward_ad=True, check_batched_grad=True
    ),
    "batches without forward": lambda torch: torch.autograd.gradcheck(
        torch.sin, tensors(torch, (2,)), check_batched_forward_grad=True
    ),
    "second derivatives by no pass": lambda torch: torch.autograd.gradgradcheck(
        torch.sin, tensors(torch, (2,)), check_rev_over_rev=False
    ),
    "undefined gradients without backward": lambda torch: torch.autograd.gradgradcheck(
        torch.sin, tensors(torch, (2,)), check_rev_over_rev=False, check_fwd_over_rev=True
    ),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_that_cannot_be(case: str) -> None:
    same_error(ARGUMENTS[case])


def test_single_precision_is_warned_of() -> None:
    for torch in (pytorch, rushlight):
        (x,) = tensors(torch, (2,), dtype="float32")
        with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double precision floating point"):
            torch.autograd.gradcheck(torch.sin, x, eps=1e-2, atol=1e-2)


# ---------------------------------------------------------------- single Jacobians


@pytest.mark.filterwarnings("ignore:.*private API:FutureWarning")
def test_single_jacobians_are_pytorchs() -> None:
    theirs, mine = tensors(pytorch, (2, 3), (3,)), tensors(rushlight, (2, 3), (3,))
    checks = pytorch.autograd.gradcheck.__globals__
    expected = checks["get_numerical_jacobian"](lambda inputs: inputs[0] @ inputs[1].exp(), theirs)
    got = get_numerical_jacobian(lambda inputs: inputs[0] @ inputs[1].exp(), mine)
    for e, g in zip(expected, got, strict=True):
        np.testing.assert_allclose(g.numpy(), e.numpy(), 1e-9, 1e-9)
    expected, *flags = checks["get_analytical_jacobian"](theirs, theirs[0] @ theirs[1].exp())
    got, *mine_flags = get_analytical_jacobian(mine, mine[0] @ mine[1].exp())
    assert flags == mine_flags == [True, True, True]
    for e, g in zip(expected, got, strict=True):
        np.testing.assert_allclose(g.numpy(), e.numpy(), 1e-9, 1e-9)
    (second,) = get_numerical_jacobian_wrt_specific_input(lambda x, w: x @ w.exp(), 1, mine, None, 1e-6)
    np.testing.assert_allclose(second.numpy(), got[1].numpy(), 1e-7, 1e-7)


def test_single_jacobians_are_deprecated_and_refuse_what_pytorchs_do() -> None:
    (x,) = tensors(rushlight, (2,))
    with pytest.warns(FutureWarning), pytest.raises(ValueError, match=r"Expected grad_out to be 1\.0"):
        get_numerical_jacobian(lambda inputs: inputs[0], (x,), grad_out=2.0)
    with pytest.warns(FutureWarning), pytest.raises(ValueError, match="Expected output to be non-complex"):
        get_analytical_jacobian((x,), x * 1j)
    with pytest.raises(AssertionError, match="Expected input to have requires_grad=True"):
        get_numerical_jacobian_wrt_specific_input(lambda x: x, 0, (x.detach(),), None, 1e-6)


def test_the_function_stays_callable_once_its_module_is_imported() -> None:
    import rushlight.autograd.gradcheck as module

    assert module.GradcheckError is GradcheckError
    assert rushlight.autograd.gradcheck(rushlight.sin, tensors(rushlight, (2,)))
