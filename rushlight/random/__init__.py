"""PyTorch's random numbers: a CPU's (`words.py`, `generator.py`), a GPU's (`philox.py`, `cuda.py`).

The path of a number on a CPU: the Mersenne Twister (Matsumoto & Nishimura 1998, NumPy's C code, seeded as
its authors did) gives 32-bit words; one word makes a float32 uniform, two a float64; uniforms make
every other distribution. What has to be right is only which words are used, and in which order.

The numbers are those of PyTorch on a CPU that is not Intel's: there MKL draws `bernoulli_(p)`,
`F.dropout` and `exponential_` from a generator of its own. float32 normals of 16 and more are
within 3e-7 of PyTorch's AVX2 numbers, or equal to the bit with `exact_normals`.

Left out: tensors and dtype errors (`rushlight.api.sample` has these). Like NumPy's legacy
generator, one `Generator` is not to be shared between threads.
"""

from rushlight.random.checks import C_NAMES, check_weights
from rushlight.random.default import (
    default_generator, fork_rng, generator_of, get_rng_state, get_states, initial_seed, manual_seed, seed, set_rng_state, set_states,
)  # fmt: skip
from rushlight.random.seeds import Generator
