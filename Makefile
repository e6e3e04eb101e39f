# `make demo` and `make test` do all set-up in .venv and need only Python 3.11+ and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test check bench proof clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    set up, answer a question from documents on this machine, and recall the answer"
	@echo "make test    set up and run the tests"
	@echo "make check   the linters and type checkers that CI runs"
	@echo "make bench   reproduce the tables in bench/README.md"
	@echo "make proof   crash, kill and cut the power of durable runs (docs/durability.md)"
	@echo "make clean   remove what the others made"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "lambdacat_effects needs Python 3.11 or later; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# uv makes environments without pip, and its .venv is this one.
PIP := ($(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --default-pip >/dev/null) && \
    $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

$(VENV)/.for-run: pyproject.toml | $(BIN)/python
	$(PIP) .
	@touch $@

$(VENV)/.for-dev: pyproject.toml | $(BIN)/python
	$(PIP) '.[dev]'
	@touch $@ $(VENV)/.for-run

QUESTION ?= How do I remove common leading whitespace from text?

demo: $(VENV)/.for-run
	$(BIN)/lambdacat run examples/research_agent.py:research "$(QUESTION)" --store .lambdacat
	@echo
	@echo "And once more: the answer is recalled, nothing is searched."
	@echo
	$(BIN)/lambdacat run examples/research_agent.py:research "$(QUESTION)" --store .lambdacat

test: $(VENV)/.for-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.for-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes lambdacat_effects --ignoreexternal

bench: $(VENV)/.for-dev
	$(BIN)/python -m bench.runtime
	$(BIN)/python -m bench.simulation
	$(BIN)/python -m bench.storage

proof: $(VENV)/.for-dev
	$(BIN)/python -m bench.durability

clean:
	rm -rf $(VENV) .bench-venv .lambdacat .mypy_cache .ruff_cache .pytest_cache .hypothesis
