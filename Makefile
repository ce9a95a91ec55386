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
PROCESSES := auto
TABLES := mtd mvtec base_set limits unseen ablations ablation_maps maps

.PHONY: install demo test test-anomalib test-ray test-dataeval check bench always results docs figures

install: $(VENV)/installed

# torch comes first and pinned, so that no other package draws in a build with CUDA.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	$(BIN)/python -c "open('$(VENV)/installed', 'w')"

demo: install
	$(BIN)/anomalyncd demo --out demo

# In up to four processes with one thread each, since more threads than cores wait for each other.
test: export OMP_NUM_THREADS := 1
test: install
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --maxprocesses 4 --dist loadfile $(TESTS)

# In an environment of its own, since anomalib brings much along.
test-anomalib:
	$(MAKE) VENV=.venv-anomalib EXTRAS=dev,anomalib TESTS=tests/with_anomalib test

# In an environment of its own and in one process, since the workers of every test take long to start.
test-ray:
	$(MAKE) VENV=.venv-ray EXTRAS=dev,ray TESTS=tests/scale PROCESSES=0 test

# In an environment of its own, since dataeval brings compilers and tables along.
test-dataeval:
	$(MAKE) VENV=.venv-dataeval EXTRAS=dev,dataeval TESTS=tests/with_dataeval test

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

# Takes many hours; finished results are not measured again, so it can be interrupted.
bench: install
	$(BIN)/python benchmarks/mebin.py
	$(BIN)/python benchmarks/training.py
	$(MAKE) $(addprefix bench/,$(TABLES))

bench/%: benchmarks/tables/%.yaml always
	$(BIN)/anomalyncd-bench $< --out $@ --maps bench/work

# From the results that are committed.
results: install
	$(BIN)/anomalyncd-bench --results-page docs/results.md $(sort $(wildcard benchmarks/results/bench/*))

docs: export NO_MKDOCS_2_WARNING := 1
docs: $(VENV)/installed-docs
	$(BIN)/mkdocs build --strict

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	$(BIN)/python -c "open('$(VENV)/installed-docs', 'w')"

# Needs the weights of the default backbone.
figures: install
	$(BIN)/python docs/draw_figures.py
