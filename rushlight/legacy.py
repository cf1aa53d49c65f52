"""`FloatTensor`, `LongTensor` and so on: PyTorch's old names of tensors of one dtype."""

from __future__ import annotations

from typing import Any

from rushlight import dtypes
from rushlight.ops.create import legacy_tensor
from rushlight.tensor import Tensor


class TensorType:
    """A function that makes tensors of one dtype on one type of device, and what `isinstance` can ask for."""

    def __init__(self, name: str, dtype: dtypes.dtype, device_type: str = "cpu"):
        self.__name__, self.dtype, self.device_type = name, dtype, device_type

    def __call__(self, *args: Any, device: Any = None) -> Tensor:
        return legacy_tensor(*args, dtype=self.dtype, device=self.device_type if device is None else device)

    def __instancecheck__(self, instance: Any) -> bool:
        return (
            isinstance(instance, Tensor) and instance.dtype is self.dtype and instance.device.type == self.device_type
        )

    def __repr__(self) -> str:
        return f"<class 'torch.{self.__name__}'>"


FloatTensor, DoubleTensor = TensorType("FloatTensor", dtypes.float32), TensorType("DoubleTensor", dtypes.float64)
HalfTensor, BFloat16Tensor = TensorType("HalfTensor", dtypes.float16), TensorType("BFloat16Tensor", dtypes.bfloat16)
LongTensor, IntTensor = TensorType("LongTensor", dtypes.int64), TensorType("IntTensor", dtypes.int32)
ShortTensor, CharTensor = TensorType("ShortTensor", dtypes.int16), TensorType("CharTensor", dtypes.int8)
ByteTensor, BoolTensor = TensorType("ByteTensor", dtypes.uint8), TensorType("BoolTensor", dtypes.bool)
cuda_types = [
    TensorType(f"cuda.{kind.__name__}", kind.dtype, "cuda")
    for kind in (
        FloatTensor, DoubleTensor, HalfTensor, BFloat16Tensor, LongTensor, IntTensor, ShortTensor, CharTensor, ByteTensor,
        BoolTensor,
    )
]  # fmt: skip


def set_default_tensor_type(t: Any) -> None:
    """`set_default_dtype` by an old name of a tensor's type, or by the type."""
    names = {f"torch.{kind}Tensor": name for name, kind in dtypes.LEGACY_NAMES.items()}
    dtypes.set_default_dtype(getattr(dtypes, names[t]) if isinstance(t, str) else t.dtype)
