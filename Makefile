# Verbs of this repository. Each sets up what it needs in .venv; after the first run all work offline.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY ?= python3
BIN := .venv/bin
LINK := .build/ansible_collections/ldfleet/ldplayer
JOBS ?= 2
SCENARIOS := $(notdir $(patsubst %/molecule.yml,%,$(wildcard extensions/molecule/*/molecule.yml)))
CORES := 2.16.19 2.17.14 2.18.19
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo test molecule lint docs bench clean

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: .venv/.done .cache/cores/.done .cache/collections/.done $(LINK)/.done ## make .venv and link the collection into .build

.venv/.done: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PY) -m venv .venv
	@echo "setting up .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# The other releases of ansible-core that are supported and run on this Python: tests drive the collection with each.
.cache/cores/.done: .venv/.done
	@for core in $(CORES); do $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	  --target .cache/cores/$${core%.*} "ansible-core==$$core"; done
	@touch $@

# The collections that galaxy.yml depends on, out of the bundle that PyPI has (Galaxy asks for the same files one by one).
.cache/collections/.done: .venv/.done
	@$(BIN)/pip download --quiet --disable-pip-version-check --no-deps --constraint constraints.txt --dest .cache/bundle ansible
	@$(BIN)/python tools/unbundle.py .cache/bundle/ansible-*.whl .cache/collections
	@rm -rf .cache/bundle
	@touch $@

# Each room is linked by itself: a link to the whole checkout would contain itself.
$(LINK)/.done: Makefile
	@mkdir -p $(LINK)
	@for room in plugins playbooks schemas roles extensions meta galaxy.yml requirements.txt README.md LICENSE changelogs; do \
	  if [ -e $$room ]; then ln -sfn "$(CURDIR)/$$room" $(LINK)/$$room; fi; done
	@touch $@

demo: setup ## converge emulators on three simulated Windows hosts, and prove it
	@$(BIN)/ldfleet demo

test: setup ## run every test
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --cov --cov-report=term:skip-covered --cov-report=xml:.cache/coverage.xml

molecule: setup ## try each role on a simulated Windows host, or on hosts of yours (LDFLEET_MOLECULE_INVENTORY)
	@for scenario in $(SCENARIOS); do \
	  if $(BIN)/molecule test --scenario-name $$scenario >.cache/molecule-$$scenario.log 2>&1; then echo "ok     $$scenario"; \
	  else cat .cache/molecule-$$scenario.log; echo "FAILED $$scenario"; exit 1; fi; done

lint: setup ## ruff, mypy, ansible-lint, ansible-doc, generated files, changelog, PowerShell
	@$(BIN)/python tools/lint.py

docs: setup ## write what is generated from the modules' documentation
	@$(BIN)/python tools/docs.py

bench: setup ## measure ldfleet against the usual ways, in one run on the simulator
	@$(BIN)/python tests/bench/bench.py

clean: ## remove what the verbs made
	@rm -rf .venv .build .cache .coverage dist .hypothesis .pytest_cache .mypy_cache .ruff_cache
