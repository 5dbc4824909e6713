# One door for everything a newcomer or CI does. Needs Python 3.11+, git and make; the rest comes from uv.lock.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
# An uv on PATH is used; otherwise one is put into a tool venv inside the repository.
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := $(UV) run --frozen --no-sync

# Bytecode makes every later start several times faster (docs/decisions/0002).
unexport PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE := 1
export MELTANO_CLI_DISABLE_VERSION_CHECK := 1
export MELTANO_SEND_ANONYMOUS_USAGE_STATS := false

.PHONY: help sync demo test test-all lint bench bench-quick clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

.tools/bin/uv:
	@echo "uv is not on PATH: installing it into .tools"
	@$(PYTHON) -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9'

sync: $(if $(filter .tools/bin/uv,$(UV)),.tools/bin/uv) ## Install the locked environment into .venv
	@test -d .venv || echo "Installing the locked environment into .venv (once; the two Hyper engines are large)"
	@$(UV) sync --frozen --quiet

demo: sync ## Move Contoso's ledger from D365 into Tableau, twice, and compare
	@$(RUN) contoso-sandbox demo

# A worker a core; a file's tests stay in one worker, which makes the file's servers once.
PYTEST := $(RUN) pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test: sync ## Every test of our own
	@$(PYTEST) --ignore=tests/interop

test-all: sync ## Every test, also those against foreign software (peers from PyPI, PostgreSQL), and more kills
	@KILL_TRIALS=25 REQUIRE_TOOLS=1 $(PYTEST)

lint: sync ## Format check, lint, types, import rules, meltano.yml schema
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) lint-imports
	@$(RUN) check-jsonschema --builtin-schema vendor.meltano meltano.yml

bench: sync ## Measure, as ratios against floors in the same run (under 15 minutes)
	@$(RUN) python -m benchmarks.run

bench-quick: sync ## The same at small sizes (under 2 minutes)
	@$(RUN) python -m benchmarks.run --quick

clean: ## Remove what the project made here (environment, tools, extracts, sandbox)
	rm -rf .venv .tools .bench .meltano output var .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
