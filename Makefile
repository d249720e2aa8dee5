# Two commands do all the set-up on a fresh machine: `make screen` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
STAMP  := $(VENV)/.installed

.PHONY: help install screen test test-slow cluster-test bench docs lint clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-13s %s\n", $$1, $$2}'

# torch first and alone: pulled in by another package it brings several GB of CUDA packages
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet "$$(grep -E '^torch==' constraints.txt)"
	$(PIP) install --quiet -c constraints.txt -e '.[all,test]'
	$(BIN)/lzc models install nep89
	touch $@

install: $(STAMP)  ## virtual environment, pinned packages, model file

screen: install  ## run the main job: flows/quickstart.yaml from grid to heatmap
	$(BIN)/lzc run flows/quickstart.yaml

test: install  ## run the tests (at most 15 min on 2 cores)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow'

test-slow: install  ## run the tests that take minutes each
	$(BIN)/python -m pytest -m 'slow and not cluster'

cluster-test: install  ## bring up SLURM on this machine (root), kill what runs on it, take it down (a quarter of an hour)
	up=$$(launchpad/slurm-local/up.sh) || exit 2; eval "$$up"; \
	$(BIN)/python -m pytest tests/cluster; status=$$?; \
	launchpad/slurm-local/down.sh; exit $$status

bench: install  ## measure our code beside its peers
	$(BIN)/python bench/grid_size.py
	$(BIN)/python bench/orbit_enumeration.py
	$(BIN)/python bench/order_vs_peers.py
	$(BIN)/python bench/bvse_vs_bvlain.py
	$(BIN)/python bench/bvse_scaling.py
	$(BIN)/python bench/engine_forces.py
	$(BIN)/python bench/md_overhead.py --engines nep
	$(BIN)/python bench/trajectory_io.py
	$(BIN)/python bench/scale.py
	$(BIN)/python bench/job_overhead.py
	$(BIN)/python bench/ranking.py

docs: install  ## build the HTML documentation into docs/_build
	$(PIP) install --quiet -c constraints.txt -e '.[docs]'
	$(BIN)/python -m sphinx -W -b html docs docs/_build

lint: install  ## format check, lint, types
	$(PIP) install --quiet -c constraints.txt -e '.[lint]'
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy

clean:  ## remove the virtual environment and everything built; campaigns stay
	rm -rf $(VENV) docs/_build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
