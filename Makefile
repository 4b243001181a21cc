# `make demo` starts the app, `make test` runs every check, `make quick` those that need under two minutes. Each makes
# .venv first and reuses it later.
PYTHON ?= python3.11
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test quick cluster lint types javascript setup format screenshots clean

demo: .venv/.app
	$(BIN)/python app.py

test: .venv/.dev lint types javascript
	$(BIN)/python -m tests.install_browser
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

quick: .venv/.dev lint
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow and not browser and not network and not cluster"

# Engines in a Ray cluster of this machine. Apart, since Ray is large and its processes need minutes on a slow machine.
cluster: .venv/.cluster
	$(BIN)/python -m pytest -q -m cluster tests/serve

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy sdlm_core app tools
	$(BIN)/mypy app.py  # apart, since its name is also the package's

format: .venv/.dev
	$(BIN)/ruff format .

# The browser's half: types, lint, and tests of all that touches no document. Node is a Python package of requirements-dev.
javascript: export PATH := $(CURDIR)/$(BIN):$(PATH)
javascript: .venv/.javascript
	$(BIN)/npm run --silent types
	$(BIN)/npm run --silent lint
	$(BIN)/npm run --silent test

setup: .venv/.app

screenshots: .venv/.dev
	$(BIN)/python -m tools.screenshots

# The stamps are newer than the requirements they were made from, so a changed pin installs again.
.venv/.app: requirements.txt
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv || \
	  { echo "Python 3.11 with venv is needed; say where it is: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing what the app needs (some minutes, once) …"
	@$(BIN)/pip install -q -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.app
	@echo "Installing what the tests need …"
	@$(BIN)/pip install -q -r requirements-dev.txt
	@touch $@

.venv/.cluster: requirements-cluster.txt .venv/.dev
	@echo "Installing Ray …"
	@$(BIN)/pip install -q -r requirements-cluster.txt
	@touch $@

.venv/.javascript: export PATH := $(CURDIR)/$(BIN):$(PATH)
.venv/.javascript: package.json package-lock.json .venv/.dev
	@$(BIN)/npm ci --silent --no-audit --no-fund
	@touch $@

clean:
	rm -rf .venv node_modules
