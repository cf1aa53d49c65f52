"""PyTorch's `.pt` files, written and read without running anything that is in them; safetensors files."""

from rushlight.serialization import safetensors as safetensors
from rushlight.serialization.reader import load as load
from rushlight.serialization.safe import (
    add_safe_globals as add_safe_globals,
    clear_safe_globals as clear_safe_globals,
    get_safe_globals as get_safe_globals,
    safe_globals as safe_globals,
)
from rushlight.serialization.writer import save as save
