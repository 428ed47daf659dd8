# Two commands: `make demo` ends with a search page, `make test` checks everything. `make quick` leaves slow tests out.

VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# A process more than cores, since some tests wait; each takes whole files, since the tests of a file share what took long
PROCESSES := $(shell expr $$(nproc) + 1)
PYTEST := $(BIN)/pytest -n $(PROCESSES) --maxprocesses 9 --dist loadfile --no-loadscope-reorder

# Compiled modules are kept beside their sources: workers, processes that tests start, and later runs read them
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick lint docs

demo: $(INSTALLED)
	$(BIN)/openalign demo

test: lint
	$(PYTEST) --durations=10

quick: $(INSTALLED)
	$(PYTEST) -m "not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)
	@$(BIN)/python -c 'import mkdocs, mkdocstrings' 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(INSTALLED): pyproject.toml constraints.txt
	@echo "Installing openalign and what it needs into $(VENV); this takes some minutes the first time."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "openalign needs Python 3.11 or newer.")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	@touch $@
