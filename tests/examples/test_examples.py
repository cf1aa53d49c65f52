"""The examples run, and with `rushlight` replaced by `torch` the same files give the same losses under PyTorch."""

from __future__ import annotations

import types
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NUM_STEPS = 100


def load(name: str, library: str) -> types.ModuleType:
    """The example as a module, with `library` in rushlight's place: what `sed s/rushlight/torch/` makes of it."""
    path = EXAMPLES / f"{name}.py"
    module = types.ModuleType(f"{name}_{library}")
    exec(compile(path.read_text().replace("rushlight", library), str(path), "exec"), module.__dict__)
    return module


@pytest.fixture(autouse=True)
def no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")


def printed_losses(library: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[float]:
    load("digits", library).main([*arguments, "--losses", str(NUM_STEPS)])
    return [float(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
def test_digits_losses_are_those_of_pytorch(optimizer: str, capsys: pytest.CaptureFixture[str]) -> None:
    # With this seed no input of a ReLU comes nearer to 0 than 3e-6 in these steps. Rounding, which differs from BLAS to
    # BLAS, may else put one on the other side, and Adagrad's first step for a weight is as long as its rate, whatever
    # the gradient: the losses then differ by 1e-4.
    arguments = ["--optimizer", optimizer, "--hidden", "64", "--seed", "5"]
    expected = printed_losses("torch", arguments, capsys)
    assert len(expected) == NUM_STEPS
    for more in ([], ["--compile"]):
        losses = printed_losses("rushlight", arguments + more, capsys)
        assert losses == pytest.approx(expected, rel=1e-5, abs=0), more


def test_digits_at_small_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "digits.png"
    load("digits", "rushlight").main(["--epochs", "3", "--plot", str(picture)])
    accuracy = float(capsys.readouterr().out.split("test accuracy ")[1].split("%")[0])
    assert accuracy > 90
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_linear_regression_prints_what_pytorch_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = {}
    for library in ("rushlight", "torch"):
        load("linear_regression", library).main(["--out", str(tmp_path / library)])
        output[library] = capsys.readouterr().out
        assert (tmp_path / library / "linear_regression.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / library / "linear_regression.pt").exists()
    assert output["rushlight"] == output["torch"]
    assert "the loaded model predicts the same: True" in output["torch"]


def test_the_code_in_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = (EXAMPLES.parent / "README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    error = float(capsys.readouterr().out.removeprefix("mean squared error "))
    assert error < 1e-3
