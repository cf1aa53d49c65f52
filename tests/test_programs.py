"""Whole PyTorch programs, run by PyTorch and by `python -m rushlight`: they print the same, numbers to four digits.

`tests/programs` has short ones of our own, in the styles of those that people learn from. Others are taken from a folder:

    RUSHLIGHT_PROGRAMS=~/programs pytest tests/test_programs.py

Every .py file in it is a program, and so is the main.py of every folder in it. A file `arguments.txt` beside a program has
its command line. Of these programs the first 20 lines that have a "loss" are compared.
"""

import contextlib
import importlib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import types
import warnings
from pathlib import Path

import pytest

import rushlight
from rushlight.compiler import blas

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other where others use the cores make a small product take a thousand times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with blas.single_threaded():
        yield
    torch.set_num_threads(before)


def printed_by(program, monkeypatch):
    """What a program prints in this process."""
    monkeypatch.setattr(sys, "argv", [str(program)])
    output = io.StringIO()
    with contextlib.redirect_stdout(output), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runpy.run_path(str(program), run_name="__main__")
    return output.getvalue().splitlines()


def assert_same(lines, expected):
    """Words and whole numbers are equal, others to four digits, or in all but the last digit that is shown."""
    assert len(lines) == len(expected), "\n".join(lines[-3:])
    for line, other in zip(lines, expected, strict=True):
        assert NUMBER.sub("#", line) == NUMBER.sub("#", other), f"{line}\n{other}"
        for number, right in zip(NUMBER.findall(line), NUMBER.findall(other), strict=True):
            if "." not in right and "e" not in right:
                assert number == right, f"{line}\n{other}"
            else:
                digits = len(right.partition(".")[2].partition("e")[0])
                assert float(number) == pytest.approx(float(right), rel=1e-4, abs=1.5 * 10**-digits), f"{line}\n{other}"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_program(program, monkeypatch):
    with torch.backends.__allow_nonbracketed_mutation():  # which PyTorch's own tests, imported by ours, switch off
        expected = printed_by(program, monkeypatch)
    assert sum(bool(NUMBER.search(line)) for line in expected) >= 20
    with rushlight.as_torch():
        lines = printed_by(program, monkeypatch)
    assert_same(lines, expected)


@pytest.fixture(autouse=True)
def cudnn_as_before():
    """Programs set this in both libraries, for the whole process."""
    yield
    with torch.backends.__allow_nonbracketed_mutation():
        torch.backends.cudnn.benchmark = rushlight.backends.cudnn.benchmark = False


def test_the_comparison_notices_what_differs():
    assert_same(["loss 1.00001 at 3"], ["loss 1.00000 at 3"])
    for wrong in ("loss 1.00021 at 3", "loss 1.00000 at 4", "less 1.00000 at 3", "loss 1.00000"):
        with pytest.raises(AssertionError):
            assert_same([wrong], ["loss 1.00000 at 3"])


# ---------------------------------------------------------------- the command line


def command(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "rushlight", *arguments], capture_output=True, text=True, **options)


def test_a_program_gets_its_arguments_and_its_folder(tmp_path):
    (tmp_path / "helper.py").write_text("import torch.nn.functional as F\n")
    (tmp_path / "main.py").write_text(
        "import sys, torch, helper\n"
        "assert __name__ == '__main__' and torch.nn.functional is helper.F\n"
        "print(torch.__name__, sys.argv[1:], torch.__version__.split('+')[0])\n"
        "sys.exit(3)\n"
    )
    done = command(str(tmp_path / "main.py"), "--epochs", "2")
    assert (done.returncode, done.stdout) == (3, "rushlight ['--epochs', '2'] 2.13.0\n"), done.stderr
    done = command("-m", "timeit", "-n", "1", "-r", "1", "-s", "import torch", "print(torch.ones(1))")
    assert done.stdout.startswith("tensor([1.])"), done.stderr


@pytest.mark.parametrize(
    ("program", "last_line"),
    [
        ("import torch; torch.reul", "AttributeError: torch.reul is not in rushlight; nearest: torch.relu"),
        ("import torch; torch.Linear", "AttributeError: torch.Linear is not in rushlight; nearest: torch.nn.Linear"),
        ("from torch.nn import Liner", "ImportError: torch.nn.Liner is not in rushlight; nearest: torch.nn.Linear"),
        ("import torch.fx", "ModuleNotFoundError: torch.fx is not in rushlight; nearest: torch.compile"),
        ("import torch.qqq", "ModuleNotFoundError: torch.qqq is not in rushlight"),
    ],
)
def test_what_is_missing_is_named(program, last_line, tmp_path):
    (tmp_path / "main.py").write_text(program)
    assert command(str(tmp_path / "main.py")).stderr.splitlines()[-1] == last_line


def test_wrong_commands():
    assert command().returncode == 2
    assert command("--help").stdout.startswith("usage: python -m rushlight")
    assert command("--what").stderr.startswith("unknown option --what")
    assert "no such file" in command("none.py").stderr
    assert command("--version").stdout.strip() == rushlight.__version__


def test_doctor():
    text = command("doctor").stdout
    for line in (
        f"rushlight     {rushlight.__version__}",
        "numpy ",
        "BLAS ",
        "threads ",
        "compiler      works",
        "cuda",
        "driver ",
        "CuPy ",
        "folder ",
    ):
        assert f"  {line}" in text, text


# ---------------------------------------------------------------- as_torch


def test_as_torch_can_be_undone():
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torch"}
    with rushlight.as_torch():
        handle = rushlight.as_torch()
        handle.undo()
        handle.undo()
        served, functional, sgd, utils = imported("torch", "torch.nn.functional", "torch.optim", "torch.utils.data")
        assert (served, functional, sgd) == (rushlight, rushlight.nn.functional, rushlight.optim)
        assert utils is rushlight.utils.data
        assert served.__version__ == f"2.13.0+rushlight.{vars(rushlight)['__version__']}"
        assert not hasattr(served, "no_such_name")
        with pytest.raises(AttributeError, match=r"torch.nn.Liner is not in rushlight; nearest: torch.nn.Linear"):
            _ = served.nn.Liner
    assert imported("torch") == [torch]
    assert {name: sys.modules[name] for name in before} == before
    assert type(rushlight) is types.ModuleType
    assert rushlight.__version__ == vars(rushlight)["__version__"]
    with pytest.raises(AttributeError, match="module 'rushlight' has no attribute 'no_such_name'"):
        _ = rushlight.no_such_name


def imported(*names):
    return [importlib.import_module(name) for name in names]


# ---------------------------------------------------------------- programs of others


def programs_given():
    folder = os.environ.get("RUSHLIGHT_PROGRAMS")
    if not folder:
        return []
    place = Path(folder).expanduser()
    return sorted([*place.glob("*.py"), *place.glob("*/main.py")])


@pytest.mark.parametrize("program", programs_given(), ids=str)
def test_program_of_others(program, tmp_path):
    arguments = program.parent / "arguments.txt"
    words = shlex.split(arguments.read_text()) if arguments.exists() else []
    outputs = []
    for number, runner in enumerate(([], ["-m", "rushlight"])):
        place = shutil.copytree(program.parent, tmp_path / str(number))
        done = subprocess.run(
            [sys.executable, *runner, program.name, *words], cwd=place, capture_output=True, text=True, timeout=900,
            env={**os.environ, "PYTHONPATH": str(Path(rushlight.__file__).parents[1])},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        outputs.append([line for line in done.stdout.splitlines() if "loss" in line.lower()][:20])
    assert_same(outputs[1], outputs[0])
