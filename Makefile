# Sandboxes: `make run` to use it, `make test` to test it, `make help` for the rest.

PYTHON3 ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000

PY := .venv/bin/python
# a skip counts as a failure where CI is set
PYTEST := $(PY) -m pytest -p scripts.no_skips
# these wait more than they work, so three share two cores; so do engine (twice) and browser, beside each other
BESIDE := -n 3
PLAIN := tests -m "not engine and not browser"
FAST := tests -m "not engine and not browser and not slow"
SCALED := $(PLAIN) --ignore=tests/ground --ignore=tests/docs
# what takes the product apart, and the rest: about as long each
BROKEN := tests/faults tests/labs tests/live
ENGINE := tests $(BROKEN:%=--ignore=%) -m 'engine and not browser'
APART := $(BROKEN) -m 'engine and not browser'
BROWSER := tests/browser -m browser
SERVED := $(PY) -m scripts.services run --
# what failed beside others runs once more alone, since a starved machine fails too; both runs are printed, for a
# race that is rare may pass the second time
ALONE := --last-failed --last-failed-no-failures=none -v
AGAIN = { test $$? -eq 1 && echo "once more, alone: what failed above" && $(1) $(ALONE); }
SCALE = $(SERVED) $(PYTEST) $(BESIDE) $(SCALED) || $(call AGAIN,$(SERVED) $(PYTEST) $(SCALED))

# bytecode is kept, whatever the shell says: else each of a thousand processes compiles all of it anew
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test fast faults trail scale lint format types contracts ci bench lock image clean
# one thing after the other even under -j: they share the environment and the engine
.NOTPARALLEL:

help: ## what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## prepare .venv and node_modules, tools for development included
	@$(PYTHON3) scripts/setup.py

run: ## set up what is missing and serve on http://127.0.0.1:8000/ (HOST=, PORT=)
	@$(PYTHON3) scripts/setup.py --run
	@$(PY) -m scripts.engine --go-on
	@$(PY) manage.py network_guard --if-root
	@$(PY) manage.py bootstrap --base-url "http://$(HOST):$(PORT)"
	@exec $(PY) manage.py serve --host "$(HOST)" --port "$(PORT)"

test: setup ## everything: on both databases, the real engine, a real browser
	@$(PY) -m scripts.engine
	@$(PY) -m scripts.browser
	@$(PY) -m scripts.services install
	$(PYTEST) $(BESIDE) $(PLAIN) || $(call AGAIN,$(PYTEST) $(PLAIN))
	$(SCALE)
	$(PY) -m scripts.beside "$(APART)" "$(ENGINE)" "$(BROWSER)"

faults: setup ## what breaks, in full: hundreds of crashes (SEED=n to repeat one), a report in var/faults.json
	@$(PY) -m scripts.engine
	@$(PY) -m scripts.browser
	FAULTS=full SEED=$(SEED) $(PYTEST) tests/faults tests/gates/test_losing.py
	FAULTS=full SEED=$(SEED) $(PYTEST) tests/browser/test_inert.py -m browser

scale: setup ## what needs neither engine nor browser again, on PostgreSQL and Redis
	@$(PY) -m scripts.services install
	$(SCALE)

trail: setup ## the audit trail under 5,000 acts of twenty people, on both databases
	@$(PY) -m scripts.services install
	TRAIL_ACTIONS=5000 $(PYTEST) tests/trail/test_many_acts.py
	TRAIL_ACTIONS=5000 $(SERVED) $(PYTEST) tests/trail/test_many_acts.py

fast: setup ## what needs neither engine nor browser and waits for nothing
	$(PYTEST) $(BESIDE) $(FAST)

lint: setup ## ruff: mistakes and formatting
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: setup ## let ruff repair what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: setup ## mypy
	$(PY) -m mypy

contracts: setup ## who may import whom
	.venv/bin/lint-imports

ci: lint types contracts test ## what CI runs

bench: setup ## the numbers, as ratios beside the raw Engine API
	@$(PY) -m scripts.engine
	$(PY) -m bench

lock: ## recompile the hashed locks (UPGRADE=1: to the newest versions)
	@$(PYTHON3) scripts/setup.py
	@$(PY) -m scripts.lock $(if $(UPGRADE),--upgrade)

image: ## build the container image `sandboxes` (BASE=python:3.13-slim)
	docker build $(if $(BASE),--build-arg BASE=$(BASE)) --tag sandboxes .

clean: ## remove what `make setup` made; the data in var/ stays
	rm -rf .venv .tools node_modules
