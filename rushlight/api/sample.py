"""Random draws whose parameters are tensors, in PyTorch's numbers and spelling."""

from __future__ import annotations

from typing import Any

from rushlight import random as random_numbers
from rushlight.api.views import common_shape
from rushlight.ops import create, sample as ops
from rushlight.ops.define import creation_namespace
from rushlight.tensor import Tensor, wrap


def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, layout: Any = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Draws from normal distributions: one for each element of `mean` and `std`, or `size` from one.

    Raises:
        RuntimeError: a negative `std`.
    """
    tensors = [x for x in (mean, std) if isinstance(x, Tensor)]
    if not isinstance(std, Tensor) and std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    if tensors:
        like, shape = tensors[0], common_shape(*tensors)
        noise = _drawn("normal", shape, like._array.dtype, generator)
        return ops.normal(noise, mean, std)
    noise = create.randn(size, generator=generator, dtype=dtype, device=device)
    return (noise * std + mean).requires_grad_(requires_grad)


def bernoulli(input: Tensor, p: float | None = None, *, generator: Any = None) -> Tensor:
    """1 with the probability that each element of `input` says (or `p`), else 0.

    Raises:
        RuntimeError: a probability outside of [0, 1].
    """
    if p is not None:
        return input.clone().detach().bernoulli_(p, generator=generator)
    array = input._array
    if hasattr(array, "min") and array.size and not (array.min() >= 0 and array.max() <= 1):
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    return ops.bernoulli(_drawn("uniform", array.shape, array.dtype, generator), input)


def _drawn(method: str, shape: tuple[int, ...], dtype: Any, generator: Any) -> Tensor:
    source = generator or random_numbers.default_generator
    return wrap(creation_namespace().draw(source, method, shape, 0.0, 1.0, dtype))
