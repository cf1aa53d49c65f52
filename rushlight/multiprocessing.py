"""`torch.multiprocessing`: Python's own, since tensors are pickled by value, and those of `share_memory_()` are inherited."""

from multiprocessing import *  # noqa: F403 - the same names, as PyTorch has them
