# Each command makes the environment it needs: git, make and Python 3.11 or newer are enough.

PYTHON ?= python3
VENV := .venv
LOCK := requirements.lock
READY := $(VENV)/ready-$(firstword $(shell cksum < $(LOCK)))
PAGE := .dvc/tmp/plots.html
# By a relative path and through the environment: whatever characters are in a folder's or a
# revision's name, no shell reads them.
IN_VENV := PATH="$(VENV)/bin:$$PATH"
export PYTHON REV

# Every stage is a process of its own: byte code kept from the first saves the others seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup repro sweep demo review test quick gpu bench lint format lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

repro: $(PAGE) ## run what changed, and print the results (a fresh clone trains nothing)
	@$(IN_VENV) python -m stages.commands.repro

sweep: $(READY) ## train what is stale on all cores or GPUs, or as ARGS says (docs/sweeps.md)
	@$(IN_VENV) python -m stages.commands.sweep $(ARGS)

review: $(PAGE) ## what differs from REV (main): params, metrics, stages to run, charts, figures
	@$(IN_VENV) python -m stages.commands.review $${REV:+"$$REV"}

demo: $(READY) ## the whole graph on small generated images, as an experiment (no network)
	@PATH="$$PWD/$(VENV)/bin:$$PATH" python -m stages.commands.demo # runs in another folder

test: lint ## lint, then run the tests (ALL=1: those too that take minutes)
	@$(IN_VENV) python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope \
	  --no-loadscope-reorder $(if $(ALL),,-m "not slow")

quick: $(READY) ## the tests that need no graph, cluster or kernel: in a minute on 2 cores
	@$(IN_VENV) python -m pytest --quiet --numprocesses 2 --dist loadscope -m "not slow and not long"

gpu: $(READY) ## the tests of kernels and engines on this machine's NVIDIA GPU, with the tiles that train
	@[ -e /dev/nvidiactl ] || { echo "error: no NVIDIA GPU here (/dev/nvidiactl)" >&2; exit 1; }
	@$(IN_VENV) python -m pytest --numprocesses 0 tests/*/test_kernels.py tests/studies tests/training

bench: $(READY) ## time training against the notebook's loop: a table, and bench/<device>.json
	@$(IN_VENV) python -m bench

lint: $(READY) ## check style and types
	@$(IN_VENV) ruff check
	@$(IN_VENV) ruff format --check
	@$(IN_VENV) mypy

format: $(READY) ## mend style where a tool can
	@$(IN_VENV) ruff check --fix
	@$(IN_VENV) ruff format

lock: $(READY) ## bring requirements.lock in line with pyproject.toml (UPGRADE=1: newest versions)
	@$(IN_VENV) uv pip compile --quiet --universal --fork-strategy fewest --no-annotate --no-header \
	  $(if $(UPGRADE),--upgrade) --extra ray --group dev --output-file $(LOCK) pyproject.toml

clean: ## remove the environment and caches (results and data stay)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache dvc_plots
	find stages tests -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(PAGE) ## make the environment only

# What `dvc plots` fills from then on, with Vega in it: charts open offline. It is made here and not
# kept in git, as it is a megabyte of other people's code that the lock already pins.
$(PAGE): $(READY) stages/pages/templates/review.html
	@$(IN_VENV) python -m stages.commands.review --page

# Made anew when the lock's content changes, after which READY is named, or when it was interrupted:
# READY is written last. uv takes half a minute where pip takes four; pip knows the machine's own
# index and certificates, which uv does not read.
$(READY):
	@if [ -L $(VENV) ]; then \
	  echo "error: $(VENV) is a link, and what it leads to would be emptied; remove the link" >&2; exit 1; fi
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $$PYTHON is missing or older than 3.11; name another: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@echo "making $(VENV) (with PyTorch, some GB to download the first time)"
	@"$$PYTHON" -m venv --clear $(VENV)
	@trap 'exit 130' INT; log=$(VENV)/setup.log; \
	pip="$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check"; \
	{ $$pip "$$(grep '^uv==' $(LOCK))" && \
	  $(VENV)/bin/uv pip sync --quiet --python $(VENV)/bin/python $(LOCK); } >$$log 2>&1 || \
	{ echo "uv failed ($$log says why): pip takes over, which is slower"; \
	  $$pip --no-deps --requirement $(LOCK) >>$$log 2>&1; } || \
	{ tail -n 5 $$log >&2; echo "error: the packages could not be installed; see $$log" >&2; exit 1; }
	@touch $@
