"""Without llvmlite everything runs on NumPy alone, as in a browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys

class NoCompiler:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "llvmlite":
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, NoCompiler())
import rushlight as torch
from rushlight import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 13 * 13, 400), nn.GELU(), nn.Linear(400, 10))
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
x, y = torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,))
losses = []
for _ in range(30):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
hidden, _ = nn.LSTM(4, 8)(torch.randn(5, 2, 4))
hidden.sum().backward()
assert losses[-1] < losses[0] / 2, losses
assert "llvmlite" not in sys.modules
"""


def test_a_model_trains() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[1], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
