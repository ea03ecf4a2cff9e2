# make demo : environment, then the whole way on the embedded data set (runs/demo)
# make test : environment, then the tests

VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# uv reads no pip configuration: a local index of wheels, where one is set, is passed on to it.
LINKS  := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)")

.PHONY: env demo test test-slow lint check bench clean

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade uv
	$(BIN)/uv pip install --python $(BIN)/python $(LINKS) --constraint constraints.txt \
	    --editable '.[all]' --group dev
	touch $@

demo: env
	$(BIN)/workzone demo --out runs/demo

test: env
	$(BIN)/python -m pytest

test-slow: env
	$(BIN)/python -m pytest -m "slow"

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

bench: env
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache
