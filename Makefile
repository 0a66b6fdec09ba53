# Everything runs from .venv, which the targets make from the lock files.

PYTHON ?= python3
FILES ?=
NAMES ?=
WORKERS ?= 2
BOOKS ?= 1000
SEQUENCES ?= 1000
SEEDS ?= 100

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
COMPILED := $(VENV)/.kernels-current
SOURCES := src $(wildcard tools benchmarks)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test books conserve watch-soak check bench vectors parity picture lock clean

help: ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(RUNTIME) $(COMPILED) ## Replay the crash of 10 October 2025 on 10,000 accounts
	@$(VENV)/bin/plimsoll demo

test: $(DEV) $(COMPILED) ## Run the tests (WORKERS=2)
	@$(PY) -m pytest -q -n $(WORKERS) --dist loadfile

books: $(DEV) $(COMPILED) ## Liquidation prices against a dense scan (BOOKS=1000 a model; minutes)
	@PLIMSOLL_BOOKS=$(BOOKS) $(PY) -m pytest -q -rP -n $(WORKERS) tests/liquidation/test_price_books.py

watch-soak: $(DEV) $(COMPILED) ## The watch on 20,000 accounts against a sweep a tick (SEEDS=100 a model)
	@PLIMSOLL_WATCH_SEEDS=$(SEEDS) $(PY) -m pytest -q -n $(WORKERS) \
		tests/margin/watch/test_crowd.py tests/margin/watch/test_crowd_scenario.py

conserve: $(DEV) $(COMPILED) ## Random sequences under every waterfall (SEQUENCES=1000 each; hours, goes on)
	@$(PY) -m tests.liquidation.waterfall.soak --sequences $(SEQUENCES)
	@PLIMSOLL_SEQUENCES=$(SEQUENCES) $(PY) -m pytest -q -rP -n $(WORKERS) \
		tests/liquidation/waterfall/test_conservation_models.py

check: $(DEV) ## Hold the house rules: lint, format, types, layers, tidiness
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy $(SOURCES)
	@$(VENV)/bin/lint-imports
	@$(PY) -m pytest -q tests/test_tidy.py

bench: $(DEV) $(COMPILED) ## Measure every speed claim, and write docs/performance.md (NAMES="watch")
	@$(PY) -m benchmarks $(NAMES) $(if $(NAMES),,--report docs)

vectors: $(RUNTIME) $(COMPILED) ## Run test vectors (FILES="a.json b.json")
	@$(PY) -m tools.vectors $(FILES)

parity: $(RUNTIME) $(COMPILED) ## Write docs/parity.md from a run of tests/vectors
	@$(PY) -m tools.parity

picture: $(RUNTIME) $(COMPILED) ## Draw the README's picture again, from the built-in replay
	@$(PY) -m tools.picture

LOCK := $(PY) -m uv --quiet pip compile pyproject.toml --group build --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	--custom-compile-command "make lock" $(UPGRADE)

lock: $(VENV)/bin/pip ## Pin all dependencies with hashes (UPGRADE=--upgrade)
	@$(PIP) install uv
	@$(LOCK) --output-file requirements.lock
	@$(LOCK) --extra dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## Remove the environment, caches and what runs left behind
	@rm -rf $(VENV) build dist out .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		.ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip is the last thing that venv writes, so an interrupted creation starts again.
$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON): Python 3.11 or newer is needed; try make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON): the venv module is missing; run: apt install python3-venv" >&2; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(VENV)/bin/pip
	@echo "installing plimsoll"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# Numba's cache does not see a change in a module that a kernel inlines, so it is dropped.
$(COMPILED): $(shell find src -name '*.py') | $(VENV)/bin/pip
	@find src -name '*.nb[ci]' -delete
	@touch $@

# The development lock holds the runtime lock, so it satisfies both stamps.
$(DEV): requirements-dev.lock requirements.lock pyproject.toml | $(VENV)/bin/pip
	@echo "installing plimsoll and its development tools"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(RUNTIME) $@
