# Two commands matter: `make demo` and `make test`. The first one that is run prepares a virtual environment in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
MINUTES ?= 5
BENCH = .venv-bench

.PHONY: help demo test check docs soak bench format clean

help: ## List the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1	\2/p' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## Show the whole life of a prompt, offline, in a few seconds
	@$(BIN)/python examples/demo.py

test: $(VENV)/.dev ## Run all tests, on SQLite and on a real PostgreSQL
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

check: $(VENV)/.dev ## Lint, format check, strict types and the walls between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(VENV)/.dev ## Write docs/api.md from the docstrings
	@$(BIN)/python -m tests.acceptance.api

soak: $(VENV)/.dev ## Run agents for a while, here MINUTES=5, while things break at random; SEED=... repeats one
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

bench: $(BENCH)/.bench ## Measure beside the peers and write docs/performance.md; QUICK=1 takes a look, ONLY=runs,reads some parts
	@$(BENCH)/bin/python -m benchmarks $(if $(QUICK),--scale 0.1 --out build/bench) $(if $(ONLY),--only $(ONLY))

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(BENCH) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache

SOURCES = .ci/prepare.py pyproject.toml examples/stan/pyproject.toml

$(VENV)/.runtime: $(SOURCES)
	@$(PYTHON) .ci/prepare.py $(VENV) --editable . --editable examples/stan
	@touch $@

$(VENV)/.dev: $(SOURCES)
	@$(PYTHON) .ci/prepare.py $(VENV) --group dev --editable ".[postgres]" --editable examples/stan
	@# Each release asks for one release of Pydantic AI, and comes later than that; what is used here works with newer ones.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "pydantic-evals>=2.62"
	@touch $(VENV)/.runtime $@

# The libraries that it is compared with stay out of the other environment.
$(BENCH)/.bench: $(SOURCES)
	@$(PYTHON) .ci/prepare.py $(BENCH) --group bench --editable ".[postgres]"
	@touch $@
