"""`rushlight.special`: PyTorch's second names for functions of `rushlight.api`."""

from rushlight.api.elementwise import erf, exp2, expm1, log1p, round, sigmoid as expit
from rushlight.api.reduce import log_softmax, logsumexp, softmax

__all__ = ["erf", "exp2", "expit", "expm1", "log1p", "log_softmax", "logsumexp", "round", "softmax"]
