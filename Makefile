# One vocabulary for a person, a hook and CI. `make setup` needs Python 3.11, make and the package registries, nothing else.

PYTHON   ?= python3.11
PIPELINE ?=
EVENTS   ?=
ARGS     ?=

UV_VERSION := 0.13.9
UV         := .tools/bin/uv
RUN        := .venv/bin/

export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
unexport VIRTUAL_ENV
# without compiled files every start compiles our modules again, and the tests anew: three seconds each time
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test soak lint bench bench-features bench-lake up down clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## install everything into .venv and .tools; at once when nothing changed

demo: setup ## run the whole loop; PIPELINE=name or file.py and EVENTS=file.parquet for other input
	$(RUN)sluice demo $(if $(PIPELINE),--pipeline $(PIPELINE)) $(if $(EVENTS),--events $(EVENTS)) $(ARGS)

test: setup ## unit, integration and scenario tests; ARGS="-m unit" for a part of them
	$(RUN)pytest -m "not soak" --durations=15 $(ARGS)

soak: setup ## the tests on full data and every property on all its examples, which take long
	$(RUN)pytest -m "soak or hypothesis" --hypothesis-profile=full --durations=15 $(ARGS)

lint: setup ## style, types and the import rules of the rooms
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)lint-imports

bench: setup ## every benchmark below benchmarks/
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(RUN)python $$file || exit; done

bench-features: setup ## speed of the engine beside Spark SQL, DuckDB, Polars and Feast; SLUICE_HANDBOOK_DIR says on what
	$(RUN)python -m benchmarks.features $(ARGS)

bench-lake: setup ## speed of the lake: contract, a day's verdict, Kafka to features; SLUICE_HANDBOOK_DIR says on what
	$(RUN)python -m benchmarks.lake $(ARGS)

up: setup ## start the embedded services
	$(RUN)sluice up

down: setup ## stop them
	$(RUN)sluice down

clean: ## stop the services; remove their state and what the checkers left; keep .venv and .tools
	@if [ -x $(RUN)sluice ] && [ -d .sluice ]; then $(RUN)sluice down; fi
	rm -rf .sluice .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist

# Two steps with a stamp each, so that a new jar does not reinstall Python packages.
.venv/.ready: .venv/.synced sluice/local/jars.lock
	@$(RUN)python -m sluice.local.java || deploy/debian-package openjdk-17-jre-headless
	@$(RUN)python -m sluice.local.redis_server || deploy/debian-package redis-server
	@$(RUN)python -m sluice.local.postgres || deploy/debian-package postgresql
	$(RUN)sluice setup
	@touch $@

.venv/.synced: $(UV) pyproject.toml uv.lock
	@echo "Python packages into .venv: 5 GB, a minute or two the first time"
	$(UV) sync --frozen --compile-bytecode --quiet --python $(PYTHON)
	@touch $@

# pip only brings uv; without Debian's python3.11-venv there is no pip to do it.
$(UV): Makefile
	@$(PYTHON) -c 'import sys; assert sys.version_info[:2] == (3, 11), sys.version'
	@$(PYTHON) -m ensurepip --version >/dev/null 2>&1 || deploy/debian-package python3.11-venv
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
