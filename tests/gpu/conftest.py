"""The tests of this folder run on the first GPU; where there is none, on the stand-in of `simulated`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
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


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("RUSHLIGHT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
    patch.setattr("gpu.simulated.cuda_modules.uses_nvrtc", True)
    yield
    patch.undo()
