"""Settings, and what programs touch without needing it: backends, jit, hub, types."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import rushlight
from rushlight import jit, settings

MODULES = (torch, rushlight)


def same_error(ask: Any) -> None:
    errors = []
    for module in MODULES:
        with pytest.raises((RuntimeError, TypeError)) as caught:
            ask(module)
        errors.append((caught.type, str(caught.value)))
    assert errors[1] == errors[0]


def test_deterministic_algorithms() -> None:
    try:
        assert not rushlight.are_deterministic_algorithms_enabled()
        rushlight.use_deterministic_algorithms(True, warn_only=True)
        assert rushlight.are_deterministic_algorithms_enabled()
        assert rushlight.is_deterministic_algorithms_warn_only_enabled()
        assert rushlight.get_deterministic_debug_mode() == 1
        rushlight.set_deterministic_debug_mode("error")
        assert rushlight.get_deterministic_debug_mode() == 2
    finally:
        rushlight.use_deterministic_algorithms(False)
    same_error(lambda module: module.use_deterministic_algorithms(3))
    same_error(lambda module: module.set_deterministic_debug_mode("no"))
    same_error(lambda module: module.set_deterministic_debug_mode(7))


def test_results_are_the_same_at_every_run() -> None:
    """What `use_deterministic_algorithms` promises of the operations that PyTorch refuses under it."""
    index, source = rushlight.randint(0, 10, (5000,)), rushlight.randn(5000)
    sums = [rushlight.zeros(10).scatter_add(0, index, source) for _ in range(5)]
    assert all((x == sums[0]).all() for x in sums)


def test_interop_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_interop_threads", None)
    assert rushlight.get_num_interop_threads() == 1
    rushlight.set_num_interop_threads(3)
    assert rushlight.get_num_interop_threads() == 3
    with pytest.raises(RuntimeError, match="cannot set number of interop threads after"):
        rushlight.set_num_interop_threads(2)
    same_error(lambda module: module.set_num_interop_threads(0))


def test_matmul_precision() -> None:
    assert rushlight.get_float32_matmul_precision() == "highest"
    rushlight.set_float32_matmul_precision("high")
    assert rushlight.get_float32_matmul_precision() == "high"
    rushlight.set_float32_matmul_precision("highest")
    with pytest.warns(UserWarning, match="is not one of 'highest', 'high', or 'medium'"):
        rushlight.set_float32_matmul_precision("no")
    assert not rushlight.set_flush_denormal(True)


def _check_matmul(module: Any) -> None:
    """Two names of one setting, and what an implementation finds."""
    matmul = module.backends.cuda.matmul
    assert (matmul.allow_tf32, matmul.allow_bf16_reduced_precision_reduction) == (False, True)
    matmul.allow_tf32 = True
    assert module.get_float32_matmul_precision() == "high"
    module.set_float32_matmul_precision("highest")
    assert matmul.allow_tf32 is False
    module.set_float32_matmul_precision("medium")
    assert matmul.allow_tf32 is True
    module.set_float32_matmul_precision("highest")
    for name in (
        "allow_fp16_reduced_precision_reduction",
        "allow_bf16_reduced_precision_reduction",
        "allow_fp16_accumulation",
    ):
        before = getattr(matmul, name)
        setattr(matmul, name, not before)
        assert getattr(matmul, name) is not before
        setattr(matmul, name, before)
    for name in ("flash", "mem_efficient", "math", "cudnn"):
        enable, is_enabled = (
            getattr(module.backends.cuda, f"{form}") for form in (f"enable_{name}_sdp", f"{name}_sdp_enabled")
        )
        enable(False)
        assert not is_enabled()
        enable(True)
        assert is_enabled()


def test_products_find_the_settings() -> None:
    from rushlight.settings import products

    matmul = rushlight.backends.cuda.matmul
    assert (products.allow_tf32, matmul.fp32_precision) == (False, "ieee")
    matmul.fp32_precision = "tf32"
    assert (products.allow_tf32, products.float32) == (True, "high")
    matmul.fp32_precision = "ieee"
    with pytest.raises(RuntimeError, match="Invalid fp32 precision"):
        matmul.fp32_precision = "no"
    assert rushlight.backends.cuda.is_built() == (importlib.util.find_spec("cupy") is not None)


def test_backends() -> None:
    for module in MODULES:
        backends = module.backends
        assert (backends.cudnn.enabled, backends.cudnn.benchmark, backends.cudnn.deterministic) == (True, False, False)
        assert not backends.cudnn.is_available() and backends.cudnn.version() is None
        assert not backends.mps.is_available()
        _check_matmul(module)
        with backends.cudnn.flags(enabled=False, deterministic=True):
            assert not backends.cudnn.enabled and backends.cudnn.deterministic
        assert backends.cudnn.enabled and not backends.cudnn.deterministic
    import rushlight.backends.cudnn as cudnn

    cudnn.benchmark = True
    assert rushlight.backends.cudnn.benchmark
    cudnn.benchmark = False
    assert not rushlight.backends.mkl.is_available() and not rushlight.backends.openmp.is_available()
    assert rushlight.backends.opt_einsum.is_available()  # it is in the test extra


def test_version_and_config() -> None:
    assert rushlight.version.cuda is None and rushlight.version.debug is False
    text = rushlight.__config__.show()
    assert "NumPy" in text and "BLAS" in text and "llvmlite" in text
    assert f"get_num_threads() : {rushlight.get_num_threads()}" in rushlight.__config__.parallel_info()


def test_random_namespace() -> None:
    for module in MODULES:
        module.random.manual_seed(3)
        first = module.rand(2).tolist()
        with module.random.fork_rng():
            module.rand(5)
        second = module.rand(2).tolist()
        module.random.manual_seed(3)
        assert module.rand(4).tolist() == first + second
        assert module.random.initial_seed() == 3


def test_types_and_overrides() -> None:
    from rushlight.types import Device, Number, _size  # noqa: F401  (that they are there)

    assert set(rushlight.types.__dict__) >= {"Number", "Device", "FileLike", "_dtype", "_size", "_TensorOrTensors"}
    assert rushlight.overrides.is_tensor_like(rushlight.ones(1)) and not rushlight.overrides.is_tensor_like([1])
    assert not rushlight.overrides.has_torch_function((rushlight.ones(1),))
    assert not rushlight.overrides.has_torch_function_variadic(rushlight.ones(1), 2)
    rushlight._dynamo.config.suppress_errors = True
    assert rushlight._dynamo.config.suppress_errors


def test_jit_gives_back_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "_has_warned", False)
    with pytest.warns(UserWarning, match=r"torch\.jit\.script: rushlight has no TorchScript"):

        @jit.script
        def double(x: Any) -> Any:
            return 2 * x

    assert double(3) == 6
    module = rushlight.nn.Linear(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one warning is enough
        assert jit.trace(module, rushlight.ones(1, 2)) is module
        assert jit.freeze(jit.script(module)) is module

    @jit.export
    @jit.ignore
    @jit.unused
    def marked() -> int:
        return 1

    @jit.ignore(drop=True)
    def dropped() -> int:
        return 2

    assert (marked(), dropped()) == (1, 2)
    assert not jit.is_scripting() and not jit.is_tracing()
    assert jit.annotate(list[int], [1]) == [1] and jit.isinstance(3, int)
    for call in (lambda: jit.save(module, "file"), lambda: jit.load("file")):
        with pytest.raises(NotImplementedError, match="state_dict"):
            call()


def test_hub_loads_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = rushlight.hub
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert hub.get_dir() == str(tmp_path / "hub") == torch.hub.get_dir()
    url = "https://example.org/models/net-1234.pth"
    with pytest.raises(
        RuntimeError, match=r"rushlight downloads nothing\. Fetch https://example.org/models/net-1234.pth and put"
    ):
        hub.load_state_dict_from_url(url)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save({"weight": torch.ones(2)}, tmp_path / "hub" / "checkpoints" / "net-1234.pth")
    assert hub.load_state_dict_from_url(url)["weight"].tolist() == [1.0, 1.0]
    monkeypatch.setattr(hub, "_folder", None)
    hub.set_dir(tmp_path / "other")
    assert hub.get_dir() == str(tmp_path / "other")
    for call in (lambda: hub.load("a/b", "c"), lambda: hub.list("a/b"), lambda: hub.help("a/b", "c")):
        with pytest.raises(RuntimeError, match="neither downloads nor runs code of repositories"):
            call()
    with pytest.raises(RuntimeError, match="downloads nothing"):
        hub.download_url_to_file(url, "there")
