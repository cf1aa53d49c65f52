"""The tests of this folder run on the first GPU; where there is none, on the stand-in of `simulated`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))


from gpu import hosted

if hosted.is_asked_for():
    hosted.install()

from gpu import simulated

HAS_GPU = simulated.has_gpu()

if not HAS_GPU:
    simulated.install()  # test files may ask for GPUs when they are imported


def pytest_collection_finish() -> None:
    """The tests of other folders find no GPU, as on any machine without one."""
    if not HAS_GPU:
        simulated.uninstall()


@pytest.fixture(autouse=True)
def gpu() -> Iterator[None]:
    """A GPU for each test of this folder."""
    if HAS_GPU:
        yield
        return
    simulated.install()
    yield
    simulated.uninstall()


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
