# Everything a user or the continuous integration runs. `make` alone prints the list.
.DEFAULT_GOAL := help
.PHONY: help solve test check pull format lock bench bench-rl bench-verify baseline results lm-eval-check clean

PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check
# As it was given: a question may hold what make or the shell would read otherwise.
override export Q := $(value Q)
ARGS ?=

help: ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

solve: .venv/.core pull ## answer the first questions, or yours: make solve Q="What is 17 * 3?"
	@$(BIN)/sixfold solve --n 8 $(ARGS) -- "$${Q:-examples/first-questions.jsonl}"

test: .venv/.dev .venv/.train pull ## install what the tests need and run them
	@command -v bwrap >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing bubblewrap" \
		&& { apt-get install -qq -y bubblewrap >/dev/null || { apt-get update -qq && apt-get install -qq -y bubblewrap >/dev/null; }; }; } \
		|| echo "bubblewrap is missing, so tests that run programs are skipped: apt-get install bubblewrap"
	@echo "running the tests" && $(BIN)/pytest $(ARGS)

check: .venv/.dev .venv/.train ## format, lint and types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

pull: .venv/.core
	@$(BIN)/sixfold pull >/dev/null

format: .venv/.dev ## format the code and regenerate the generated docs
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/python docs/generate.py

lock: .venv/.dev ## write the lock files anew from pyproject.toml
	@$(BIN)/pip-compile -q --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links -o requirements.lock pyproject.toml
	@$(BIN)/pip-compile -q --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --allow-unsafe --extra dev \
		-c requirements.lock -o requirements-dev.lock pyproject.toml
	@$(BIN)/pip-compile -q --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --unsafe-package torch \
		--unsafe-package setuptools --unsafe-package triton --extra train -c requirements.lock -c requirements-dev.lock \
		-o requirements-train.lock pyproject.toml

bench: .venv/.core pull ## measure overhead, the shared prefix and early stopping (some minutes)
	@$(BIN)/python bench/solve.py $(ARGS)

bench-rl: .venv/.core .venv/.train pull ## measure a step of RL against stock TRL (half an hour)
	@$(BIN)/python bench/rl.py $(ARGS)

bench-verify: .venv/.dev ## measure the judging: checks and tested programs a second, precision and recall
	@$(BIN)/python bench/verify.py $(ARGS) && $(BIN)/python bench/sandbox.py

baseline: .venv/.dev pull ## measure the untrained base on the generated tasks and GSM8K (an hour)
	@$(BIN)/sixfold eval generated --model smollm2-135m-instruct --limit 20 --out runs/baseline-generated $(ARGS)
	@$(BIN)/sixfold eval gsm8k --model smollm2-135m-instruct --out runs/baseline-gsm8k $(ARGS)

results: .venv/.dev pull ## measure the base and the embedded model on what was trained and on what was not (an hour)
	@for model in smollm2-135m-instruct sixfold-135m; do for part in trained untrained; do \
		$(BIN)/sixfold eval --recipe bench/$$part.toml --model $$model --out runs/results/$$part-$$model $(ARGS) || exit; done; done
	@for part in trained untrained; do \
		$(BIN)/sixfold compare runs/results/$$part-smollm2-135m-instruct runs/results/$$part-sixfold-135m || exit; done

lm-eval-check: .venv/.dev pull ## compare a shared task with lm-evaluation-harness, which it installs (some minutes)
	@SIXFOLD_LM_EVAL=1 $(BIN)/pytest tests/e2e/test_lm_eval.py $(ARGS)

clean: ## remove the environment
	rm -rf .venv

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is older: set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "creating .venv" && $(PYTHON) -m venv .venv

.venv/.core: .venv/bin/python requirements.lock pyproject.toml
	@echo "installing the core dependencies" && $(PIP) install --progress-bar on --require-hashes -r requirements.lock
	@$(PIP) install -q --no-deps -e . && touch $@

.venv/.dev: .venv/.core requirements-dev.lock
	@echo "installing what the tests need" && $(PIP) install --progress-bar on --require-hashes -r requirements-dev.lock && touch $@

# The CPU build where pip finds one; elsewhere, with an accelerator, the build that fits it: docs/training.md.
.venv/.train: .venv/.core requirements-train.lock
	@echo "installing what training needs" && $(PIP) install -q --progress-bar on $(TORCH)
	@$(PIP) install --progress-bar on --no-deps --require-hashes -r requirements-train.lock && touch $@
