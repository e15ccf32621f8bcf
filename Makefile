# Two commands matter: `make demo` and `make test`. Each prepares its own virtual environment the first time.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: help demo test check format clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: $(VENV)/.ready ## Show the whole life of a prompt, offline, in about ten seconds
	@$(BIN)/python examples/demo.py

test: $(VENV)/.ready ## Run all tests, on SQLite and on a real PostgreSQL
	$(BIN)/python -m pytest

check: $(VENV)/.ready ## Lint, format check and strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.ready ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what the other targets made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.ready: pyproject.toml examples/stan/pyproject.toml
	@echo "Preparing $(VENV): a virtual environment with everything that demo and tests need (once, about a minute)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --group dev --editable ".[postgres]" --editable examples/stan
	@touch $@
