"""Timing of statements: PyTorch's `torch.utils.benchmark`, of which `Timer`, `Measurement` and `Compare` are here."""

from rushlight.utils.benchmark.compare import Compare
from rushlight.utils.benchmark.measurement import Measurement, TaskSpec, select_unit, trim_sigfig, unit_to_english
from rushlight.utils.benchmark.timer import Timer, timer
