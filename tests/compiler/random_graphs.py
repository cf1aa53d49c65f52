"""Random graphs of operations on a few related shapes, with some outputs written over inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from steps import FLOAT, make_graph

from rushlight.arrays import symbolic as xp
from rushlight.compiler.graph import Graph

UNARY = ("negative", "abs", "tanh", "square", "sin")
BINARY = ("add", "subtract", "multiply", "maximum", "minimum")


def random_graph(seed: int, size: int = 14) -> tuple[Graph, list[np.ndarray]]:
    random = np.random.default_rng(seed)
    b, t, d = (int(n) for n in random.choice([1, 2, 3, 5, 8, 17, 40], 3))
    shapes = [(b, t, d), (b * t, d), (t, d), (d,), (b, t), (b, t, 1), (d, d), ()]
    arrays = [np.asarray(random.standard_normal(shape), FLOAT) for shape in shapes]
    arrays.append(random.integers(-t, t, (b,)))
    targets: list[int | None] = []

    def build(*inputs: Any) -> list[Any]:
        pool, index = list(inputs[:-1]), inputs[-1]
        for _ in range(size):
            value = _grow(random, pool, index)
            if value is not None and value.size <= 20000:
                pool.append(value)
        chosen = [pool[i] for i in sorted(set(random.integers(8, len(pool), 4)))] if len(pool) > 8 else []
        free = list(range(8))
        for value in chosen:
            fitting = [i for i in free if inputs[i].shape == value.shape and inputs[i].dtype == value.dtype]
            target = int(random.choice(fitting)) if fitting and random.random() < 0.6 else None
            if target is not None:
                free.remove(target)
            targets.append(target)
        return chosen

    graph = make_graph(build, arrays, targets)
    return graph, arrays


def _pick(random: np.random.Generator, pool: list[Any]) -> Any:
    """More often one of the latest."""
    return pool[-1 - int(len(pool) * random.random() ** 2)]


def _grow(random: np.random.Generator, pool: list[Any], index: Any) -> Any:
    x, y = _pick(random, pool), _pick(random, pool)
    kind = int(random.choice(16))
    if kind >= 12:
        same = [other for other in pool if other.shape == x.shape]
        return getattr(xp, str(random.choice(BINARY)))(x, same[int(random.integers(len(same)))])
    if kind <= 1:
        return getattr(xp, str(random.choice(UNARY)))(x)
    if kind <= 4:
        try:
            np.broadcast_shapes(x.shape, y.shape)
        except ValueError:
            return None
        return getattr(xp, str(random.choice(BINARY)))(x, y)
    if kind <= 6 and x.ndim:
        axes = tuple(i for i in range(x.ndim) if random.random() < 0.5) or (x.ndim - 1,)
        reduce = getattr(xp, str(random.choice(["sum", "max", "min"])))
        return reduce(x * 0.1, axes, bool(random.random() < 0.7))
    if kind == 7 and x.ndim:
        return xp.permute_dims(x, tuple(int(i) for i in random.permutation(x.ndim)))
    if kind == 8:
        same = [other for other in pool if other.size == x.size]
        return xp.reshape(x, same[int(random.integers(len(same)))].shape)
    if kind == 9 and x.ndim and x.shape[0] > 1:
        return xp.concat([x[1:], x[:1]], 0) if random.random() < 0.5 else x[:: int(random.choice([-1, 2]))]
    if kind == 10 and x.ndim >= 2 and y.ndim == 2 and x.shape[-1] == y.shape[0]:
        return xp.matmul(x, y) * 0.1
    if kind == 11 and x.ndim >= 2 and x.shape[1] == pool[4].shape[1]:
        return xp.take(x, index, 1)
    return None
