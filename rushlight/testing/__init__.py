"""For tests of programs: comparing results (`assert_close`) and making inputs (`make_tensor`).

PyTorch's messages and tolerances. What is compared is in `comparison.py`. Left out: sparse, quantized and distributed
tensors.
"""

from rushlight.testing.comparison import assert_allclose, assert_close
from rushlight.testing.creation import make_tensor
