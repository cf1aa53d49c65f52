"""When a composite operation is compiled: soon for a shape that comes again, later where shapes vary."""

from typing import Any

import numpy as np

from rushlight.arrays import numpy as numpy_arrays
from rushlight.ops.fused import LARGE, Fused


def halved(xp: Any, x: Any) -> Any:
    return xp.exp(x * 0.5)


def test_a_large_array_at_its_second_call() -> None:
    fused, x = Fused(halved), np.ones(LARGE, "f")
    for number in range(3):
        assert len(fused.programs) == (number == 2)
        np.testing.assert_allclose(fused(numpy_arrays, x), np.exp(x * 0.5), rtol=1e-6)


def test_later_the_more_shapes_there_are() -> None:
    fused, arrays = Fused(halved), [np.ones(LARGE + i, "f") for i in range(6)]
    compiled = []
    for _ in range(7):
        for x in arrays:
            np.testing.assert_allclose(fused(numpy_arrays, x), np.exp(x * 0.5), rtol=1e-6)
        compiled.append(len(fused.programs))
    assert compiled == [0, 1, 2, 3, 4, 5, 6]  # one a round, and none is left out
