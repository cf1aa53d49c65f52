"""`torch._dynamo`: the front of PyTorch's compiler. Programs set its options: these are remembered and not used."""

from types import SimpleNamespace

config = SimpleNamespace(
    cache_size_limit=8, recompile_limit=8, suppress_errors=False, verbose=False, capture_scalar_outputs=False
)  # fmt: skip
