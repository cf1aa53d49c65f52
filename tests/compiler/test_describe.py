"""Golden loop IR of small graphs: a refactor leaves it alone; --update-golden writes it anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from steps import FLOAT, LONG, make_graph, mlp_step

from rushlight.arrays import symbolic as xp
from rushlight.compiler.graph import Graph
from rushlight.compiler.program import build_program

GOLDEN = Path(__file__).parent / "golden"


def softmax() -> Graph:
    def function(x: xp.SymbolicArray) -> xp.SymbolicArray:
        e = xp.exp(x - xp.max(x, -1, True))
        return e / xp.sum(e, -1, True)

    return make_graph(function, [np.zeros((12, 700), FLOAT)])


def embedding() -> Graph:
    arrays = [np.zeros((50, 32), FLOAT), np.zeros((4, 6), LONG), np.zeros((4, 6, 32), FLOAT)]
    spec = (("array", 0),)
    zeros = xp.full((50, 32), 0, FLOAT)
    return make_graph(
        lambda x, i, g: [
            xp.take(x, i, 0) * 2,
            xp.index_put(zeros, g, i, spec=spec, accumulate=True),
        ],
        arrays,
    )


GRAPHS = {
    "softmax": softmax,
    "embedding": embedding,
    "digits_sgd": lambda: mlp_step([64, 64, 10], 64, "sgd")[0],
}


@pytest.mark.parametrize("name", GRAPHS)
def test_golden(name: str, update_golden: bool) -> None:
    text = build_program(GRAPHS[name](), num_threads=1).describe() + "\n"
    path = GOLDEN / f"{name}.txt"
    if update_golden:
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"if this is meant: pytest {Path(__file__).name} --update-golden"
