# Each command sets up what it needs. The first one makes .venv: some minutes, about 6 GB.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
WORKERS ?= auto
OUT := out

NOTEBOOKS := $(wildcard notebooks/*.ipynb workflow/*.ipynb)
# What nbstripout removes beyond outputs; a cell's tags stay, and so does the kernel's name, which papermill reads.
STRIP := --extra-keys "metadata.language_info.version metadata.papermill cell.metadata.papermill"

# Notebooks find this environment's kernel even where the user has another one of the same name.
export JUPYTER_PREFER_ENV_PATH := 1

.PHONY: help demo report test test-slurm lab docs quality format bench verify site clean
.DEFAULT_GOAL := help

help:  ## list the commands
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/make \1|\2/p' Makefile | awk -F '|' '{ printf "%-14s %s\n", $$1, $$2 }'

demo: $(READY)  ## train and evaluate one paper here, then write its page
	@mkdir -p $(OUT)
	@echo "1/3  training MLSL with dropout 0.5, its first stage and its control (minutes; reused if done before)"
	@$(PY) -m reidlib run mlsl --dropout 0.5 --committed false
	@echo "2/3  executing the notebook on these runs"
	@$(PY) -m papermill notebooks/mlsl_ablation.ipynb $(OUT)/mlsl_ablation.ipynb -p dropout 0.5 -p committed False
	@echo "3/3  rendering the page"
	@$(PY) -m reidlib report $(OUT)/mlsl_ablation.ipynb

# What is given goes to the workflow: make report PAPERS=mlsl,drdl PROFILE=paper SEEDS=[0,1,2]
REPORT = $(if $(PAPERS),papers=$(PAPERS)) $(if $(PROFILE),profile=$(PROFILE)) $(if $(SEEDS),"seeds=$(SEEDS)") $(SETTINGS)
report: $(READY)  ## compute what is missing and write every paper's page; PAPERS=mlsl for one
	@$(PY) -m snakemake --profile workflow/profiles/local --config out=$(OUT) $(REPORT)

test: export OMP_NUM_THREADS := 1
test: $(READY)  ## run all tests, on every core
	$(PY) -m pytest -q -n $(WORKERS) --dist worksteal

test-slurm: export REIDLIB_TEST_SLURM := 1
test-slurm: $(READY)  ## run the workflow on a real Slurm on this machine (root; installs Debian's slurm-wlm)
	@PATH="$$PATH:/usr/sbin:/sbin"; command -v slurmctld >/dev/null && command -v munged >/dev/null || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null || { \
	    echo "slurm-wlm and munge are missing: install them, or be root where there is apt-get" >&2; exit 1; }; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null; }
	$(PY) -m pytest -q tests/suite/test_slurm.py

lab: $(READY)  ## open the notebooks in JupyterLab
	$(PY) -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks

quality: $(READY)  ## lint code and notebooks, check their format and that notebooks hold no outputs
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	PYTHONPATH=. $(VENV)/bin/lint-imports --no-cache
	$(PY) -m mypy
	$(if $(NOTEBOOKS),$(PY) -m nbstripout --verify $(STRIP) $(NOTEBOOKS))

format: $(READY)  ## mend what quality finds, where a tool can
	$(PY) -m ruff check --fix --exit-zero .
	$(PY) -m ruff format .
	$(if $(NOTEBOOKS),$(PY) -m nbstripout $(STRIP) $(NOTEBOOKS))

docs: $(READY)  ## write the library's reference from its docstrings into out/docs; a warning is an error
	$(PY) -m sphinx -q -W --keep-going -b html docs $(OUT)/docs
	@echo "open $(OUT)/docs/index.html"

bench: $(READY)  ## measure the evaluator, re-ranking, the training loop, the losses, the renderer and the data's way in
	$(PY) -m benchmarks.bench_evaluator
	$(PY) -m benchmarks.bench_rerank
	$(PY) -m benchmarks.bench_train
	$(PY) -m benchmarks.bench_losses
	$(PY) -m benchmarks.bench_render
	$(PY) -m benchmarks.bench_images
	$(PY) -m benchmarks.bench_datasets

verify: $(READY)  ## replay the probes of the committed records and write what was found
	$(PY) -m reidlib verify

site: $(READY)  ## write the results as a site: overview, a page a paper, errata, ledger of claims
	$(PY) -m reidlib site --out results

clean:  ## remove what the tools leave behind (the environment and the user's cache stay)
	rm -rf $(OUT) .snakemake .pytest_cache .ruff_cache .hypothesis

# The stamp is written last, so an interrupted installation is taken up again.
$(READY): pyproject.toml reidlib/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not one. Name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: install its venv package (Debian, Ubuntu: python3-venv)" >&2; \
	  exit 1; }
	@echo "Setting up $(VENV): a first installation takes some minutes and about 6 GB of disk ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e reidlib -e '.[all]'
	@touch $@
	@echo "$(VENV) is ready"
