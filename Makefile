# The first command in a new clone may be any of these; it makes the environment that it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
REFERENCE ?= /usr/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.* ## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(READY) ## the environment in .venv, as requirements.lock pins it

$(READY): requirements.lock pyproject.toml
	@echo "making $(VENV) (once, and again when requirements.lock changes)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install -qq --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/pip install -qq --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q agent policy server
	@$(BIN)/troth links $(VENV)/links
	@touch $@

demo: $(READY) ## one host kept to a policy, then a chain across three hosts with its timeline
	@PATH="$(CURDIR)/$(VENV)/links:$$PATH" PYTHON="$(CURDIR)/$(BIN)/python" sh examples/demo.sh

test: $(READY) lint ## everything that must hold before a change lands
	$(BIN)/pytest -q -n 2

lint: $(READY) ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY) ## how fast, against the C agent in REFERENCE=DIR if there is one
	@$(BIN)/python -m bench.startup
	@status=0; for part in promises check; do \
		$(BIN)/python -m bench.$$part --reference $(REFERENCE) || status=1; done; \
	for part in signal server; do $(BIN)/python -m bench.$$part || status=1; done; exit $$status

torture: $(READY) ## hours of kills, cuts, floods and lies, as bench/RESULTS.md has them; SEED=N repeats
	@$(BIN)/python -m bench.torture --full $(if $(SEED),--seed $(SEED))

conformance: $(READY) ## run the acceptance tests of SUITE=DIR, tests/acceptance of a cfengine/core checkout
	@test -n "$(SUITE)" || { echo "usage: make conformance SUITE=.../core/tests/acceptance [AREAS=00_basics,21]"; exit 1; }
	$(BIN)/python -m bench.conformance --suite $(SUITE) $(if $(AREAS),--areas $(AREAS))

lock: ## pin anew what pyproject.toml asks for
	@$(PYTHON) -m venv --clear .venv-lock && .venv-lock/bin/pip install -qq uv
	.venv-lock/bin/uv pip compile pyproject.toml --group dev --python-version 3.11 \
		--python-platform linux --only-binary :all: --generate-hashes --no-annotate \
		--custom-compile-command "make lock" --quiet --upgrade --output-file requirements.lock
	@rm -rf .venv-lock

clean: ## remove the environment and everything that tools left
	rm -rf $(VENV) .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup demo test lint bench torture conformance lock clean
