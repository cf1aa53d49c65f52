"""Optimizers: each method's mathematics once, for one parameter; how it is run is the base class's business."""

from rushlight.optim.adagrad import Adagrad as Adagrad
from rushlight.optim.adam import Adam as Adam, AdamW as AdamW
from rushlight.optim.optimizer import Optimizer as Optimizer
from rushlight.optim.sgd import SGD as SGD
