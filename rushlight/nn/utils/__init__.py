"""Functions over all parameters of a model."""

from rushlight.nn.utils import rnn as rnn, stateless as stateless
from rushlight.nn.utils.clip import (
    clip_grad_norm as clip_grad_norm,
    clip_grad_norm_ as clip_grad_norm_,
    clip_grad_value_ as clip_grad_value_,
    get_total_norm as get_total_norm,
)
from rushlight.nn.utils.vector import (
    parameters_to_vector as parameters_to_vector,
    vector_to_parameters as vector_to_parameters,
)
