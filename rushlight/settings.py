"""Settings of PyTorch's that programs make and ask for. Each is remembered; its docstring says what it changes here."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

PRECISIONS = ("highest", "high", "medium")


@dataclass(slots=True)
class Products:
    """How exact products on a GPU have to be: `torch.backends.cuda.matmul` writes this, products read it.

    Attributes:
        float32: of float32, "highest" computes in float32; "high" and "medium" may use TensorFloat-32.
        reduced_fp16, reduced_bf16: whether sums of half-precision products may be kept in half precision.
        accumulate_fp16: whether they are to be.
    """

    float32: str = "highest"
    reduced_fp16: bool = True
    reduced_bf16: bool = True
    accumulate_fp16: bool = False

    @property
    def allow_tf32(self) -> bool:
        """Whether products of float32 may use TensorFloat-32."""
        return self.float32 != "highest"


products = Products()

_interop_threads: int | None = None
_deterministic, _warn_only = False, False
_DEBUG_MODES = ("default", "warn", "error")


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Asks for the same numbers from the same inputs at every run: on the CPU they are the same in any case.

    On a GPU, what adds values up at indices (`index_put_(accumulate=True)`, `scatter_add_`, the gradient of an embedding) then
    does so in order, which takes several times as long.

    Args:
        mode: whether.
        warn_only: remembered.
    """
    global _deterministic, _warn_only
    if not isinstance(mode, bool):
        kind = type(mode).__name__
        raise TypeError(f"_set_deterministic_algorithms(): argument 'mode' (position 1) must be bool, not {kind}")
    _deterministic, _warn_only = mode, warn_only


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms(True)` was called last."""
    return _deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What its `warn_only` was."""
    return _warn_only


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """`use_deterministic_algorithms` by a name or number: "default" (0), "warn" (1) or "error" (2)."""
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in _DEBUG_MODES:
            raise RuntimeError(
                f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got {debug_mode}"
            )
        debug_mode = _DEBUG_MODES.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    use_deterministic_algorithms(debug_mode > 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode() -> int:
    """What it is: 0, 1 or 2."""
    return 0 if not _deterministic else 1 if _warn_only else 2


def set_num_interop_threads(num: int) -> None:
    """How many operations may run at once: they run one after another here, each on all threads it can use.

    Raises:
        RuntimeError: not a positive number, or it was set before.
    """
    global _interop_threads
    if num < 1:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    if _interop_threads is not None:
        raise RuntimeError(
            "Error: cannot set number of interop threads after parallel work has started or set_num_interop_threads "
            "called"
        )
    _interop_threads = num


def get_num_interop_threads() -> int:
    """What it was set to, or 1: operations run one after another."""
    return _interop_threads or 1


def set_flush_denormal(mode: bool) -> bool:
    """Asks to round the smallest numbers to 0. Returns whether that was done: it cannot be."""
    return False


def set_float32_matmul_precision(precision: str) -> None:
    """How exact products of float32 have to be on a GPU: "highest", or "high" and "medium", which allow TensorFloat-32.

    On a CPU they are computed in float32. Another word has no effect, and a warning says so.
    """
    if precision in PRECISIONS:
        products.float32 = precision
        return
    warnings.warn(
        f"{precision} is not one of 'highest', 'high', or 'medium'; the current set_float32_matmul_precision call has no "
        "effect.", stacklevel=2,
    )  # fmt: skip


def get_float32_matmul_precision() -> str:
    """What was set.

    Example:
        >>> get_float32_matmul_precision()
        'highest'
    """
    return products.float32
