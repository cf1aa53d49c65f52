"""`SummaryWriter` writes tensors as TensorBoard's files have them; without tensorboardX an error names it."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rushlight as torch


def values_in(folder: Path) -> dict[str, Any]:
    """What the records of a folder's files hold, by tag: each is its length, a checksum, an event, a checksum."""
    from tensorboardX.proto import event_pb2

    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = event_pb2.Event.FromString(data[at + 12 : at + 12 + length])
            at += 16 + length
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
    return found


@pytest.mark.filterwarnings("default")  # tensorboardX's own, of the libraries it stands on
def test_what_is_written(tmp_path: Path) -> None:
    from rushlight.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        assert writer.log_dir == writer.get_logdir() == str(tmp_path)
        for step in range(3):
            loss = torch.tensor(0.5, requires_grad=True) * step
            writer.add_scalar("loss", loss, step, new_style=True)
        writer.add_scalars("both", {"a": torch.tensor(1.0), "b": 2.0}, 1)
        writer.add_histogram("weights", torch.arange(10.0), 1)
        writer.add_image("image", torch.rand(3, 4, 5), 1)
        writer.add_text("text", "hello", 1)
        writer.add_hparams({"lr": 0.1}, {"accuracy": torch.tensor(0.9)})
        with pytest.raises(NotImplementedError, match="add_graph"):
            writer.add_graph(torch.nn.Linear(1, 1))
    found = values_in(tmp_path)
    assert [(step, value.simple_value) for step, value in found["loss"]] == [(0, 0.0), (1, 0.5), (2, 1.0)]
    histogram = found["weights"][0][1].histo
    assert (histogram.min, histogram.max, histogram.num, histogram.sum) == (0, 9, 10, 45)
    image = found["image"][0][1].image
    assert (image.height, image.width) == (4, 5)
    assert any(np.isclose(value.simple_value, 0.9) for _, value in found["accuracy"])
    assert {"text/text_summary"} <= set(found)


def test_without_tensorboardx() -> None:
    code = "import sys; sys.modules['tensorboardX'] = None; import rushlight.utils.tensorboard"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode != 0
    assert (
        "ImportError: torch.utils.tensorboard needs tensorboardX: pip install 'rushlight[tensorboard]'" in done.stderr
    )
