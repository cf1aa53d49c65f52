"""`SummaryWriter`: logs for TensorBoard, by tensorboardX, an extra: `pip install rushlight[tensorboard]`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

from rushlight.tensor import Tensor

try:
    import tensorboardX
except ImportError as error:
    raise ImportError(
        "torch.utils.tensorboard needs tensorboardX: pip install 'rushlight[tensorboard]', or pip install tensorboardX"
    ) from error

_PYTORCH_ONLY = ("new_style", "double_precision")  # how PyTorch stores scalars: tensorboardX has one way


def _plain(value: Any) -> Any:
    """NumPy arrays for tensors, inside of containers too."""
    if isinstance(value, Tensor):
        return value.detach().numpy()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_plain(item) for item in value])
    return value


class SummaryWriter(tensorboardX.SummaryWriter):  # type: ignore[misc]
    """Writes scalars, histograms, images and more to a folder that TensorBoard shows.

    Args:
        log_dir: the folder; default: `runs/`, with the time and the host's name.
        comment: added to the default folder's name.
        purge_step: the first step of a run that goes on; what was written from there on is hidden.
        max_queue: how many entries wait before they are written.
        flush_secs: seconds between writes.
        filename_suffix: added to the files' names.
    """

    def __init__(
        self, log_dir: Any = None, comment: str = "", purge_step: int | None = None, max_queue: int = 10,
        flush_secs: int = 120, filename_suffix: str = "",
    ):  # fmt: skip
        super().__init__(
            None if log_dir is None else str(log_dir), comment=comment, purge_step=purge_step, max_queue=max_queue,
            flush_secs=flush_secs, filename_suffix=filename_suffix,
        )  # fmt: skip

    @property
    def log_dir(self) -> str:
        """The folder."""
        return self.logdir

    def get_logdir(self) -> str:
        """The folder."""
        return self.logdir

    def add_graph(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Graphs of modules, which PyTorch finds by tracing TorchScript."""
        raise NotImplementedError("SummaryWriter.add_graph: rushlight has no TorchScript graphs for TensorBoard")


def _of_numpy(name: str) -> Callable[..., Any]:
    method = getattr(tensorboardX.SummaryWriter, name)

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs = {key: _plain(value) for key, value in kwargs.items() if key not in _PYTORCH_ONLY}
        return method(self, *[_plain(value) for value in args], **kwargs)

    return call


for _name in dir(tensorboardX.SummaryWriter):
    if _name.startswith("add_") and _name not in vars(SummaryWriter):
        setattr(SummaryWriter, _name, _of_numpy(_name))
