# Every job of the project, one command each. `make help` lists them.
#
# The environment is made from reproducibility/requirements.lock (exact versions, checked by hash) into .venv/ and
# made again only when the lock or pyproject.toml changes.

SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH := .venv-bench
WORKERS ?= 2
# A worker that dies ends the run: where two die at once, xdist fails on their successors with an error of its own.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --max-worker-restart 0 --no-loadscope-reorder --durations=25 --cov
# Most of a test's time is XLA's compiler. What is not about rounding or cost goes without its optimisations of
# machine code; `make test QUICKLY=` compiles everything as users do.
QUICKLY ?= XLA_FLAGS="--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false \
	--xla_cpu_parallel_codegen_split_count=1"
# The files that have tests compiled in full: nobody waits for all others to be collected a second time.
FULLY = $(shell grep -rl --include='test_*.py' compiled_in_full tests)

.DEFAULT_GOAL := help
.PHONY: help environment bench-environment reproduce test check lab lock clean

help: ## list the jobs
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

environment: $(READY) ## create .venv from the lock

$(READY): reproducibility/requirements.lock pyproject.toml reproducibility/environment.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" bash reproducibility/environment.sh
	@touch $@

bench-environment: $(BENCH)/.ready ## create .venv-bench, where the peers of the benchmarks run

$(BENCH)/.ready: reproducibility/requirements-bench.lock pyproject.toml reproducibility/environment.sh
	@PYTHON="$(PYTHON)" VENV="$(BENCH)" LOCK=reproducibility/requirements-bench.lock bash reproducibility/environment.sh
	@touch $@

reproduce: $(READY) ## run the main job: the worked example, the real market, the report
	@$(BIN)/attnjax reproduce

test: $(READY) check ## check style, types and floors, then run every test
	@echo "== tests ($(WORKERS) workers; about half an hour on two cores for both parts), compiled quickly"
	@$(QUICKLY) $(PYTEST) -m "not compiled_in_full" --cov-report=
	@echo "== tests of rounding and of cost, compiled as users do"
	@$(PYTEST) $(FULLY) -m compiled_in_full --cov-append --cov-report=term --cov-fail-under=90
	@echo "== all tests passed. Next: 'make reproduce' runs the main job, 'make lab' opens the tutorials."

check: $(READY) ## style, types and floors only
	@echo "== ruff, mypy, import-linter"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lab: $(READY) ## open the tutorials in JupyterLab
	@echo "== JupyterLab: open 01_attention_as_allocation.ipynb; stop with Ctrl-C"
	@$(BIN)/jupyter lab --notebook-dir=tutorials

lock: ## resolve the dependencies again and write the locks in reproducibility/
	@PYTHON="$(PYTHON)" bash reproducibility/lock.sh

clean: ## remove the environments, runs and reports (never the data cache)
	rm -rf $(VENV) $(BENCH) runs reports .pytest_cache .mypy_cache .ruff_cache .hypothesis
