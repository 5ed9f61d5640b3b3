# Each target makes what it needs; the second time is fast. `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# On Linux without a GPU, pip's plain `torch` may fetch gigabytes of CUDA. This release is what CI
# uses; TORCH_ARGS passes further words to pip, such as an index with CPU builds.
TORCH      ?= torch==2.13.0
TORCH_ARGS ?=
SEEDS  ?= 0 1 2 3 4
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo demo-seeds evidence evidence-report test test-all lint format types docs vscode wheel clean
.ONESHELL:
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $(TORCH_ARGS) "$(TORCH)"
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

demo: $(VENV)/.ready ## set up, then run the main job on the quickstart
	cd examples/quickstart
	../../$(BIN)/dagent compile
	../../$(BIN)/dagent execute
	../../$(BIN)/dagent status

demo-seeds: $(VENV)/.ready ## the quickstart over five seeds, a line of result each
	$(BIN)/python benchmarks/quickstart_seeds.py $(SEEDS)

evidence: $(VENV)/.ready ## run what is missing of the comparison of three domains (hours; resumes)
	$(BIN)/python benchmarks/evidence/run.py --jobs $(JOBS)

evidence-report: $(VENV)/.ready ## its tables, tests and figure anew, from the committed results
	$(BIN)/python benchmarks/evidence/report.py

test: $(VENV)/.ready ## set up, then the tests (at most ten minutes on two cores)
	$(BIN)/python -m pytest -n $(JOBS) -m 'not slow'

test-all: $(VENV)/.ready ## every test: fuzzing, a kill at every event, real training
	$(BIN)/python -m pytest -n $(JOBS)

lint: $(VENV)/.ready ## ruff: mistakes and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.ready ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.ready ## mypy, over a folder of links that gives the packages their real names
	rm -rf .typecheck && mkdir -p .typecheck
	cp -rs $(CURDIR)/dagent .typecheck/dagent
	ln -s $(CURDIR)/dsl $(CURDIR)/compiler $(CURDIR)/runtime $(CURDIR)/specs .typecheck/dagent/
	cd .typecheck && ../$(BIN)/mypy -p dagent

docs: $(VENV)/.ready ## rewrite the generated parts of the reference
	$(BIN)/python -m dagent.reference

vscode: ## test and package the VS Code extension: editors/vscode/dagent.vsix (needs Node 20)
	cd editors/vscode
	npm ci --no-audit --no-fund
	mkdir -p schemas
	cp ../../specs/spec.schema.json schemas/
	cp ../../LICENSE .
	npm run build
	npm test
	npm run package

wheel: $(VENV)/.ready ## build the wheel and the source distribution
	$(BIN)/python -m build

clean: ## remove what the targets made, but for the environment
	rm -rf editors/vscode/{node_modules,dist,schemas,LICENSE,dagent.vsix}
	rm -rf build dist *.egg-info .typecheck .pytest_cache .mypy_cache .ruff_cache .hypothesis
