"""A stand-in for CuPy on a machine without a GPU: `install()` puts it where `import cupy` finds it, for as long as it is asked for.

Every name it has is one of the real CuPy's, which must be installed: names, signatures and dtypes are read from there.
Numbers come from NumPy, so what is tested with it is that the package asks CuPy for the right thing, never that a GPU
computes well. Kernels in CUDA C++ are compiled by g++ and run on the CPU (`gpu.emulator`).
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any

import cupy as real
import cupyx as real_extensions
import numpy as np

from gpu.simulated import arrays, cuda, cuda_modules, linalg as simulated_linalg

from rushlight.arrays import kinds
from rushlight.cuda import devices, library

_OWN = (
    "RawKernel", "array", "asarray", "asnumpy", "ascontiguousarray", "broadcast_to", "from_dlpack", "may_share_memory",
    "ndarray",
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


@functools.cache
def _stand_ins() -> dict[str, ModuleType]:
    import scipy.special

    for name in ("nvrtc", "driver", "function"):
        setattr(cuda, name, getattr(cuda_modules, name))
    own = {name: getattr(arrays, name) for name in _OWN}
    tricks = _Mirror(
        "cupy.lib.stride_tricks", real.lib.stride_tricks, (np.lib.stride_tricks,), {"as_strided": arrays.as_strided}
    )
    lib = _Mirror("cupy.lib", real.lib, (), {"stride_tricks": tricks})
    own_linalg = {**simulated_linalg.FUNCTIONS, "_decomposition": simulated_linalg.decomposition}
    linalg = _Mirror("cupy.linalg", real.linalg, (np.linalg,), own_linalg)
    fft = _Mirror("cupy.fft", real.fft, (np.fft,), {})
    modules = {
        "cupy": _Mirror("cupy", real, (np,), {
            **own, "cuda": cuda, "lib": lib, "linalg": linalg, "fft": fft, "_environment": real._environment,
            "get_default_memory_pool": cuda.get_default_memory_pool,
        }),
        "cupy.cuda": cuda, "cupy.lib": lib, "cupy.lib.stride_tricks": tricks, "cupy.linalg": linalg, "cupy.fft": fft,
    }  # fmt: skip
    import cupyx.scipy.special as real_special

    special = _Mirror("cupyx.scipy.special", real_special, (scipy.special,), {})
    scatters = {
        name: lambda a, slices, value, n=name: getattr(a, n)(slices, value)
        for name in ("scatter_add", "scatter_max", "scatter_min")
    }
    scipy_linalg = _Mirror(
        "cupyx.scipy.linalg", simulated_linalg.real_scipy_linalg(), (), simulated_linalg.scipy_functions()
    )
    scipy_like = _Mirror("cupyx.scipy", real_extensions.scipy, (), {"special": special, "linalg": scipy_linalg})
    extensions = {**scatters, "scipy": scipy_like, "errstate": real_extensions.errstate}
    modules["cupyx"] = _Mirror("cupyx", real_extensions, (), extensions)
    modules |= {"cupyx.scipy": scipy_like, "cupyx.scipy.special": special, "cupyx.scipy.linalg": scipy_linalg}
    return modules | {"cupy.linalg._decomposition": simulated_linalg.decomposition}  # type: ignore[dict-item]


def has_gpu() -> bool:
    """Whether there is a real one."""
    try:
        return bool(real.cuda.runtime.getDeviceCount() > 0)
    except real.cuda.runtime.CUDARuntimeError:
        return False


@functools.cache
def stand_in() -> ModuleType:
    """The stand-in for `cupy`."""
    return _stand_ins()["cupy"]


_set_aside: dict[str, ModuleType | None] = {}


def install() -> ModuleType:
    """Makes `import cupy` give the stand-in, and rushlight find its two GPUs, until `uninstall`."""
    if not _set_aside:
        _set_aside.update({name: sys.modules.get(name) for name in _stand_ins()})
        sys.modules.update(_stand_ins())
        _forget()
    return stand_in()


def uninstall() -> None:
    """Puts the real CuPy back: there is no GPU again."""
    for name, module in _set_aside.items():
        if module is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = module
    _set_aside.clear()
    _forget()


def _forget() -> None:
    """What rushlight has found out about GPUs."""
    library._module = library._count = None
    kinds.gpu.cache_clear()
    devices._properties.cache_clear()
