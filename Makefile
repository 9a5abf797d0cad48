# make demo: the demo on synthetic faces; make test: all tests; make test-lowest: some tests, with the lowest versions that
# pyproject.toml declares; make docs: the documentation site, in build/site. Each creates its environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
# Tests that depend on library versions: images, networks, files.
FAST := tests/datasets tests/layouts tests/encoders tests/heads tests/store tests/synthetic_faces tests/loading/test_earlier_versions.py tests/cli/test_main_job.py

.PHONY: demo test test-lowest docs lint clean

demo: $(VENV)/installed
	$(BIN)/fercache demo

test: $(VENV)/installed-dev
	$(BIN)/pytest -n auto --dist loadgroup

test-lowest: $(LOWEST)/installed
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -q -n auto $(FAST)

docs: $(VENV)/installed-dev
	$(BIN)/python docs/site/collect.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "open build/site/index.html"

lint: $(VENV)/installed-dev docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fercache needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/python pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/python pyproject.toml
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/installed

$(LOWEST)/installed: $(VENV)/installed-dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable ".[lowest]"
	touch $@

clean:
	rm -rf $(VENV) $(LOWEST) build *.egg-info
