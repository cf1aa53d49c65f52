"""cuDNN's switches: kept as they are set, and without effect."""

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Whether cuDNN can be used: there is no CUDA device yet."""
    return False


def version() -> None:
    """cuDNN's version: there is none."""
