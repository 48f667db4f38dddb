PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.demo: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## Move 20,000 real word vectors into an embedded PostgreSQL, and prove it
	@$(BIN)/python examples/quickstart/run.py

pinecone: $(VENV)/.dev  ## Move 5,000 of them from a Pinecone on this machine into PostgreSQL, and back
	@$(BIN)/python examples/pinecone-to-pgvector/run.py

weaviate: $(VENV)/.dev  ## Move texts from PostgreSQL into a Weaviate on this machine, for hybrid search
	@$(BIN)/python examples/pgvector-to-weaviate/run.py

documents: $(VENV)/.dev  ## Chunk and embed a handbook on this machine into PostgreSQL; then one file changes
	@$(BIN)/python examples/documents-to-pgvector/run.py

retire: $(VENV)/.demo  ## Retire a model: embed texts anew beside what serves, compare, cut over and back
	@$(BIN)/python examples/retire-a-model/run.py

test: $(VENV)/.dev  ## Run the tests
	$(PYTEST)

check: $(VENV)/.dev  ## Format, lint, types, import directions, schema.json, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vecmig schema --check schema.json
	$(PYTEST)

bench: $(VENV)/.dev  ## Measure, as ratios to what the store itself can do (long)
	$(BIN)/python -m tests.benchmarks

soak: $(VENV)/.dev  ## Kill it a hundred times (long)
	$(BIN)/pytest -m soak -s -o timeout=7200 tests/crash

.PHONY: help demo pinecone weaviate documents retire test check bench soak
