"""CUDA's switches: kept as they are set, and without effect."""

from types import SimpleNamespace

matmul = SimpleNamespace(
    allow_tf32=False, allow_fp16_reduced_precision_reduction=True, allow_bf16_reduced_precision_reduction=True
)


def is_built() -> bool:
    """Whether this installation can drive a GPU: not yet."""
    return False


def enable_flash_sdp(enabled: bool) -> None:
    """Chooses among attention's programs, of which there is one here."""


enable_mem_efficient_sdp = enable_math_sdp = enable_cudnn_sdp = enable_flash_sdp
