"""The tests of this folder run on the first GPU; where there is none, on the CPU's memory (`hosted`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gpu import hosted

if hosted.is_prepared():
    hosted.show()  # test files may ask for GPUs when they are imported


def pytest_collection_finish() -> None:
    """The tests of other folders find no GPU, as on any machine without one."""
    if hosted.is_prepared():
        hosted.hide()


@pytest.fixture(autouse=True)
def gpu() -> Iterator[None]:
    """A GPU for each test of this folder."""
    if not hosted.is_prepared():
        yield
        return
    hosted.show()
    yield
    hosted.hide()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("RUSHLIGHT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
    if hosted.is_prepared():
        patch.setattr("gpu.hosted.compiler.uses_nvrtc", True)
    yield
    patch.undo()
