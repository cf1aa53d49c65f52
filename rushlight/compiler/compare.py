"""Running a step compiled and eager side by side, and comparing everything it left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import random as random_numbers
from rushlight.compiler.trace import _tensors_in

RELATIVE, ABSOLUTE = 1e-4, 1e-6  # float32 sums in another order; a wrong program is far beyond


def run_verified(program: Any, tensors: list[Any], eager: Callable[[], Any], name: str) -> Any:
    """The eager result, once the compiled one is known to agree. The step takes effect once.

    Raises:
        RuntimeError: a result, a gradient or a tensor written to differs; it says which and by how much.
    """
    outside = [e.tensor if e.argument is None else tensors[e.argument] for e in program.written]
    owners = [owner for _, owner, *_ in program.grad_outputs] + [owner for owner, *_ in program.deferred]
    before = [tensor._array.copy() for tensor in outside]
    grads_before = [owner._grad for owner in owners]
    random_before = random_numbers.get_rng_state()

    result = program.run(tensors)
    compiled = [t._array.copy() for t in _tensors_in(result)]
    compiled_outside = [tensor._array.copy() for tensor in outside]
    compiled_grads = [owner._grad._array.copy() for owner in owners]

    for tensor, array in zip(outside, before, strict=True):
        tensor._array[...] = array
    for owner, grad in zip(owners, grads_before, strict=True):
        owner._grad = grad
    random_numbers.set_rng_state(random_before)
    result = eager()
    pairs = [("a result", a, t._array) for a, t in zip(compiled, _tensors_in(result), strict=True)]
    pairs += [("a tensor it writes to", a, t._array) for a, t in zip(compiled_outside, outside, strict=True)]
    pairs += [("a gradient", a, o._grad._array) for a, o in zip(compiled_grads, owners, strict=True)]
    for what, got, expected in pairs:
        if not np.allclose(got, expected, RELATIVE, ABSOLUTE, equal_nan=True):
            difference = np.abs(got.astype(float) - expected.astype(float)).max()
            raise RuntimeError(
                f"rushlight.compile: {name}: {what} of shape {list(got.shape)} differs from the eager one by up to "
                f"{difference:.3g}. Please report this; `compile` without `verify` is not safe for this step."
            )
    return result
