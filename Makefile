# Two commands do all the set-up: `make demo` and `make test`.  Needs Python 3.11 and make.
VENV ?= .venv
BIN = $(VENV)/bin
# More workers than the two cores of CI: most tests wait for processes and sockets, and none measures
# time.  A file each.
PYTEST_ARGS ?= -n 3 --dist loadfile --no-loadscope-reorder

# Modules are compiled once, and not at each of thousands of starts, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test lint docs bench-startup clean

help:
	@echo "make demo    install, and watch a budget stop an agent (no key, no network)"
	@echo "make test    install, and run everything that CI runs"
	@echo "make lint    style and types alone"
	@echo "make docs    write completions/, man/, docs/cli-reference.md and docs/gate.md again"

demo:
	@VENV=$(VENV) scripts/setup demo
	$(BIN)/noburn demo

test: lint
	@scripts/setup-system
	@VENV=$(VENV) scripts/setup-guests
	@VENV=$(VENV) scripts/setup-stripe-openapi
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint:
	@VENV=$(VENV) scripts/setup dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs:
	@VENV=$(VENV) scripts/setup dev
	$(BIN)/python tools/generate_cli_docs.py
	$(BIN)/python tools/generate_gate_docs.py

bench-startup:
	@VENV=$(VENV) scripts/setup dev
	$(BIN)/python benchmarks/startup.py --write

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
