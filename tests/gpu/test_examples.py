"""Examples with `--device cuda` give what they give on the CPU."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

import rushlight as torch

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")


def run(name: str, *arguments: str) -> Any:
    module = types.ModuleType(name)
    exec(compile((EXAMPLES / f"{name}.py").read_text(), name, "exec"), module.__dict__)
    return module.main(list(arguments))  # type: ignore[attr-defined]


def test_linear_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for device in ("cpu", "cuda"):
        run("linear_regression", "--device", device, "--epochs", "60", "--out", str(tmp_path))
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and "predicts the same: True" in texts[0]


def test_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses = []
    for device in ("cpu", "cuda"):
        run("digits", "--device", device, "--hidden", "16", "--losses", "10")
        losses.append([float(line) for line in capsys.readouterr().out.splitlines()])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_lstm(tmp_path: Path) -> None:
    losses = [
        run("lstm", "--device", device, "--steps", "8", "--plot", str(tmp_path / "x.png"))[0]
        for device in ("cpu", "cuda")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


SHORT = {
    "char_gpt": ["--no-compile", "--steps", "4", "--batch", "2", "--context", "8", "--length", "3"],
    "cnn": ["--steps", "5", "--epochs", "1", "--batch", "8"],
    "recommender": ["--no-compile", "--steps", "10"],
    "vae": ["--no-compile", "--steps", "5"],
    "word_vectors": ["--no-compile", "--steps", "8"],
}


@pytest.mark.parametrize("name", SHORT)
def test_first_losses(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the random numbers that a model draws while it is trained taken from the CPU: a GPU has others."""
    monkeypatch.setattr(torch, "randn_like", lambda x: torch.randn(x.shape).to(x.device))
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, x: x)
    picture = tmp_path / "picture.png"
    results = [run(name, *SHORT[name], "--device", device, "--plot", str(picture)) for device in ("cpu", "cuda")]
    (expected, quality), (losses, found) = results
    assert losses == pytest.approx(expected, rel=1e-3) and found == pytest.approx(quality, rel=0.05)
    assert picture.read_bytes().startswith(b"\x89PNG")
