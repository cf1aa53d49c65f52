"""`rushlight.utils.dlpack`: tensors to and from other libraries on the same memory."""

from rushlight.interop.dlpack import DLDeviceType, from_dlpack, to_dlpack

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]
