# Two commands: `make demo` and `make test` do all set-up by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := demo
# Tiny networks: more threads a process only add jitter.
export OMP_NUM_THREADS ?= 1
export MPLBACKEND := Agg

.PHONY: demo cluster-demo test kills fuzz lint bench clean

# Trains for about two minutes, then compares five schedulers on traces that none has seen.
demo: $(READY)
	$(BIN)/snakegym train --scenario default --algo maskable-ppo --timesteps 30000 --n-envs 16 \
	  --eval-every 6000 --seed 0 \
	  --out $(DEMO)/ppo $(if $(wildcard $(DEMO)/ppo/config.json),--resume)
	$(BIN)/snakegym evaluate --scheduler $(DEMO)/ppo --scheduler milp --scheduler greedy \
	  --scheduler serpentine --scheduler random --scenario default --split test --episodes 20 --seed 0 \
	  --jobs 2 --out $(DEMO)/evaluation

# Four nodes of this machine on a cluster of their own, one of which is killed; about two minutes.
cluster-demo: $(READY)
	$(BIN)/python -m snakegym.training.cluster.demo cluster-demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Forty kills at random times and in the middle of writing; takes a good while.
kills: $(READY)
	$(BIN)/python tests/kills.py --kills 40

# Ten thousand hostile scenarios, traces, command lines and files; about ten minutes.
fuzz: $(READY)
	SNAKEGYM_FUZZ=210 $(BIN)/python -m pytest -n 2 --dist worksteal tests/training/test_fuzz.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p build/types/snakegym
	ln -sfn $(addprefix $(CURDIR)/,agents envs training $(wildcard snakegym/*)) build/types/snakegym/
	$(BIN)/mypy
	MYPYPATH=benchmarks:experiments $(BIN)/mypy benchmarks/*.py experiments/*.py

# About seven minutes; prints the tables and keeps them, with the name of the machine.
bench: $(READY)
	$(BIN)/python benchmarks/throughput.py --markdown benchmarks/results/bench.md \
	  --json benchmarks/results/bench.json

clean:
	rm -rf $(VENV) $(DEMO) cluster-demo

# The torchvision wheel asks for the CUDA build of torch, so it comes without its dependencies.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv --upgrade-deps $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[wandb,tensorboard,sweep,ray,cluster,video,llm,dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps torchvision
	touch $@
