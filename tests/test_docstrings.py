"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import warnings

import pytest

import rushlight

MODULES = [m.name for m in pkgutil.walk_packages(rushlight.__path__, "rushlight.") if not m.name.endswith("__main__")]


@pytest.mark.parametrize("part", sorted({name.split(".")[1] for name in MODULES}))
def test_examples(part: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old names, which are there to warn
        for name in MODULES:
            if name.split(".")[1] == part:
                done = doctest.testmod(importlib.import_module(name))
                assert not done.failed, name
