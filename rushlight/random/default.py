"""The generators that are used where none is named: one for the CPU, one for each GPU.

A GPU's is made when it is first asked for. Until then its seed is kept here, so that seeding needs no GPU.
"""

import contextlib

from rushlight import devices
from rushlight.random.cuda import CudaGenerator
from rushlight.random.generator import CpuGenerator
from rushlight.random.seeds import DEFAULT_SEED

default_generator = CpuGenerator()
_of_cuda: dict[int, CudaGenerator] = {}
_cuda_seed = DEFAULT_SEED


def generator_of(device):
    """The default generator of a device, which for "cuda" has its index."""
    if device.type != "cuda":
        return default_generator
    if device.index not in _of_cuda:
        _of_cuda[device.index] = CudaGenerator(devices.device("cuda", device.index)).manual_seed(_cuda_seed)
    return _of_cuda[device.index]


def manual_seed_cuda(seed):
    """Seed the default generators of all GPUs, of those too that are not made yet."""
    global _cuda_seed
    _cuda_seed = int(seed)
    for generator in _of_cuda.values():
        generator.manual_seed(_cuda_seed)


def manual_seed(seed):
    """Seed the default generators of all devices. Returns the CPU's.

    Example:
        >>> manual_seed(7).initial_seed()
        7
    """
    manual_seed_cuda(seed)
    return default_generator.manual_seed(int(seed))


def seed():
    """Seed the default generators from the operating system. Returns the seed."""
    seed = default_generator.seed()
    manual_seed_cuda(seed)
    return seed


def initial_seed():
    """Return the default generator's seed."""
    return default_generator.initial_seed()


def get_rng_state():
    """Return the default generator's state, a tensor of 5056 uint8."""
    return default_generator.get_state()


def set_rng_state(new_state):
    """Set the default generator's state."""
    default_generator.set_state(new_state)


def get_states():
    """Return the states of the default generators of all devices: what `set_states` takes."""
    return (
        default_generator._state_bytes(),
        {index: made._state_bytes() for index, made in _of_cuda.items()},
        _cuda_seed,
    )


def set_states(states):
    """Set the default generators of all devices. One that was not made at the time starts its seed's stream."""
    global _cuda_seed
    of_cpu, of_cuda, _cuda_seed = states
    default_generator._set_state_bytes(of_cpu)
    for index, made in _of_cuda.items():
        if index in of_cuda:
            made._set_state_bytes(of_cuda[index])
        else:
            made.manual_seed(_cuda_seed)


@contextlib.contextmanager
def fork_rng(devices=None, enabled=True, device_type="cuda"):
    """Leave the default generators of all devices, after the block, as they were before it."""
    states = get_states() if enabled else None
    try:
        yield
    finally:
        if enabled:
            set_states(states)
