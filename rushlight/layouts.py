"""Memory formats and layouts: names that PyTorch's scripts pass around."""

from __future__ import annotations


class memory_format:
    """How the elements of a copy are ordered; NumPy's order is kept whatever it says."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


class layout(memory_format):
    """How elements are found in memory: `strided`, or for sparse gradients by their coordinates (`sparse_coo`)."""

    __slots__ = ()


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
strided = layout("strided")
sparse_coo = layout("sparse_coo")
