# make demo   first run on a fresh machine: environment, then results/demo/figures/fig1.pdf
# make test   environment, then the whole test suite
# make help   what else there is

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The version that the tests run with.
TORCH := torch==2.13.0
# Its build: auto (without an NVIDIA driver the CPU build, if it can be had), cpu, or cuda (6.3 GB in all).
TORCH_BUILD ?= auto
# Where CPU builds are, if pip's own sources have none.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
RUN := PATH="$(abspath $(BIN)):$$PATH"
SCALE := --configfile config/two-core/config.yaml --

TENSORFLOW := .venv-tensorflow
VALIDATOR := .venv-validator
# What conda-forge's CUDA builds need at least (workflow/envs/*-cuda.yaml).
CUDA := 12.9
CONDA := conda

.PHONY: help environment demo figures-demo test test-cluster test-environments other-build test-other-build check-other-build lint format pins modules check-conda reproduction benchmark-keras verify-basenji2 clean
.DEFAULT_GOAL := help

help:
	@echo "make demo          environment, then Figure 1 at demo scale (some minutes on two cores)"
	@echo "make figures-demo  environment, then every figure that needs no large download, at demo scale"
	@echo "make test          environment, then the test suite"
	@echo "make test-cluster  the tests on a real Slurm of one node, as root on Debian (installs its packages)"
	@echo "make environment   only the environment, in $(VENV); TORCH_BUILD=cpu or cuda chooses the build of PyTorch"
	@echo "make test-environments  of the suite what runs rules in the environments of their families"
	@echo "make test-other-build   of the suite what depends on PyTorch's build, with the one that $(VENV) lacks (CUDA: 6.3 GB)"
	@echo "make lint          linters and formatters, without changing anything"
	@echo "make format        format Python and Snakemake files"
	@echo "make modules FOLDER=…   environments and module files of all families, by pip, for clusters without conda"
	@echo "make check-conda   let conda solve each file of workflow/envs, without installing anything"
	@echo "make pins          give the conda files the versions of requirements.lock"
	@echo "make reproduction  train what two cores can at paper settings (hours) and renew docs/reproduction.md"
	@echo "make benchmark-keras  an environment with TensorFlow, for the benchmarks against it"
	@echo "make verify-basenji2  the same, and Basenji2 held against TensorFlow's: small models, or your"
	@echo "                      WEIGHTS=model.h5 FASTA=genome.fa REGIONS=windows.bed [PARAMS=params.json] [COUNT=2]"
	@echo "make clean         remove the environment; results stay"

environment: $(VENV)/ready

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "cisflow needs Python 3.11 to 3.13, and $(PYTHON) is another; name one: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@echo "[1/4] making the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "[2/4] installing $(TORCH)"
	@$(BIN)/python workflow/envs/install_torch.py "$(TORCH)" --build "$(TORCH_BUILD)" --cpu-index "$(TORCH_CPU_INDEX)"
	@echo "[3/4] installing the other packages of requirements.lock (0.5 GB to download, 1.8 GB on disk)"
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

test: environment $(VALIDATOR)/ready
	$(RUN) python -m pytest -n 2 --dist loadfile

# Users have either build of PyTorch. In an environment with the one that $(VENV) lacks: what a build decides, which is the
# packages that come with it, and the numbers that it computes. The rest of the suite would be the same once more.
OTHER := .venv-other-build
OTHER_BUILD = $$($(BIN)/python -c 'from importlib.metadata import version; \
  print("cuda" if version("torch").endswith("+cpu") else "cpu")')
OF_A_BUILD := tests/environments tests/models tests/attribution \
  $(addprefix tests/test_house.py::,test_the_environment_is_the_locked_one test_conda_files_are_what_make_pins_writes)

other-build: environment
	@$(MAKE) environment VENV=$(OTHER) TORCH_BUILD="$(OTHER_BUILD)"

test-other-build: other-build
	PATH="$(abspath $(OTHER)/bin):$$PATH" python -m pytest -n 2 --dist loadfile $(OF_A_BUILD)

# Whether that can be had, and if not, why.
check-other-build: environment
	@$(BIN)/python workflow/envs/install_torch.py "$(TORCH)" --build "$(OTHER_BUILD)" --cpu-index "$(TORCH_CPU_INDEX)" --check .

# The validator of RO-Crates (cisflow crate), in an environment of its own, for its tests.
$(VALIDATOR)/ready: tests/records/validator.lock
	@$(PYTHON) -m venv $(VALIDATOR)
	@$(VALIDATOR)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

SLURM := tests/cluster/slurm.sh

test-cluster: environment
	@$(SLURM) installed || $(SLURM) install
	$(RUN) python -m pytest -n 2 --dist loadfile --maxfail 3 tests/cluster

lint: environment
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile workflow
	$(RUN) snakemake --lint

format: environment
	$(RUN) ruff check --fix .
	$(RUN) ruff format .
	$(RUN) snakefmt Snakefile workflow

test-environments: environment
	$(RUN) python -m pytest tests/environments

modules:
	@test -n "$(FOLDER)" || { echo "name a folder that compute nodes see, too: make modules FOLDER=/project/cisflow"; exit 1; }
	$(PYTHON) workflow/envs/modules.py --folder "$(FOLDER)"

# CONDA_OVERRIDE_CUDA: a login node without a GPU may solve for nodes that have one. No environment is made.
check-conda:
	@command -v $(CONDA) > /dev/null || { echo "$(CONDA) is not on PATH; name another: make check-conda CONDA=mamba"; exit 1; }
	@for file in workflow/envs/*.yaml; do \
	  echo "$$file"; \
	  CONDA_OVERRIDE_CUDA=$(CUDA) $(CONDA) env create --dry-run --quiet --name cisflow-check --file "$$file" || exit 1; \
	done

pins: environment
	$(RUN) python workflow/envs/pins.py

reproduction: environment
	$(RUN) snakemake --profile profiles/local $(SCALE) results/two-core/reproduction.md
	cp results/two-core/reproduction.md docs/reproduction.md

# The peer of benchmarks/training.py, benchmarks/embedding.py and verify-basenji2, in an environment of its own.
benchmark-keras: $(TENSORFLOW)/ready

$(TENSORFLOW)/ready: workflow/envs/basenji2-tensorflow.lock
	@echo "installing TensorFlow in $(TENSORFLOW) (some 1.5 GB)"
	@$(PYTHON) -m venv $(TENSORFLOW)
	@$(TENSORFLOW)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

COUNT ?= 2
PARITY := results/verify-basenji2
VERIFY := workflow/scripts/embeddings/verify

verify-basenji2: environment $(TENSORFLOW)/ready
ifdef WEIGHTS
	$(RUN) python $(VERIFY)_windows.py --fasta "$(FASTA)" --regions "$(REGIONS)" $(if $(PARAMS),--params "$(PARAMS)") \
	  --count $(COUNT) --out $(PARITY)/windows.h5
	PYTHONPATH=src $(TENSORFLOW)/bin/python $(VERIFY)_tensorflow.py --weights "$(WEIGHTS)" --windows $(PARITY)/windows.h5 \
	  --out $(PARITY)/tensorflow.h5
	$(RUN) python $(VERIFY).py --weights "$(WEIGHTS)" $(if $(PARAMS),--params "$(PARAMS)") --windows $(PARITY)/windows.h5 \
	  --reference $(PARITY)/tensorflow.h5 --out $(PARITY)/parity.tsv
	@cat $(PARITY)/parity.tsv
else
	$(RUN) CISFLOW_TENSORFLOW_PYTHON=$(TENSORFLOW)/bin/python python -m pytest tests/embeddings/test_parity.py \
	  --verbose --log-cli-level=INFO
endif

clean:
	rm -rf $(VENV) $(VALIDATOR) $(OTHER)
