"""Random chains of operations on random arrays, against NumPy in float64 and against finite differences.

    RUSHLIGHT_EXAMPLES=20000 pytest tests/test_properties.py

Shapes have zeros and ones in them, operands broadcast, and arrays lie in memory in any way: transposed, with gaps, backwards,
repeated. Hypothesis picks a number for a chain; everything else is drawn from it by NumPy, so that no two elements are equal
by chance. The seed is printed when a case fails, and by `pytest -s`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, seed, settings, strategies

import rushlight

EXAMPLES = int(os.environ.get("RUSHLIGHT_EXAMPLES", "600"))
SEED = int(os.environ.get("RUSHLIGHT_SEED", "20261123"))
thorough = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))


# ---------------------------------------------------------------- arrays


def random_array(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Values in (-2, 2), in one of many memory layouts."""
    array = rng.uniform(-2, 2, shape)
    layout = rng.integers(6)
    if layout == 1 and array.ndim > 1:
        axes = rng.permutation(array.ndim)
        array = np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))
    elif layout == 2 and array.ndim:
        gaps = np.empty((*shape[:-1], 2 * shape[-1]))
        gaps[..., ::2] = array
        array = gaps[..., ::2]
    elif layout == 3 and array.ndim:
        array = np.ascontiguousarray(array[::-1])[::-1]
    elif layout == 4 and array.ndim:
        array = np.broadcast_to(array[:1], shape) if shape[0] else array
    elif layout == 5:
        offset = np.empty(array.size + 1)[1:].reshape(shape)
        offset[...] = array
        array = offset
    return array


def random_shape(rng: np.random.Generator, most: int = 4) -> tuple[int, ...]:
    sizes = rng.choice([0, 1, 1, 2, 3, 4, 5], size=rng.integers(most + 1), p=[0.05, 0.15, 0.1, 0.25, 0.2, 0.15, 0.1])
    return tuple(int(n) for n in sizes)


def broadcasting(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to this one."""
    cut = shape[rng.integers(len(shape) + 1) :]
    return tuple(1 if rng.random() < 0.3 else n for n in cut)


# ---------------------------------------------------------------- operations, each beside NumPy's


@dataclass
class Step:
    """One operation on a value: rushlight's and NumPy's function of (value, its further arrays)."""

    name: str
    ours: Callable[..., Any]
    numpy: Callable[..., Any]
    arrays: list[np.ndarray] = field(default_factory=list)


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    if not x.shape[axis]:
        return x.copy()
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def logsumexp(x: np.ndarray, axis: int) -> np.ndarray:
    return np.log(np.exp(x).sum(axis))


UNARY: list[tuple[str, Callable[..., Any]]] = [
    ("sin", np.sin), ("cos", np.cos), ("tanh", np.tanh), ("neg", np.negative), ("square", np.square), ("atan", np.arctan),
    ("sigmoid", lambda x: 1 / (1 + np.exp(-x))), ("asinh", np.arcsinh), ("erf", None),
]  # fmt: skip
BINARY = [
    ("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("maximum", np.maximum), ("minimum", np.minimum),
    ("atan2", np.arctan2), ("hypot", np.hypot), ("logaddexp", np.logaddexp),
]  # fmt: skip


def elementwise(rng: np.random.Generator, x: np.ndarray) -> Step:
    if rng.random() < 0.5:
        name, function = UNARY[rng.integers(len(UNARY))]
        if function is None:
            from scipy import special

            function = getattr(special, name)
        return Step(name, lambda t: getattr(t, name)(), function)
    name, function = BINARY[rng.integers(len(BINARY))]
    shape = broadcasting(rng, x.shape) if rng.random() < 0.7 else (*random_shape(rng, 1), *x.shape)
    other = random_array(rng, shape)
    return Step(name, lambda t, o: getattr(rushlight, name)(t, o), function, [other])


def reduction(rng: np.random.Generator, x: np.ndarray) -> Step:
    kind = rng.integers(6)
    keep = bool(rng.integers(2))
    if not x.ndim or kind == 0:
        return Step("sum of all", lambda t: t.sum(), lambda a: a.sum())
    axis = int(rng.integers(-x.ndim, x.ndim))
    if kind == 1 and x.shape[axis]:
        return Step(f"mean {axis}", lambda t: t.mean(axis, keep), lambda a: a.mean(axis, keepdims=keep))
    if kind == 2 and x.shape[axis]:
        return Step(f"amax {axis}", lambda t: t.amax(axis, keep), lambda a: a.max(axis, keepdims=keep))
    if kind == 3 and x.shape[axis] > 1:
        return Step(f"var {axis}", lambda t: t.var(axis, keepdim=keep), lambda a: a.var(axis, ddof=1, keepdims=keep))
    if kind == 4 and x.shape[axis]:
        return Step(f"logsumexp {axis}", lambda t: t.logsumexp(axis), lambda a: logsumexp(a, axis))
    axes = tuple(int(i) for i in rng.permutation(x.ndim)[: rng.integers(1, x.ndim + 1)])
    return Step(f"sum {axes}", lambda t: t.sum(axes, keep), lambda a: a.sum(axes, keepdims=keep))


def along(rng: np.random.Generator, x: np.ndarray) -> Step:
    if not x.ndim:
        return elementwise(rng, x)
    axis, kind = int(rng.integers(-x.ndim, x.ndim)), rng.integers(6)
    size = x.shape[axis]
    if kind == 0:
        return Step(f"cumsum {axis}", lambda t: t.cumsum(axis), lambda a: a.cumsum(axis))
    if kind == 1:
        return Step(f"softmax {axis}", lambda t: t.softmax(axis), lambda a: softmax(a, axis))
    if kind == 2:
        return Step(f"sort {axis}", lambda t: t.sort(axis)[0], lambda a: np.sort(a, axis))
    if kind == 3 and size:
        index = rng.integers(0, size, rng.integers(1, 5))
        return Step(
            f"index_select {axis}",
            lambda t: t.index_select(axis, rushlight.from_numpy(index)),
            lambda a: a.take(index, axis),
        )
    if kind == 4 and size:
        index = rng.integers(0, size, (*x.shape[: axis % x.ndim], 3, *x.shape[axis % x.ndim + 1 :]))
        return Step(
            f"gather {axis}",
            lambda t: t.gather(axis, rushlight.from_numpy(index)),
            lambda a: np.take_along_axis(a, index, axis),
        )
    return Step(f"cat {axis}", lambda t: rushlight.cat([t, t.flip(axis)], axis), lambda a: np.concatenate([a, np.flip(a, axis)], axis))  # fmt: skip


def rearrangement(rng: np.random.Generator, x: np.ndarray) -> Step:
    kind = rng.integers(7)
    if kind == 0:
        axes = tuple(int(i) for i in rng.permutation(x.ndim))
        return Step(f"permute {axes}", lambda t: t.permute(axes), lambda a: a.transpose(axes))
    if kind == 1:
        return Step("flatten", lambda t: t.reshape(-1), lambda a: a.reshape(-1))
    if kind == 2:
        axis = int(rng.integers(-x.ndim - 1, x.ndim + 1))
        return Step(f"unsqueeze {axis}", lambda t: t.unsqueeze(axis), lambda a: np.expand_dims(a, axis))
    if kind == 3 and x.ndim:
        index = tuple(
            slice(int(rng.integers(-2, 2)), None, int(rng.integers(1, 3))) for _ in range(rng.integers(1, x.ndim + 1))
        )
        return Step(f"slice {index}", lambda t: t[index], lambda a: a[index])
    if kind == 4 and x.ndim and x.shape[0]:
        at = int(rng.integers(-x.shape[0], x.shape[0]))
        return Step(f"select {at}", lambda t: t[at], lambda a: a[at])
    if kind == 5:
        shape = (2, *x.shape)
        return Step("expand", lambda t: t.expand(shape), lambda a: np.broadcast_to(a, shape))
    return Step("flip", lambda t: t.flip(tuple(range(x.ndim))), lambda a: np.flip(a))


def product(rng: np.random.Generator, x: np.ndarray) -> Step:
    if not x.ndim:
        return elementwise(rng, x)
    other = random_array(rng, (x.shape[-1], int(rng.integers(1, 4))) if rng.random() < 0.7 else (x.shape[-1],))
    return Step("matmul", lambda t, o: t @ o, lambda a, b: a @ b, [other])


KINDS = [elementwise, elementwise, elementwise, reduction, along, rearrangement, rearrangement, product]


def random_chain(number: int) -> tuple[np.ndarray, list[Step], np.ndarray]:
    """(the array it starts from, the steps, what NumPy makes of it)."""
    rng = np.random.default_rng([SEED, number])
    start = value = random_array(rng, random_shape(rng))
    steps = []
    for _ in range(rng.integers(1, 7)):
        step = KINDS[rng.integers(len(KINDS))](rng, value)
        result = np.asarray(step.numpy(value, *step.arrays))
        if result.size > 3000 or not (np.abs(result) < 1e6).all():
            break
        steps.append(step)
        value = result
    return start, steps, value


def by_numpy(steps: list[Step], start: np.ndarray, arrays: list[list[np.ndarray]]) -> np.ndarray:
    value = start
    for step, others in zip(steps, arrays, strict=True):
        value = np.asarray(step.numpy(value, *others))
    return value


def by_rushlight(steps: list[Step], start: Any, arrays: list[list[Any]]) -> Any:
    value = start
    for step, others in zip(steps, arrays, strict=True):
        value = step.ours(value, *others)
    return value


# ---------------------------------------------------------------- the properties

numbers = strategies.integers(0, 2**40)


@pytest.fixture(scope="module", autouse=True)
def _print_seed() -> None:
    print(f"seed {SEED}, {EXAMPLES} examples for each property (RUSHLIGHT_SEED, RUSHLIGHT_EXAMPLES)")


@pytest.mark.filterwarnings("ignore")
@seed(SEED)
@thorough
@given(numbers)
def test_values_are_numpys(number: int) -> None:
    start, steps, expected = random_chain(number)
    note(f"seed {SEED}, chain {number}: {start.shape} {[step.name for step in steps]}")
    tensors = [[rushlight.from_numpy(a) for a in step.arrays] for step in steps]
    got = by_rushlight(steps, rushlight.from_numpy(start), tensors)
    assert tuple(got.shape) == expected.shape
    assert got.dtype is rushlight.float64
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore")
@seed(SEED + 1)
@thorough
@given(numbers)
def test_gradients_are_finite_differences(number: int) -> None:
    start, steps, value = random_chain(number)
    note(f"seed {SEED}, chain {number}: {start.shape} {[step.name for step in steps]}")
    rng = np.random.default_rng(number)
    weights = rng.uniform(-1, 1, value.shape)
    sources = [start, *(a for step in steps for a in step.arrays)]
    sources = [a + rng.uniform(-0.05, 0.05, a.shape) for a in sources]  # no two equal: at a tie there is no derivative
    directions = [rng.uniform(-1, 1, a.shape) for a in sources]

    def along_the_line(t: float) -> float:
        moved = iter([a + t * d for a, d in zip(sources, directions, strict=True)])
        first = next(moved)
        result = by_numpy(steps, first, [[next(moved) for _ in step.arrays] for step in steps])
        return float((result * weights).sum())

    h = 1e-5
    slopes = [(along_the_line(k * h) - along_the_line(-k * h)) / (2 * k * h) for k in (1, 0.5)]
    if abs(slopes[0] - slopes[1]) > 1e-4 * max(1, abs(slopes[1])):
        return  # a kink (of a maximum, a sort) lies between: there is no derivative to compare with
    tensors = [rushlight.tensor(a.copy()).requires_grad_() for a in sources]
    moved = iter(tensors)
    first = next(moved)
    result = by_rushlight(steps, first, [[next(moved) for _ in step.arrays] for step in steps])
    if not result.requires_grad:
        assert not result.numel() or not steps
        return
    grads = rushlight.autograd.grad((result * rushlight.from_numpy(weights)).sum(), tensors, allow_unused=True)
    slope = sum(float((g.numpy() * d).sum()) for g, d in zip(grads, directions, strict=True) if g is not None)
    scale = max(1.0, abs(slope), *(float(np.abs(g.numpy() * d).sum()) for g, d in zip(grads, directions, strict=True) if g is not None))  # fmt: skip
    assert abs(slope - slopes[0]) < 1e-4 * scale, (slope, slopes)
