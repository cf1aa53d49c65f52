"""PyTorch's mps: not used here."""


def is_available() -> bool:
    """Whether it is there: no."""
    return False


def is_built() -> bool:
    """Whether this installation can use it: no."""
    return False
