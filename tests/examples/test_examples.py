"""The examples run, and with `rushlight` replaced by `torch` the same files give the same losses under PyTorch."""

from __future__ import annotations

import gzip
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from rushlight.compiler import blas

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


@pytest.fixture(autouse=True)
def one_thread_for_products() -> Iterator[None]:
    """Threads that wait for each other where others use the cores make a small product take a thousand times as long."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with blas.single_threaded():
        yield
    torch.set_num_threads(before)


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


SHORT = {
    "char_gpt": ["--steps", "12", "--batch", "4", "--context", "16"],
    "cnn": ["--steps", "12", "--epochs", "1"],
    "lstm": ["--steps", "10"],
    "recommender": ["--steps", "15"],
    "vae": ["--steps", "15"],
    "word_vectors": ["--steps", "12"],
}
NEVER_COMPILED = {"cnn", "lstm"}


@pytest.mark.parametrize("name", SHORT)
def test_first_losses_are_those_of_pytorch(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*SHORT[name], "--plot", str(tmp_path / "picture.png")]
    found = {}
    for library, more in (("torch", ["--no-compile"]), ("rushlight", ["--no-compile"]), ("rushlight", [])):
        more = [] if name in NEVER_COMPILED else more
        found[library, *more], quality = load(name, library).main([*arguments, *more])
        assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "picture.png").unlink()
        assert isinstance(quality, float)
    expected = found.pop(next(iter(found)))
    assert len(expected) == int(SHORT[name][1])
    for losses in found.values():
        assert losses == pytest.approx(expected, rel=1e-4)
    assert "(" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "arguments", "is_good"),
    [
        ("cnn", ["--epochs", "6"], lambda accuracy: accuracy > 0.94),
        ("lstm", ["--steps", "150"], lambda better: better > 0.3),
        ("recommender", ["--epochs", "30"], lambda explained: explained > 0.5),
        ("vae", ["--epochs", "40"], lambda nats: nats < 27),
        ("word_vectors", ["--epochs", "4"], lambda accuracy: accuracy > 0.6),
    ],
)
def test_they_learn(name: str, arguments: list[str], is_good: Callable[[float], bool], tmp_path: Path) -> None:
    losses, quality = load(name, "rushlight").main([*arguments, "--plot", str(tmp_path / "picture.png")])
    assert is_good(quality), quality
    assert losses[-1] < losses[0]


def test_cnn_reads_the_files_of_mnist(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (50, 28, 28), np.uint8), rng.integers(0, 10, 50, np.uint8)
    head = (np.array([0x803, 50, 28, 28], ">i4").tobytes(), np.array([0x801, 50], ">i4").tobytes())
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(head[0] + images.tobytes())
    with gzip.open(tmp_path / "t10k-labels-idx1-ubyte.gz", "wb") as file:
        file.write(head[1] + labels.tobytes())
    x, y = load("cnn", "rushlight").load_data(tmp_path).tensors
    np.testing.assert_array_equal((x.numpy()[:, 0] * 255).round(), images)
    np.testing.assert_array_equal(y, labels)


def test_the_code_in_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = (EXAMPLES.parent / "README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    error = float(capsys.readouterr().out.removeprefix("mean squared error "))
    assert error < 1e-3
