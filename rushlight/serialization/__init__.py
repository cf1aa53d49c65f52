"""PyTorch's `.pt` files, written and read without running anything that is in them."""

from rushlight.serialization.reader import load as load
from rushlight.serialization.writer import save as save
