"""The tests of this folder run on the first GPU; where there is none, on the stand-in of `simulated`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))


from gpu import simulated

if not simulated.has_gpu():
    simulated.install()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)
