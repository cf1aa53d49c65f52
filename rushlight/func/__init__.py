"""Functions of functions: derivatives, and one example's function for many. PyTorch's `torch.func`."""

from rushlight.func.forward import jvp as jvp, linearize as linearize
from rushlight.func.jacobians import hessian as hessian, jacfwd as jacfwd, jacrev as jacrev
from rushlight.func.modules import functional_call as functional_call, stack_module_state as stack_module_state
from rushlight.func.reverse import grad as grad, grad_and_value as grad_and_value, vjp as vjp
from rushlight.func.vectorize import vmap as vmap
