# make demo   first run on a fresh machine: environment, then results/demo/figures/fig1.pdf
# make test   environment, then the whole test suite
# make help   what else there is

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The version that the tests run with. pip takes the build that your index offers: on Linux that is the one with CUDA,
# of several gigabytes; a CPU build serves as well (see the README).
TORCH := torch==2.13.0
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"
SCALE := --configfile config/two-core/config.yaml --

.PHONY: help environment demo figures-demo test lint format reproduction benchmark-keras clean
.DEFAULT_GOAL := help

help:
	@echo "make demo          environment, then Figure 1 at demo scale (some minutes on two cores)"
	@echo "make figures-demo  environment, then every figure that needs no large download, at demo scale"
	@echo "make test          environment, then the test suite"
	@echo "make environment   only the environment, in $(VENV)"
	@echo "make lint          linters and formatters, without changing anything"
	@echo "make format        format Python and Snakemake files"
	@echo "make reproduction  train what two cores can at paper settings (hours) and renew docs/reproduction.md"
	@echo "make benchmark-keras  an environment with TensorFlow, for benchmarks/training.py"
	@echo "make clean         remove the environment; results stay"

environment: $(VENV)/ready

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "cisflow needs Python 3.11 to 3.13, and $(PYTHON) is another; name one: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@echo "[1/4] making the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "[2/4] installing $(TORCH)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	@echo "[3/4] installing the other packages of requirements.lock (about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@echo "[4/4] compiling Tomtom (half a minute, once)"
	@$(BIN)/python -m cisflow.motifs.tomtom
	@touch $@

demo: environment
	$(RUN) snakemake --profile profiles/demo results/demo/figures/fig1.pdf
	@echo
	@echo "Figure 1 at demo scale:"
	@for ending in pdf png tsv json; do echo "  $(CURDIR)/results/demo/figures/fig1.$$ending"; done

figures-demo: environment
	$(RUN) snakemake --profile profiles/demo

test: environment
	$(RUN) python -m pytest

lint: environment
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile workflow
	$(RUN) snakemake --lint

format: environment
	$(RUN) ruff check --fix .
	$(RUN) ruff format .
	$(RUN) snakefmt Snakefile workflow

reproduction: environment
	$(RUN) snakemake --profile profiles/local $(SCALE) results/two-core/reproduction.md
	cp results/two-core/reproduction.md docs/reproduction.md

# The peer of benchmarks/training.py, in an environment of its own.
benchmark-keras:
	$(PYTHON) -m venv .venv-tensorflow
	.venv-tensorflow/bin/python -m pip install --quiet tensorflow-cpu==2.21.0 h5py==3.14.0
	.venv-tensorflow/bin/python -m pip install --quiet --no-deps tf-keras==2.21.0

clean:
	rm -rf $(VENV)
