"""A program runs on PyTorch and on rushlight; what it returns has to be the same, to 1e-9 in float64."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch as pytorch

import rushlight

Program = Callable[[Any], Any]
TOLERANCE = 1e-9


def same(program: Program, tolerance: float = TOLERANCE) -> None:
    compare(program(pytorch), program(rushlight), tolerance)


def compare(theirs: Any, mine: Any, tolerance: float = TOLERANCE, where: str = "result") -> None:
    if isinstance(theirs, pytorch.Tensor):
        assert isinstance(mine, rushlight.Tensor), f"{where} is of type {type(mine).__name__}"
        assert str(theirs.dtype).rpartition(".")[2] == str(mine.dtype).rpartition(".")[2], where
        assert tuple(theirs.shape) == tuple(mine.shape), where
        zeros = pytorch.zeros_like(theirs) if theirs._is_zerotensor() else theirs  # those have no memory
        expected, got = zeros.detach().resolve_conj().numpy(), mine.detach().numpy()
        np.testing.assert_allclose(got, expected, tolerance, tolerance, err_msg=where)
    elif isinstance(theirs, Mapping):
        assert list(theirs) == list(mine), where
        for key in theirs:
            compare(theirs[key], mine[key], tolerance, f"{where}[{key!r}]")
    elif isinstance(theirs, (tuple, list)):
        assert isinstance(mine, tuple if isinstance(theirs, tuple) else list), where
        assert len(theirs) == len(mine), where
        for i, (t, m) in enumerate(zip(theirs, mine, strict=True)):
            compare(t, m, tolerance, f"{where}[{i}]")
    else:
        assert theirs == mine, where


def fails_the_same(program: Program, words: int | None = None) -> None:
    """Both raise errors of one built-in type; of the text as many words as asked for are the same (default: all)."""
    with pytest.raises(Exception) as theirs:
        program(pytorch)
    with pytest.raises(type(theirs.value)) as mine:
        program(rushlight)
    assert plain(mine.value)[:words] == plain(theirs.value)[:words]


def plain(error: BaseException) -> list[str]:
    return re.sub(r"rushlight", "torch", str(error)).split()


def numbers(torch: Any, *shape: int, seed: int = 0, dtype: str = "float64") -> Any:
    """Random numbers between 0.2 and 1.8, the same for both libraries."""
    rng = np.random.default_rng([seed, *shape])
    values = rng.uniform(0.2, 1.8, shape)
    if dtype.startswith("complex"):
        values = values + 1j * rng.uniform(-1, 1, shape)
    return torch.from_numpy(np.asarray(values)).to(getattr(torch, dtype))


def filled(module: Any, torch: Any, seed: int = 0) -> Any:
    """A module with float64 parameters that are the same for both libraries."""
    rng = np.random.default_rng(seed)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(rng.uniform(-0.5, 0.5, tuple(parameter.shape))))
    return module


def parameters_of(module: Any) -> dict[str, Any]:
    return {name: parameter.detach() for name, parameter in module.named_parameters()}
