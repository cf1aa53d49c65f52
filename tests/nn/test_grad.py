"""The gradients of convolutions as functions, beside PyTorch."""

import pytest

pytest.importorskip("torch")


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2}])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_gradients_of_convolutions(same, axes, options):
    def ask(t):
        x = t.linspace(-1, 1, 2 * 4 * 7**axes, dtype=t.float64).reshape(2, 4, *(7,) * axes)
        groups = options.get("groups", 1)
        weight = t.linspace(-1, 1, 6 * 4 // groups * 3**axes, dtype=t.float64).reshape(6, 4 // groups, *(3,) * axes)
        grad = getattr(t.nn.functional, f"conv{axes}d")(x, weight, **options).sin()
        by_input = getattr(t.nn.grad, f"conv{axes}d_input")(x.shape, weight, grad, **options)
        return by_input, getattr(t.nn.grad, f"conv{axes}d_weight")(x, weight.shape, grad, **options)

    same(ask, 1e-10)
