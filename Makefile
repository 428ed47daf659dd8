# Two commands: `make demo` ends with a search page, `make test` checks everything. `make quick` leaves slow tests out.

VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# More processes than cores, since some tests wait; each takes whole files, since the tests of a file share what took long
CORES := $(shell nproc | awk '{ print ($$1 < 8) ? $$1 : 8 }')
PYTEST := $(BIN)/pytest --dist loadfile --no-loadscope-reorder
# On Linux, processes that are forks of one, which has the libraries loaded
ifeq ($(shell uname),Linux)
forks = --tx '$(shell expr $(CORES) + $(1))*popen//python=$(BIN)/python tests/forked_worker.py'
else
forks = -n $(shell expr $(CORES) + $(1))
endif

# Compiled modules are kept beside their sources: workers, processes that tests start, and later runs read them
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick lint docs

demo: $(INSTALLED)
	$(BIN)/openalign demo

# ruff and mypy run beside the tests and speak after them
test: $(INSTALLED)
	@said=$$(mktemp); $(MAKE) --no-print-directory lint >$$said 2>&1 & lint=$$!; \
	$(PYTEST) $(call forks,2) --durations=10; status=$$?; \
	wait $$lint || status=1; cat $$said; rm $$said; exit $$status

quick: $(INSTALLED)
	$(PYTEST) $(call forks,1) -m "not slow"

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
