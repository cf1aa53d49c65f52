"""LLVM IR text to functions in memory, by way of the disk cache."""

from __future__ import annotations

import functools
import os
import weakref
from typing import Any

from rushlight.compiler import cache


def library_of(text: str) -> Library:
    """The compiled code of a module's text: one for all who ask while any of them keeps it."""
    library = _libraries.get(text)
    if library is None:
        library = _libraries[text] = Library(text)
    return library


class Library:
    """Compiled code, kept alive by this object.

    Args:
        is_plain: the text says already which instructions there are to be, and LLVM only makes registers of its variables.
    """

    def __init__(self, text: str, is_plain: bool = False):
        key = cache.key_of(text, *_host(), *["plain"] * is_plain)
        code = cache.load(key)
        if code is not None:
            try:
                self._load(code)
                return
            except RuntimeError:
                pass  # a damaged entry
        code = compile_text(text, is_plain)
        cache.save(key, code)
        self._load(code)

    def _load(self, code: bytes) -> None:
        import llvmlite.binding as llvm

        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _new_machine())
        self.engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()

    def address(self, name: str) -> int:
        return int(self.engine.get_function_address(name))


_libraries: weakref.WeakValueDictionary[str, Library] = weakref.WeakValueDictionary()  # by text


@functools.cache
def _host() -> tuple[str, str, str]:
    import llvmlite
    import llvmlite.binding as llvm

    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvmlite.__version__


def host_features() -> str:
    """What this machine's processor has, as LLVM lists it: "+avx2,-avx512f,..."."""
    return _host()[1]


@functools.cache
def vector_registers() -> tuple[int, int]:
    """How many vector registers this machine has, and the bytes in each."""
    features = set(_host()[1].split(","))
    return (32, 64) if "+avx512f" in features else (16, 32) if "+avx2" in features else (16, 16)


@functools.cache
def _machine() -> Any:
    """For compiling; a machine that is given to an engine belongs to it."""
    return _new_machine()


def _new_machine() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    cpu, features, _ = _host()
    return target.create_target_machine(cpu=cpu, features=features, opt=2, jit=True)


def compile_text(text: str, is_plain: bool = False) -> bytes:
    """Object code."""
    import llvmlite.binding as llvm

    machine = _machine()
    module = llvm.parse_assembly(text)
    if os.environ.get("RUSHLIGHT_VERIFY") == "1":
        module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    if is_plain:
        passes = llvm.create_new_module_pass_manager()
        passes.add_sroa_pass()
    else:
        passes = builder.getModulePassManager()
    passes.run(module, builder)
    return bytes(machine.emit_object(module))
