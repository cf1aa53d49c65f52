"""Mixed precision: `autocast` computes matrix products in half precision, `GradScaler` keeps small gradients from becoming 0."""

from rushlight.amp.autocast import (
    autocast as autocast,
    custom_bwd as custom_bwd,
    custom_fwd as custom_fwd,
    is_autocast_available as is_autocast_available,
)
from rushlight.amp.grad_scaler import GradScaler as GradScaler
