"""Random functions under random nests of transforms, beside PyTorch's.

    RUSHLIGHT_EXAMPLES=5000 pytest tests/func/test_random_programs.py

A number makes a chain of operations, a shape to start from, and one to three transforms around it (vmap, grad, jacrev, jacfwd,
jvp, vjp). The seed and the program are printed when a case fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as pytorch
from hypothesis import HealthCheck, given, note, seed, settings, strategies

import rushlight

EXAMPLES = int(os.environ.get("RUSHLIGHT_EXAMPLES", "600")) // 6
SEED = int(os.environ.get("RUSHLIGHT_SEED", "20261127"))
LARGEST = 4000  # elements of a result: Jacobians of Jacobians grow
thorough = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))

Step = tuple[str, Callable[[Any, Any], Any]]  # its name, and what it does: (library, value) -> value


def constant(torch: Any, shape: Any, phase: float = 0.0) -> Any:
    """Numbers between -1 and 1 that depend on nothing but the shape."""
    count = int(np.prod(tuple(shape), dtype=np.int64))
    return torch.from_numpy(np.cos(np.arange(count) * 1.7 + phase + len(tuple(shape))).reshape(tuple(shape)))


# ---------------------------------------------------------------- operations


def smooth(rng: np.random.Generator, shape: tuple[int, ...]) -> Step:
    phase = float(rng.uniform(0, 6))
    name = rng.choice(
        ["sin", "tanh", "sigmoid", "erf", "square", "gelu", "softplus", "mul", "add", "div", "atan2", "where", "hypot", "maximum"]
    )  # fmt: skip
    part = shape[int(rng.integers(len(shape) + 1)) :]
    if name in ("gelu", "softplus"):
        return name, lambda torch, x: getattr(torch.nn.functional, name)(x)
    if name == "where":
        return name, lambda torch, x: torch.where(x > 0.1, x * constant(torch, part, phase), x.sin())
    if name == "div":
        return name, lambda torch, x: x / (constant(torch, part, phase) + 2)
    if name in ("mul", "add", "atan2", "hypot", "maximum"):
        return name, lambda torch, x: getattr(torch, name)(x, constant(torch, part, phase))
    return name, lambda torch, x: getattr(torch, name)(x)


def along(rng: np.random.Generator, shape: tuple[int, ...]) -> Step:
    if not shape:
        return smooth(rng, shape)
    dim, keep = int(rng.integers(-len(shape), len(shape))), bool(rng.integers(2))
    name = str(rng.choice(["sum", "mean", "softmax", "log_softmax", "logsumexp", "cumsum", "cumprod", "prod", "sort", "amax", "norm", "flip", "roll"]))  # fmt: skip
    label = f"{name} {dim}"
    if name in ("sum", "mean", "logsumexp", "amax"):
        return label, lambda torch, x: getattr(x, name)(dim, keep)
    if name == "norm":
        return label, lambda torch, x: (x + 1.5).norm(dim=dim, keepdim=keep)
    if name == "prod":
        return label, lambda torch, x: x.prod(dim, keep)
    if name == "sort":
        return label, lambda torch, x: x.sort(dim)[0]
    if name == "flip":
        return label, lambda torch, x: x.flip((dim,))
    if name == "roll":
        return label, lambda torch, x: x.roll(1, dim)
    return label, lambda torch, x: getattr(x, name)(dim)


def moved(rng: np.random.Generator, shape: tuple[int, ...]) -> Step:
    kind = int(rng.integers(9))
    if kind == 0:
        order = tuple(int(i) for i in rng.permutation(len(shape)))
        return f"permute {order}", lambda torch, x: x.permute(order)
    if kind == 1:
        return "flatten", lambda torch, x: x.reshape(-1)
    if kind == 2 and shape:
        start = int(rng.integers(shape[0]))
        return f"slice {start}", lambda torch, x: x[start:] * 1.5
    if kind == 3 and shape:
        at = int(rng.integers(-shape[0], shape[0]))
        return f"select {at}", lambda torch, x: x[at]
    if kind == 4:
        return "expand", lambda torch, x: x.expand(2, *shape)
    if kind == 5 and shape:
        index = rng.integers(0, shape[-1], 3)
        return f"index {index}", lambda torch, x: x[..., torch.from_numpy(index)]
    if kind == 6 and shape:
        return "cat", lambda torch, x: torch.cat([x, x.flip(0) * 0.5], -1)
    if kind == 7 and len(shape) >= 2:
        return "diagonal", lambda torch, x: x.diagonal(0, 0, 1)
    return "unsqueeze", lambda torch, x: x.unsqueeze(0)


def product(rng: np.random.Generator, shape: tuple[int, ...]) -> Step:
    if not shape:
        return smooth(rng, shape)
    columns = int(rng.integers(1, 4))
    if rng.random() < 0.5:
        return "matmul", lambda torch, x: x @ constant(torch, (shape[-1], columns))
    if len(shape) >= 2 and rng.random() < 0.7:
        return "gram", lambda torch, x: x @ x.mT
    return "outer", lambda torch, x: torch.einsum("...i,j->...ij", x, constant(torch, (columns,)))


def written(rng: np.random.Generator, shape: tuple[int, ...]) -> Step:
    """In place, on a copy or on a view of one."""
    kind = int(rng.integers(4))

    def write(torch: Any, x: Any) -> Any:
        y = x * 1.25
        if kind == 0 or not shape:
            y.mul_(x).add_(0.3)
        elif kind == 1:
            y[0] = x[-1] ** 2
        elif kind == 2:
            y[..., 0].mul_(x[..., -1].sin())
        else:
            y = y.contiguous()
            y.view(-1)[0] = x.sum()
        return y

    return f"written {kind}", write


KINDS = [smooth, smooth, smooth, along, along, moved, moved, product, written]


def random_chain(rng: np.random.Generator, shape: tuple[int, ...]) -> list[Step]:
    value, steps = constant(pytorch, shape, 0.4), []
    for _ in range(int(rng.integers(1, 6))):
        step = KINDS[rng.integers(len(KINDS))](rng, tuple(value.shape))
        result = step[1](pytorch, value)
        if result.numel() > 60 or not bool(result.abs().max() < 1e4):
            break
        steps.append(step)
        value = result
    return steps


# ---------------------------------------------------------------- transforms

TRANSFORMS: dict[str, Callable[[Any, Callable[[Any], Any]], Callable[[Any], Any]]] = {
    "vmap": lambda torch, f: torch.func.vmap(f),
    "vmap at the end": lambda torch, f: torch.func.vmap(f, in_dims=-1, out_dims=-1),
    "grad": lambda torch, f: torch.func.grad(lambda x: weighted(torch, f(x))),
    "jacrev": lambda torch, f: torch.func.jacrev(f),
    "jacfwd": lambda torch, f: torch.func.jacfwd(f),
    "jvp": lambda torch, f: lambda x: torch.func.jvp(f, (x,), (constant(torch, x.shape, 1.0),))[1],
    "vjp": lambda torch, f: lambda x: pulled(torch, *torch.func.vjp(f, x)),
    "linearize": lambda torch, f: lambda x: linearized(torch, f, x)(constant(torch, x.shape, 1.0)),
}


def linearized(torch: Any, f: Callable[[Any], Any], x: Any) -> Callable[[Any], Any]:
    """PyTorch's traces the function, and is wrong where that writes in place: its jvp takes its place."""
    return torch.func.linearize(f, x)[1] if torch is rushlight else lambda t: torch.func.jvp(f, (x,), (t,))[1]


def weighted(torch: Any, y: Any) -> Any:
    return (y * constant(torch, y.shape, 2.0)).sum()


def pulled(torch: Any, value: Any, pull: Callable[..., Any]) -> Any:
    return pull(constant(torch, value.shape, 3.0))[0]


def random_program(number: int) -> tuple[tuple[int, ...], list[Step], list[str]]:
    """(the shape of the argument, the operations, the transforms around them, the innermost first)."""
    rng = np.random.default_rng([SEED, number])
    shape = tuple(int(n) for n in rng.choice([1, 2, 3], size=rng.integers(0, 4)))
    steps = random_chain(rng, shape)
    names = [str(name) for name in rng.choice(list(TRANSFORMS), size=rng.integers(1, 4))]
    for name in names:
        if name == "vmap":
            shape = (2, *shape)
        elif name == "vmap at the end":
            shape = (*shape, 3)
    return shape, steps, names


def run(torch: Any, shape: tuple[int, ...], steps: list[Step], names: list[str]) -> np.ndarray:
    def function(x: Any) -> Any:
        for _, step in steps:
            x = step(torch, x)
        return x

    for name in names:
        function = TRANSFORMS[name](torch, function)
    result = function(constant(torch, shape, 0.4))
    if torch is pytorch and result._is_zerotensor():
        result = torch.zeros_like(result)
    return np.array(result.detach().numpy())


def size_of_result(shape: tuple[int, ...], steps: list[Step], names: list[str]) -> int:
    """At most so many elements, were every transform a Jacobian."""
    size = int(np.prod(shape, dtype=np.int64)) or 1
    return 60 * size ** sum(name.startswith("jac") for name in names)


@pytest.mark.filterwarnings("ignore")
@seed(SEED)
@thorough
@given(strategies.integers(0, 2**40))
def test_random_programs(number: int) -> None:
    shape, steps, names = random_program(number)
    if size_of_result(shape, steps, names) > 50 * LARGEST:
        return
    note(f"seed {SEED}, program {number}: {shape} {[name for name, _ in steps]} within {names}")
    try:
        expected = run(pytorch, shape, steps, names)
    except (RuntimeError, MemoryError):
        return  # its zeros without memory can neither be written to nor, under vmap, be expanded: one program in a hundred
    if expected.size > LARGEST * 50 or not np.isfinite(expected).all():
        return
    got = run(rushlight, shape, steps, names)
    assert got.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    np.testing.assert_allclose(got / scale, expected / scale, 1e-9, 1e-9)
