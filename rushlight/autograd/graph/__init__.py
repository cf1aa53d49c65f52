"""The recorded graph: hooks of saved values and of several gradients, edges as objects, and the graph to look at."""

from rushlight.autograd.graph.edges import (
    GradientEdge as GradientEdge,
    get_gradient_edge as get_gradient_edge,
    increment_version as increment_version,
)
from rushlight.autograd.graph.mutation import allow_mutation_on_saved_tensors as allow_mutation_on_saved_tensors
from rushlight.autograd.graph.several import register_multi_grad_hook as register_multi_grad_hook
from rushlight.autograd.graph.values import (
    disable_saved_tensors_hooks as disable_saved_tensors_hooks,
    save_on_cpu as save_on_cpu,
    saved_tensors_hooks as saved_tensors_hooks,
)
from rushlight.autograd.node import Node as Node
