# Two commands matter: `make demo` and `make test`. The first one that is run prepares a virtual environment in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
MINUTES ?= 5
BENCH = .venv-bench

# What shows whether the package gets on with other libraries and interpreters: fast, and on SQLite only.
SUITES = tests/unit tests/integration tests/acceptance/test_readme.py tests/contract/test_rest_http.py \
	  tests/contract/test_console.py -k "(unit or agent or readme or contract) and not postgres and not architecture"

# What of it has to do with Pydantic AI.
AGENTS = tests/unit/agent tests/integration tests/acceptance/test_readme.py -k "(agent or readme) and not postgres"

.PHONY: help demo test test-lowest test-pythons check docs editor screenshots soak soak-tests bench format clean

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1	\2/p' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## Show the whole life of a prompt, offline, in a few seconds
	@$(BIN)/python examples/demo.py --keep build/demo

test: $(VENV)/.dev ## Run all tests, on SQLite and on a real PostgreSQL
	$(call pytest,$(BIN)/python,--dist worksteal)

test-lowest: ## The unit and agent suites with the lowest libraries; the agent suites with all of pydantic-ai, and harness
	$(call suites,$(VENV)-lowest,$(PYTHON),$$($(PYTHON) .ci/lowest.py),$(SUITES))
	$(call suites,$(VENV)-ai,$(PYTHON),pydantic-ai,$(AGENTS))
	$(call suites,$(VENV)-harness,$(PYTHON),pydantic-ai-harness,$(AGENTS))

test-pythons: ## The unit and agent suites on other versions of Python, as far as they are installed
	@$(PYTHON) .ci/pythons.py 3.12 3.13 | while read -r python; do \
	  $(call suites,$(VENV)-$$(basename $$python),$$python,,$(SUITES)) || exit 1; done

# Many tests start processes and wait for them, and a machine that stands still for a second makes one of thousands miss
# it. What fails is named, and run once more with nothing beside it; then it has to pass: pytest(python,arguments).
define pytest
{ $(1) -m pytest --numprocesses 2 $(2) || { echo "Once more, by itself, what has failed above:"; \
	  $(1) -m pytest --last-failed --last-failed-no-failures none $(2); }; }
endef

# In an environment of its own, with an interpreter and packages besides: suites(environment,python,packages,tests).
suites = $(2) .ci/prepare.py $(1) --group test --editable ".[postgres,console]" $(3) && \
	  $(call pytest,$(1)/bin/python,-q $(4))

check: $(VENV)/.dev ## Lint, format check, strict types and the walls between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(VENV)/.dev ## Write docs/api.md from the docstrings, and the table of docs/roles.md from what is tried
	@$(BIN)/python -m tests.acceptance.api
	@$(BIN)/python -m tests.acceptance.roles

screenshots: $(VENV)/.dev ## Take the pictures of the console in docs/img anew, with Debian's chromium
	@$(BIN)/python -m tests.screenshots

editor: ## Bundle the console's editor anew from frontend/, with Node.js; what it makes is checked in
	cd frontend && npm ci --ignore-scripts --no-fund --no-audit && node build.js

soak: $(VENV)/.dev ## Run agents for a while, here MINUTES=5, while things break at random; SEED=... repeats one
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

soak-tests: $(VENV)/.dev ## Run the tests that wait in full for bounds which `make test` tests at a faster pace; 6 minutes
	$(BIN)/python -m pytest -m soak

bench: $(BENCH)/.bench ## Measure beside the peers and write docs/performance.md; QUICK=1 takes a look, ONLY=runs,reads some parts
	@$(BENCH)/bin/python -m benchmarks $(if $(QUICK),--scale 0.1 --out build/bench) $(if $(ONLY),--only $(ONLY))

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(VENV)-* $(BENCH) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache

SOURCES = .ci/prepare.py pyproject.toml examples/stan/pyproject.toml

$(VENV)/.runtime: $(SOURCES)
	@$(PYTHON) .ci/prepare.py $(VENV) --editable ".[console]" --editable examples/stan
	@touch $@

$(VENV)/.dev: $(SOURCES)
	@$(PYTHON) .ci/prepare.py $(VENV) --group dev --editable ".[console,postgres]" --editable examples/stan
	@# Each release asks for one release of Pydantic AI, and comes later than that; what is used here works with newer ones.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "pydantic-evals>=2.62"
	@touch $(VENV)/.runtime $@

# The libraries that it is compared with stay out of the other environment.
$(BENCH)/.bench: $(SOURCES)
	@$(PYTHON) .ci/prepare.py $(BENCH) --group bench --editable ".[postgres]"
	@touch $@
