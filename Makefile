# Two commands: `make demo` and `make test` do all set-up by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := demo
# Tiny networks: more threads a process only add jitter.
export OMP_NUM_THREADS ?= 1
export MPLBACKEND := Agg

.PHONY: demo test lint bench clean

demo: $(READY)
	$(BIN)/python -m training.demo --out $(DEMO)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/throughput.py

clean:
	rm -rf $(VENV) $(DEMO)

# A new set-up is made beside the old one and takes its place only when it is complete.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv --upgrade-deps $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[wandb,dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps torchvision
	touch $@
