"""Tensors filled with random numbers in place, and draws whose parameters are tensors.

A draw is a constant to autograd: gradients with respect to its parameters are zeros, as PyTorch's are.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from rushlight import random as random_numbers
from rushlight.api.draws import (
    draw,
    draw_like,
    finished,
    require_bounds_dtype,
    require_continuous,
    require_kind,
    source_of,
)  # fmt: skip
from rushlight.api.views import common_shape
from rushlight.arrays.kinds import Abstract
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd.modes import no_grad
from rushlight.dtypes import finfo, from_numpy, legacy_name
from rushlight.ops import create
from rushlight.ops.copies import cast
from rushlight.ops.inplace import write
from rushlight.ops.sample import (
    dirichlet_grad as _dirichlet_grad,
    dirichlet_sample,
    gamma_sample,
    sampled,
    standard_gamma_grad as _standard_gamma_grad,
)
from rushlight.tensor import Tensor, wrap

# ---------------------------------------------------------------- filled in place


def _fill(self: Tensor, name: str, generator: Any, method: str, *args: Any) -> Tensor:
    return write(self, wrap(draw_like(self, generator, method, *args)), name)


def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Any = None, **named: Any) -> Tensor:
    """Fills with numbers uniform on [from, to)."""
    low = named.get("from", from_)
    require_kind(self._array.dtype, "fc", "check_uniform_bounds")
    if low > to:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={to:g}")
    return _fill(self, "uniform_", generator, "uniform", low, to)


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Fills with numbers from a normal distribution."""
    _check_std(std)
    require_kind(self._array.dtype, "fc", "normal_kernel_cpu")
    method = "normal" if self.is_contiguous() else "normal_in_pairs"
    return _fill(self, "normal_", generator, method, mean, std)


def _check_std(std: float) -> None:
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Any = None) -> Tensor:
    """Fills with exponentials of numbers from a normal distribution."""
    require_kind(self._array.dtype, "f", "log_normal_cpu")
    return _fill(self, "log_normal_", generator, "log_normal", mean, std)


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Any = None) -> Tensor:
    """Fills with numbers from the exponential distribution of the rate `lambd`."""
    require_continuous("Exponential", self._array.dtype)
    return _fill(self, "exponential_", generator, "exponential", lambd)


def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None) -> Tensor:
    """Fills with numbers from a Cauchy distribution."""
    require_continuous("Cauchy", self._array.dtype)
    return _fill(self, "cauchy_", generator, "cauchy", median, sigma)


def geometric_(self: Tensor, p: float, *, generator: Any = None) -> Tensor:
    """Fills with numbers of trials up to the first success, which has the probability p."""
    require_kind(self._array.dtype, "fiu", "geometric_cpu")
    return _fill(self, "geometric_", generator, "geometric", p)


def random_(self: Tensor, *bounds: int, generator: Any = None, **named: Any) -> Tensor:
    """Fills with integers: below `to`, from `from` to below `to`, or over the dtype's range."""
    dtype = self._array.dtype
    low, high = named.get("from", bounds[0] if len(bounds) == 2 else 0), named.get("to", bounds[-1] if bounds else None)
    if not bounds and "to" not in named and "from" not in named:
        require_kind(dtype, "bfiu", "random_kernel_cpu")
        return _fill(self, "random_", generator, "random_full")
    require_bounds_dtype(dtype)
    return _fill(self, "random_", generator, "randint", low, high)


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """Fills with 1 with the probability p (a number, or a tensor that broadcasts to this one), else 0.

    Raises:
        RuntimeError: a probability outside of [0, 1].
    """
    if isinstance(p, Tensor):
        require_kind(self._array.dtype, "bfiu", "bernoulli_tensor_cpu_self_")
        uniform = wrap(draw_like(self, generator, "uniform", 0.0, 1.0, dtype=_uniform_dtype(p)))
        return write(self, _below(uniform, p, self._array.dtype), "bernoulli_")
    _check_trial(p, self._array.dtype)
    return _fill(self, "bernoulli_", generator, "bernoulli", p)


def _check_trial(p: float, dtype: Any) -> None:
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    require_kind(dtype, "bfiu", "bernoulli_scalar_cpu_")


# ---------------------------------------------------------------- with tensors as parameters


def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None, out: Tensor | None = None,
    dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Draws from normal distributions: one for each element of `mean` and `std`, or `size` from one.

    Raises:
        RuntimeError: a negative or complex `std`.
    """
    tensors = [x for x in (mean, std) if isinstance(x, Tensor)]
    if not tensors:
        if size is None:
            raise TypeError("normal() received an invalid combination of arguments - got (float, float)")
        _check_std(std)
        dtype = out.dtype if dtype is None and out is not None else dtype
        require_kind(create._float_dtype(dtype), "fc", "normal_kernel_cpu")
        shape, xp = create.shape_of((size,)), create._namespace(device)
        drawn = draw(xp, generator, "normal", shape, mean, std, create._float_dtype(dtype))
        return finished(drawn, out, requires_grad, pin_memory)
    _check_std_of(std)
    numpy_dtype = tensors[0]._array.dtype
    require_kind(numpy_dtype, "fc", "normal_kernel_cpu")
    xp = create._like(tensors[0], None, None)[0]
    scale = 1.0 if isinstance(std, Tensor) else std
    with no_grad():
        result = wrap(draw(xp, generator, "normal", common_shape(*tensors), 0.0, scale, numpy_dtype))
        result = cast(result * std, dtype=numpy_dtype) if isinstance(std, Tensor) else result
        result = cast(result + mean, dtype=numpy_dtype)
    return sampled(result, *tensors) if out is None else finished(result._array, out, False)


def _check_std_of(std: Any) -> None:
    if not isinstance(std, Tensor):
        _check_std(std)
    elif std.is_complex():
        raise RuntimeError("normal expects standard deviation to be non-complex")
    elif isinstance(std._array, np.ndarray) and std.numel() and not (std._array >= 0).all():
        raise RuntimeError("normal expects all elements of std >= 0.0")


def bernoulli(input: Tensor, p: float | None = None, *, generator: Any = None, out: Tensor | None = None) -> Tensor:
    """1 with the probability that each element of `input` says (or `p`), else 0.

    Raises:
        RuntimeError: a probability outside of [0, 1].
    """
    xp, shape, dtype = create._like(input, None, None)
    if p is not None:
        _check_trial(p, dtype)
        result = wrap(draw(xp, generator, "bernoulli", shape, p, dtype))
    else:
        require_kind(dtype, "bfiu", "bernoulli_tensor_cpu_self_")
        uniform = draw(xp, generator, "uniform", shape, 0.0, 1.0, _uniform_dtype(input))
        result = _below(wrap(uniform), input, dtype)
    return sampled(result, input) if out is None else finished(result._array, out, False)


def _uniform_dtype(probability: Tensor) -> np.dtype:
    """Of the uniform numbers that probabilities are compared with.

    Raises:
        RuntimeError: a probability outside of [0, 1]. NotImplementedError: a dtype that is no float.
    """
    array = probability._array
    require_kind(array.dtype, "f", "bernoulli_tensor_cpu_p_")
    if isinstance(array, np.ndarray) and not ((array >= 0) & (array <= 1)).all():
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    return np.dtype(np.float64 if array.dtype == np.float64 else np.float32)


def _below(uniform: Tensor, probability: Tensor, dtype: np.dtype) -> Tensor:
    with no_grad():
        return cast(uniform < probability, dtype=dtype)


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Tensor | None = None
) -> Tensor:
    """Indices along the last dimension, drawn in proportion to the input's elements.

    Raises:
        RuntimeError: what is no distribution, or more samples than there are elements.
    """
    if not input.is_floating_point():
        kind = legacy_name(input._array.dtype)
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {kind}")
    if out is not None and out._array.dtype != np.int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {legacy_name(out._array.dtype)}")
    try:
        num_samples = operator.index(num_samples)
    except TypeError:
        kind = type(num_samples).__name__
        raise TypeError(f"multinomial(): argument 'num_samples' (position 2) must be int, not {kind}") from None
    if not isinstance(input._array, (SymbolicArray, Abstract)):
        random_numbers.check_weights(input._host_values("multinomial()"), num_samples, replacement)
    if replacement and num_samples > 1:
        weights, xp = (
            input._array if input.is_cuda else input._data("multinomial()"),
            create._like(input, None, None)[0],
        )
        return finished(xp.draw(source_of(generator, xp), "multinomial", weights, num_samples), out, False)
    with no_grad():  # the largest weights, each divided by a number from the exponential distribution
        scores = input / wrap(draw_like(input, generator, "exponential", 1.0))
        order = scores.argmax(-1, True) if num_samples == 1 else scores.argsort(dim=-1, descending=True, stable=True)
    return finished(order[..., :num_samples]._array, out, False)


def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Draws from the Poisson distributions whose rates are the input's elements.

    Raises:
        RuntimeError: a negative rate.
    """
    array = input._array
    require_kind(array.dtype, "f", "poisson_cpu")
    if isinstance(array, np.ndarray) and not (array >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    drawn = _drawn_by("poisson", generator, input)
    return sampled(create.beside(input, drawn.astype(array.dtype)), input)


def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """How many of `count` trials succeed that have the probability `prob` each.

    Raises:
        ValueError: a dtype that is no float.
    """
    if not count.is_floating_point():
        raise ValueError(
            f"binomial only supports floating-point dtypes for count, got: {legacy_name(count._array.dtype)}"
        )
    shape = common_shape(count, prob)
    drawn = _drawn_by("binomial", generator, count.expand(shape), prob.expand(shape))
    return sampled(create.beside(count, drawn.astype(count._array.dtype)), count, prob)


def _standard_gamma(self: Tensor, generator: Any = None) -> Tensor:
    """Draws from the gamma distributions of rate 1 whose concentrations are the input's elements, differentiably."""
    array = self._array
    require_kind(array.dtype, "f", "gamma")
    drawn = _drawn_by("gamma", generator, self)
    drawn = np.maximum(drawn, finfo(from_numpy(array.dtype)).tiny).astype(array.dtype)
    return gamma_sample(create.beside(self, drawn), self)


def _sample_dirichlet(self: Tensor, generator: Any = None) -> Tensor:
    """Draws from Dirichlet distributions, whose concentrations are along the last dimension, differentiably."""
    array = self._array
    require_kind(array.dtype, "f", "dirichlet")
    drawn = _drawn_by("gamma", generator, self.detach().double())
    share = (drawn / drawn.sum(-1, keepdims=True)).astype(array.dtype)
    one, tiny = array.dtype.type(1), np.finfo(array.dtype).tiny
    share = np.clip(share, tiny, np.nextafter(one, array.dtype.type(0)))
    return dirichlet_sample(create.beside(self, share), self)


def _drawn_by(method: str, generator: Any, *args: Any) -> np.ndarray:
    """By a generator's method that looks at values, on the CPU: a recorded program cannot hold such a draw."""
    source = source_of(generator, create._like(args[0], None, None)[0])
    arrays = [x.cpu()._data(f"{method}()") if isinstance(x, Tensor) else x for x in args]
    return np.asarray(getattr(source, method)(*arrays))


def bernoulli_mask(like: Tensor, probability: float, generator: Any = None) -> Tensor:
    """1 with the probability, else 0, in another tensor's shape and dtype: dropout's mask."""
    return wrap(draw_like(like, generator, "bernoulli", probability))
