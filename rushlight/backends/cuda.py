"""CUDA's switches. Those of products are kept in `rushlight.settings.products`, where products find them."""

from __future__ import annotations

import importlib.util

from rushlight.settings import products


class _Matmul:
    """`torch.backends.cuda.matmul`."""

    @property
    def allow_tf32(self) -> bool:
        """Whether products of float32 may use TensorFloat-32, which has 10 bits of float32's 23."""
        return products.allow_tf32

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        products.float32 = "high" if allowed else "highest"

    @property
    def fp32_precision(self) -> str:
        """The same as a name: "ieee" or "tf32"."""
        return "tf32" if products.allow_tf32 else "ieee"

    @fp32_precision.setter
    def fp32_precision(self, precision: str) -> None:
        if precision not in ("none", "ieee", "tf32"):
            raise RuntimeError(f"Invalid fp32 precision for matmul: {precision}, expected one of none, ieee, tf32")
        self.allow_tf32 = precision == "tf32"

    @property
    def allow_fp16_reduced_precision_reduction(self) -> bool:
        """Whether sums of float16 products may be kept in float16."""
        return products.reduced_fp16

    @allow_fp16_reduced_precision_reduction.setter
    def allow_fp16_reduced_precision_reduction(self, allowed: bool) -> None:
        products.reduced_fp16 = allowed

    @property
    def allow_bf16_reduced_precision_reduction(self) -> bool:
        """Whether sums of bfloat16 products may be kept in bfloat16."""
        return products.reduced_bf16

    @allow_bf16_reduced_precision_reduction.setter
    def allow_bf16_reduced_precision_reduction(self, allowed: bool) -> None:
        products.reduced_bf16 = allowed

    @property
    def allow_fp16_accumulation(self) -> bool:
        """Whether sums of float16 products are to be kept in float16."""
        return products.accumulate_fp16

    @allow_fp16_accumulation.setter
    def allow_fp16_accumulation(self, allowed: bool) -> None:
        products.accumulate_fp16 = allowed


matmul = _Matmul()


def is_built() -> bool:
    """Whether this installation can drive a GPU: whether CuPy is installed."""
    return importlib.util.find_spec("cupy") is not None


# ---------------------------------------------------------------- attention's programs, of which there is one here

_attention = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def enable_flash_sdp(enabled: bool) -> None:
    """Remembered, without effect."""
    _attention["flash"] = enabled


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Remembered, without effect."""
    _attention["mem_efficient"] = enabled


def enable_math_sdp(enabled: bool) -> None:
    """Remembered, without effect."""
    _attention["math"] = enabled


def enable_cudnn_sdp(enabled: bool) -> None:
    """Remembered, without effect."""
    _attention["cudnn"] = enabled


def flash_sdp_enabled() -> bool:
    """What was set."""
    return _attention["flash"]


def mem_efficient_sdp_enabled() -> bool:
    """What was set."""
    return _attention["mem_efficient"]


def math_sdp_enabled() -> bool:
    """What was set."""
    return _attention["math"]


def cudnn_sdp_enabled() -> bool:
    """What was set."""
    return _attention["cudnn"]
