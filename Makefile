# Each target sets up what it needs. Prerequisite: Python >= 3.11 with venv and pip, or uv.

VENV   ?= .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV     := $(shell command -v uv 2>/dev/null)
JOBS   ?= 4
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types types-mypy types-pyright bench bench-quick chaos soak bystander wheel-check clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.ready-demo ## see tasks enqueued by one process and run by another, over the embedded server
	@$(BIN)/hotqueue demo

test: $(VENV)/.ready-test ## run the tests in parallel (ARGS="-k name" narrows, JOBS=1 for one at a time)
	$(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)

check: lint types test ## format, lint, types, import contract, tests

lint: $(VENV)/.ready-check # format, lint, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo

types: types-mypy types-pyright # the types alone: mypy strict, pyright on the public API

types-mypy: $(VENV)/.ready-check
	$(BIN)/mypy
	$(BIN)/mypy tests/typing

types-pyright: $(VENV)/.ready-check
	$(BIN)/pyright --pythonpath $(BIN)/python tests/typing
	$(BIN)/python tests/typing/public.py

bench: $(VENV)/.ready-bench ## measure everything beside eleven peers and a bare redis-py loop; 35 to 45 minutes, or in parts (ARGS="--limit 500")
	$(BIN)/python -m bench.suite $(ARGS)

bench-quick: $(VENV)/.ready-bench ## the main figures beside the two fastest peers, in less than four minutes
	$(BIN)/python -m bench.suite --quick $(ARGS)

chaos: $(VENV)/.ready-test ## kill processes and servers at random for five minutes, and account for every task (ARGS="--seconds 60")
	$(BIN)/python -m tests.chaos $(ARGS)

soak: $(VENV)/.ready-test ## run every kind of task for an hour on one worker, which has to stay as it was (ARGS="--rounds 20 --seconds 60")
	$(BIN)/python -m tests.soak $(ARGS)

bystander: $(VENV)/.ready-test ## what one trouble costs those who have nothing to do with it: ten scenes, about twelve minutes (ARGS="--seconds 5")
	$(BIN)/python -m tests.bystander $(ARGS)

wheel-check: $(VENV)/.ready-check ## build the wheel and run the README's quickstart from it, on every Python found here
	$(BIN)/python tests/wheel_check.py

clean: ## remove the virtual environment and what the tools left
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(BIN)/python:
ifdef UV
	@$(UV) venv --quiet --seed --python ">=3.11" $(VENV)
else
	@test -n "$(PYTHON)" || { echo "hotqueue needs Python 3.11 or newer on the PATH (or uv)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "python's venv module is missing or broken; on Debian: apt-get install python3-venv" >&2; exit 1; }
endif

# One stamp for each set of packages; made anew when pyproject.toml changes.
GROUPS_demo  :=
GROUPS_test  := --group test
GROUPS_check := --group test --group check
GROUPS_bench := --group bench

$(VENV)/.ready-%: pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV) for $* ..."
ifdef UV
	@$(UV) pip install --quiet --python $(BIN)/python --editable . $(GROUPS_$*)
else
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . $(GROUPS_$*)
endif
	@touch $@
