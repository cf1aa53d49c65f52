"""cuDNN's switches, read at each convolution on a GPU (`arrays/gpu/cudnn.py`), whose algorithms are deterministic in
any case.
"""

import contextlib
from collections.abc import Iterator

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True
benchmark_limit = 10


def is_available() -> bool:
    """Whether cuDNN's library and a GPU are there."""
    return version() is not None


def version() -> int | None:
    """cuDNN's version, as its major, minor and patch numbers in one: 92801; None where it is not."""
    from rushlight.arrays import kinds

    try:
        kinds.gpu()
    except RuntimeError:
        return None
    from rushlight.arrays.gpu import cudnn

    library = cudnn.library()
    return None if library is None else int(library.cudnnGetVersion())


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
