# `make demo` and `make test` need nothing but Python 3.11 or newer: they set up .venv themselves.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo examples test check format bench clean
.DELETE_ON_ERROR:

examples: .venv/plot  ## all the other examples in full: ten minutes
	for name in char_gpt cnn lstm recommender vae word_vectors; do $(BIN)/python examples/$$name.py || exit 1; done

demo: .venv/plot  ## train two examples; pictures go to out/
	$(BIN)/python examples/linear_regression.py
	$(BIN)/python examples/digits.py

test: .venv/test build/hosted/libcuda.so.1  ## the whole test suite; PyTorch is what it compares with, Chromium (if there) what shows the graph page
	$(BIN)/python -m pytest -q -n auto

check: .venv/test  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/test  ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/test  ## all benchmarks against PyTorch, as Markdown; `make bench TOY=--toy` only tries them
	$(BIN)/python benchmarks/imports.py $(TOY)
	$(BIN)/python benchmarks/micro.py $(TOY)
	$(BIN)/python benchmarks/convolutions.py $(TOY)
	$(BIN)/python benchmarks/run.py $(TOY)
	$(BIN)/python benchmarks/cells.py $(TOY)
	$(BIN)/python benchmarks/memory.py $(TOY)
	$(BIN)/python benchmarks/optim.py $(TOY)
	$(BIN)/python benchmarks/dataloader.py $(TOY)
	$(BIN)/python benchmarks/checkpoints.py $(TOY)

clean:
	rm -rf .venv build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rushlight needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/plot: .venv/python pyproject.toml
	$(PIP) --editable '.[plot]'
	touch $@

# GPUs for tests where there is none. Where it cannot be built (not Linux, no g++), the tests that need one are left out and say so.
build/hosted/libcuda.so.1: .venv/test $(wildcard tests/gpu/hosted/*.cpp) tests/gpu/hosted/build.py
	$(BIN)/python tests/gpu/hosted/build.py || echo "there are no GPUs for tests"

# PyTorch by itself and first: the test extra then finds it there.
.venv/test: .venv/python pyproject.toml
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[test]'
	touch $@
