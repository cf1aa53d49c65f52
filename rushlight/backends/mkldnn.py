"""PyTorch's mkldnn: not used here."""


def is_available() -> bool:
    """Whether it is there: no."""
    return False
