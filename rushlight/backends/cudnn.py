"""cuDNN's switches, read at each convolution on a GPU (`arrays/gpu/cudnn.py`)."""

import contextlib
from collections.abc import Iterator

enabled = True
benchmark = False  # algorithms are timed, once for each set of shapes; else cuDNN says which should be the quickest
deterministic = False  # only algorithms that give the same numbers at every run; also by `use_deterministic_algorithms`
allow_tf32 = True  # of float32, whatever `set_float32_matmul_precision` says of matrix products
benchmark_limit = 10  # remembered: all algorithms are timed


class _Convolutions:
    """`torch.backends.cudnn.conv`."""

    @property
    def fp32_precision(self) -> str:
        """What `allow_tf32` says, as a name: "ieee" or "tf32"."""
        return "tf32" if allow_tf32 else "ieee"

    @fp32_precision.setter
    def fp32_precision(self, precision: str) -> None:
        global allow_tf32
        if precision not in ("none", "ieee", "tf32"):
            raise RuntimeError(f"Invalid fp32 precision for conv: {precision}, expected one of none, ieee, tf32")
        allow_tf32 = precision == "tf32"


conv = _Convolutions()


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
    allow_tf32: bool = True, fp32_precision: str = "none",
) -> Iterator[None]:  # fmt: skip
    """Sets all of them for a block; a precision other than "none" goes before `allow_tf32`."""
    asked, module = dict(locals()), globals()
    precision = asked.pop("fp32_precision")
    before = {name: module[name] for name in asked}
    module.update(asked)
    if precision != "none":
        conv.fp32_precision = precision
    try:
        yield
    finally:
        module.update(before)
