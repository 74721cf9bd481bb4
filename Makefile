# Six words: demo, test, check, bench, prove, docs. Each makes its own .venv first; a fresh checkout needs
# only Python 3.11 or later, make and git. ARGS= hands arguments on:  make test ARGS="tests/segments -k rfm"

PYTHON ?= python3
WORKERS ?= 2
ARGS ?=
export PYTHONDONTWRITEBYTECODE ?= 1

VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r
MANAGE := $(PY) manage.py
PYTEST := $(PY) -m pytest -q $(if $(filter 1,$(WORKERS)),,-n $(WORKERS))
# Translations are compiled here, without gettext's tools: .mo files are not committed.
PO := $(shell find . \( -path ./.venv -o -path ./var -o -name node_modules \) -prune -o -name '*.po' -print)
MO := $(PO:.po=.mo)
RULES := $(wildcard tests/test_constraints.py tests/test_architecture.py tests/test_docs.py tests/test_migrations.py)
BENCH := $(PY) -m bench
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-emit-index-url \
	--extra postgres --extra redis --extra parquet --extra demo --extra messages --extra push

.PHONY: help demo run test check bench prove docs messages lock clean
.DEFAULT_GOAL := help

help: ## say what each word does
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(VENV)/runtime messages ## a year of a real shop on this laptop: data, journeys, a local mailbox
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) demo $(ARGS)

run: $(VENV)/runtime messages ## web, worker and beat on your own data
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) run $(ARGS)

test: $(VENV)/dev messages ## the quick suite; SQLite unless DATABASE_URL says otherwise
	$(PYTEST) $(ARGS)

check: $(VENV)/dev messages ## format, lint, types, settings, migrations, architecture, docs
	$(PY) -m ruff format --check --output-format=concise .
	$(PY) -m ruff check --output-format=concise .
	$(PY) -m mypy
	$(MANAGE) check
	$(MANAGE) makemigrations --check --dry-run
	$(PY) -m pytest -q $(RULES)

bench: $(VENV)/dev messages ## what must stay fast, as ratios measured in one run
	$(BENCH) $(ARGS)

prove: $(VENV)/dev messages ## the full fault, fuzz and simulation sets
	PERENNIAL_PROVE=1 $(PYTEST) -m "slow or not slow" --timeout 3600 $(ARGS)

docs: $(VENV)/dev messages ## every plug-in, setting and check has its row; every example runs
	$(PY) -m pytest -q tests/test_docs.py $(ARGS)

messages: $(MO) ## compile the translations

%.mo: %.po | $(VENV)/runtime
	@$(PY) -c 'import sys, polib; polib.pofile(sys.argv[1]).save_as_mofile(sys.argv[2])' $< $@

lock: ## write both constraints files anew (needs uv)
	uv --no-config pip compile pyproject.toml --upgrade $(LOCK) -o constraints.txt
	uv --no-config pip compile pyproject.toml --upgrade $(LOCK) --extra apprise --extra dev -c constraints.txt -o constraints-dev.txt

clean: ## remove .venv, caches and compiled translations; keeps var/, where your data are
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis $(MO)

# One environment, a stamp for each set. The development set holds the runtime set, at the same versions.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Perennial needs Python 3.11 or later: make PYTHON=python3.11")'
	@echo "making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -c 'import os, sysconfig; open(sysconfig.get_path("purelib") + "/perennial.pth", "w").write(os.getcwd())'

$(VENV)/runtime: constraints.txt | $(VENV)/bin/python
	@[ $(VENV)/dev -nt $< ] || { echo "installing what $< names (the first time this takes a minute or two) …"; $(INSTALL) $<; }
	@touch $@

$(VENV)/dev: constraints-dev.txt | $(VENV)/bin/python
	@echo "installing what $< names (the first time this takes a minute or two) …"
	@$(INSTALL) $<
	@touch $@ $(VENV)/runtime
