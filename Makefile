# `make demo` and `make test` work on a fresh machine: each builds .venv first if it is missing.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
EXTRAS := dev
TESTS := tests

.PHONY: install demo test test-anomalib check bench results docs figures

install: $(VENV)/installed

# torch comes first and pinned, so that no other package draws in a build with CUDA.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	$(BIN)/python -c "open('$(VENV)/installed', 'w')"

demo: install
	$(BIN)/anomalyncd demo --out demo

test: install
	$(BIN)/python -m pytest $(TESTS)

# In an environment of its own, since anomalib brings much along.
test-anomalib:
	$(MAKE) VENV=.venv-anomalib EXTRAS=dev,anomalib TESTS=tests/with_anomalib test

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
	$(BIN)/python benchmarks/maps.py
	$(BIN)/python benchmarks/maps.py --growth
	$(BIN)/python benchmarks/unseen.py --kinds zero_shot masks
	$(BIN)/python benchmarks/limits.py
	$(BIN)/python benchmarks/class_number.py
	$(BIN)/python benchmarks/ablations.py --untrained
	$(BIN)/python benchmarks/ablations.py --sets bottle pill

# From the results that are committed; `anomalyncd bench` makes these.
results: install
	$(BIN)/python benchmarks/results_page.py

docs: export NO_MKDOCS_2_WARNING := 1
docs: $(VENV)/installed-docs
	$(BIN)/mkdocs build --strict

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	$(BIN)/python -c "open('$(VENV)/installed-docs', 'w')"

# Needs the weights of the default backbone.
figures: install
	$(BIN)/python docs/draw_figures.py
