# Two commands: `make demo` starts the app, `make test` runs every check. Both make .venv first and reuse it later.
PYTHON ?= python3.11
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test setup check screenshots clean

demo: .venv/.app
	$(BIN)/python app.py

test: .venv/.dev
	$(BIN)/python -m tests.install_browser
	$(BIN)/ruff check .
	$(BIN)/mypy sdlm_core app
	$(BIN)/mypy app.py  # apart, since its name is also the package's
	$(BIN)/python -m pytest -q

setup: .venv/.app

screenshots: .venv/.dev
	$(BIN)/python -m app.screenshots

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

clean:
	rm -rf .venv
