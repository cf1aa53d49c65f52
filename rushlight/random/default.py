"""The generator that is used where none is named."""

import contextlib

from rushlight.random.generator import Generator

default_generator = Generator()


def manual_seed(seed):
    """Seed the default generator. Returns it.

    Example:
        >>> manual_seed(7).initial_seed()
        7
    """
    return default_generator.manual_seed(int(seed))


def seed():
    """Seed the default generator from the operating system. Returns the seed."""
    return default_generator.seed()


def initial_seed():
    """Return the default generator's seed."""
    return default_generator.initial_seed()


def get_rng_state():
    """Return the default generator's state, a tensor of 5056 uint8."""
    return default_generator.get_state()


def set_rng_state(new_state):
    """Set the default generator's state."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices=None, enabled=True, device_type="cpu"):
    """Leave the default generator, after the block, as it was before it."""
    state = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)
