# Everything here works on a machine with Python 3.11 or newer, pip and make. Another Python: make PYTHON=python3.12 test

PYTHON ?= python3
JOBS   ?= 2
BIN    := .venv/bin
RUN    := .venv/.installed-to-run
TEST   := .venv/.installed-to-test

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# pyright would otherwise ask the network for a newer version of itself.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# The tests start hundreds of interpreters, each of which would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-chips bench lint format types docs models site dist clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

install: $(TEST) ## Install lehr, editable, and the tools of its tests into .venv

demo: $(RUN) ## Train, export, simulate, build and verify on real digits, in about a minute
	$(BIN)/lehr demo

test: lint types ## Run the linters, the type checkers and the first tier of the tests
	$(BIN)/pytest -n $(JOBS) --dist loadfile

test-slow: $(TEST) ## Run the second tier: conformance that takes minutes, many examples of each property, pyright on the tests
	$(BIN)/pyright -p tests & $(BIN)/pytest -n $(JOBS) --dist loadfile -m slow; right=$$?; wait $$! && exit $$right

test-chips: $(TEST) ## Run the tests of both tiers for machines that others made, in their own tools where these are here
	$(BIN)/pytest -n $(JOBS) -m chips

bench: $(TEST) ## Time the simulator beside other programs, in processor time; build/bench.json has the ratios
	$(PIP) install -c constraints.txt -e '.[bench]'
	mkdir -p build
	$(BIN)/pytest benchmarks --benchmark-timer=time.process_time --benchmark-json=build/bench.json

lint: $(TEST) ## Run ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(TEST) ## Let ruff repair what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(TEST) ## Run mypy and pyright, side by side
	$(BIN)/mypy -n 2 & $(BIN)/pyright; right=$$?; wait $$! && exit $$right

docs: $(RUN) ## Write the pages of supported operators and of trained networks anew
	$(BIN)/python -c 'from lehr.targets import operators, registry; print(operators.markdown(registry.targets()), end="")' > docs/operators.md
	$(BIN)/lehr models list --md > docs/models.md

models: $(RUN) ## Train, measure and pack the zoo anew, in hours: make models DATA=DIR, the folder of the data sets
	$(if $(DATA),,$(error give the folder of the data sets: make models DATA=DIR))
	$(BIN)/python -m lehr.zoo.pack --data $(DATA) -o dist/models
	$(MAKE) docs

site: $(TEST) ## Build the documentation's site in build/site; its notebooks are run, in some minutes
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/site

dist: $(TEST) ## Make the source archive and the wheel in dist/
	$(BIN)/python -m build --no-isolation

clean: ## Remove what was made, except .venv
	rm -rf build dist lehr-demo *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.venv -prune -o -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("lehr needs Python 3.11 or newer; call make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

# Not compiled: half of the time would go into files that are never imported.
$(RUN): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --no-compile -c constraints.txt -e '.[train,onnx]'
	touch $@

$(TEST): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --no-compile -c constraints.txt -e '.[test]'
	touch $(RUN) $@
