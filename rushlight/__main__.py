"""The command line: PyTorch programs served by rushlight, and a doctor.

python -m rushlight train.py --epochs 3     run a program; -m package.module works too
python -m rushlight doctor                  what is here, what is missing, what to install
"""

from __future__ import annotations

import os
import runpy
import sys

USAGE = """usage: python -m rushlight script.py [arguments]      run a PyTorch program; `import torch` gives rushlight
       python -m rushlight -m module [arguments]      the same for a module
       python -m rushlight doctor                     what is here, what is missing, what to install
       python -m rushlight --version"""


def main(arguments: list[str] | None = None) -> int:
    """Runs a command. Returns the exit status; what a program raises, it raises."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        import rushlight

        print(rushlight.__version__)
        return 0
    if arguments[0] == "doctor":
        from rushlight.doctor import report

        print(report())
        return 0
    if arguments[0] == "-m" and len(arguments) > 1:
        return run(arguments[1], arguments[1:], is_module=True)
    if arguments[0].startswith("-"):
        print(f"unknown option {arguments[0]}\n{USAGE}", file=sys.stderr)
        return 2
    return run(arguments[0], arguments, is_module=False)


def run(program: str, arguments: list[str], is_module: bool) -> int:
    """Runs a program as Python would, with `torch` served."""
    if not is_module and not os.path.exists(program):
        print(f"python -m rushlight: can't open file {program!r}: no such file", file=sys.stderr)
        return 2
    from rushlight.serving import as_torch

    as_torch()
    sys.argv[:] = arguments
    sys.path[0] = os.getcwd() if is_module else os.path.dirname(os.path.abspath(program))
    if is_module:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(program, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
