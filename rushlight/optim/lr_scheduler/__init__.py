"""Learning-rate schedulers: each a rule for what the rates of an optimizer's groups are after `step()`."""

from rushlight.optim.lr_scheduler.base import LRScheduler as LRScheduler, _LRScheduler as _LRScheduler
from rushlight.optim.lr_scheduler.composed import ChainedScheduler as ChainedScheduler, SequentialLR as SequentialLR
from rushlight.optim.lr_scheduler.cosine import (
    CosineAnnealingLR as CosineAnnealingLR,
    CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts,
)
from rushlight.optim.lr_scheduler.cycles import CyclicLR as CyclicLR, OneCycleLR as OneCycleLR
from rushlight.optim.lr_scheduler.factors import (
    ConstantLR as ConstantLR,
    ExponentialLR as ExponentialLR,
    LambdaLR as LambdaLR,
    LinearLR as LinearLR,
    MultiplicativeLR as MultiplicativeLR,
    MultiStepLR as MultiStepLR,
    PolynomialLR as PolynomialLR,
    StepLR as StepLR,
)
from rushlight.optim.lr_scheduler.plateau import ReduceLROnPlateau as ReduceLROnPlateau
