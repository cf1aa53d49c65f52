"""The helpers of the viewer's tests, and the browser in which its page is tried."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `browser`, `graph_models`

from browser import Browser, missing


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. Where there is none tests that need it are skipped, but not in continuous integration."""
    what = missing()
    if what is not None:
        if os.environ.get("CI"):
            pytest.fail(f"{what} is not installed, and CI is set: the page has to be tried")
        pytest.skip(f"{what} is not installed")
    with Browser() as window:
        yield window
