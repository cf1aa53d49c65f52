"""cuDNN's switches: kept as they are set, and without effect."""

import contextlib
from collections.abc import Iterator

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True
benchmark_limit = 10


def is_available() -> bool:
    """Whether cuDNN can be used: there is no CUDA device yet."""
    return False


def version() -> None:
    """cuDNN's version: there is none."""


@contextlib.contextmanager
def flags(
    enabled: bool = False, benchmark: bool = False, benchmark_limit: int = 10, deterministic: bool = False,
    allow_tf32: bool = True,
) -> Iterator[None]:  # fmt: skip
    """Sets all of them for a block."""
    asked, module = dict(locals()), globals()
    before = {name: module[name] for name in asked}
    module.update(asked)
    try:
        yield
    finally:
        module.update(before)
