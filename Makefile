# `make demo` and `make test` work on a fresh machine: each builds .venv first if it is missing.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif

.PHONY: install demo test check bench

install: $(VENV)/installed

# torch comes first and pinned, so that no other package draws in a build with CUDA.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -c "open('$(VENV)/installed', 'w')"

demo: install
	$(BIN)/anomalyncd demo --out demo

test: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

bench: install
	$(BIN)/python benchmarks/mebin.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/discovery.py
