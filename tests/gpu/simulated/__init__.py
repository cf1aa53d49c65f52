"""A stand-in for CuPy on a machine without a GPU: `install()` puts it where `import cupy` finds it.

Every name it has is one of the real CuPy's, which must be installed: names, signatures and dtypes are read from there.
Numbers come from NumPy, so what is tested with it is that the package asks CuPy for the right thing, never that a GPU
computes well. Kernels in CUDA C++ are compiled by g++ and run on the CPU (`gpu.emulator`).
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import cupy as real
import cupyx as real_extensions
import numpy as np

from gpu.simulated import arrays, cuda

_OWN = (
    "array", "asarray", "asnumpy", "ascontiguousarray", "broadcast_to", "from_dlpack", "may_share_memory", "ndarray",
)  # fmt: skip


class _Mirror(ModuleType):
    """A module with the real one's names, each NumPy's or SciPy's function of that name on simulated arrays."""

    def __init__(self, name: str, theirs: Any, ours: tuple[Any, ...], own: dict[str, Any]):
        super().__init__(name)
        self.__path__: list[str] = []
        self._theirs, self._ours = theirs, ours
        self.__dict__.update(own)

    def __getattr__(self, name: str) -> Any:
        theirs = getattr(self._theirs, name)  # an AttributeError is CuPy's too
        if isinstance(theirs, (type, int, float, str, np.dtype)) or theirs is None:
            return theirs
        ours = next((getattr(module, name) for module in self._ours if hasattr(module, name)), None)
        if ours is None:
            raise AttributeError(f"the simulated {self.__name__} has no {name!r} yet")
        if isinstance(theirs, real.ufunc):
            found: Any = arrays.ufunc(theirs, ours)
        else:
            found = arrays.function_like(theirs, ours)
        setattr(self, name, found)
        return found


def _modules() -> dict[str, ModuleType]:
    import scipy.special

    own = {name: getattr(arrays, name) for name in _OWN}
    tricks = _Mirror("cupy.lib.stride_tricks", real.lib.stride_tricks, (), {"as_strided": arrays.as_strided})
    lib = _Mirror("cupy.lib", real.lib, (), {"stride_tricks": tricks})
    linalg = _Mirror("cupy.linalg", real.linalg, (np.linalg,), {})
    fft = _Mirror("cupy.fft", real.fft, (np.fft,), {})
    modules = {
        "cupy": _Mirror("cupy", real, (np,), {**own, "cuda": cuda, "lib": lib, "linalg": linalg, "fft": fft}),
        "cupy.cuda": cuda, "cupy.lib": lib, "cupy.lib.stride_tricks": tricks, "cupy.linalg": linalg, "cupy.fft": fft,
    }  # fmt: skip
    import cupyx.scipy.special as real_special

    special = _Mirror("cupyx.scipy.special", real_special, (scipy.special,), {})
    scatters = {
        name: lambda a, slices, value, n=name: getattr(a, n)(slices, value)
        for name in ("scatter_add", "scatter_max", "scatter_min")
    }
    scipy_like = _Mirror("cupyx.scipy", real_extensions.scipy, (), {"special": special})
    modules["cupyx"] = _Mirror("cupyx", real_extensions, (), {**scatters, "scipy": scipy_like})
    return modules | {"cupyx.scipy": scipy_like, "cupyx.scipy.special": special}


def has_gpu() -> bool:
    """Whether there is a real one."""
    try:
        return bool(real.cuda.runtime.getDeviceCount() > 0)
    except real.cuda.runtime.CUDARuntimeError:
        return False


def install() -> ModuleType:
    """Makes `import cupy` give the stand-in, for the rest of this process."""
    if not isinstance(sys.modules["cupy"], _Mirror):
        sys.modules.update(_modules())
    return sys.modules["cupy"]
