# A camera that never makes a picture. `make` alone lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
FRAMES ?=
SCENE ?=
WEB ?=
FUZZ_S ?= 60
# Each process of the tests takes up to 1.3 GB.
JOBS ?= 2
PYTEST_ARGS ?=

help: ## list the targets
	@echo "Targets:"; grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; found: $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "python3 has no venv module. Try: sudo apt install python3-venv"; exit 1; }
	@echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV)

# One stamp per set of requirements: installed again only when a declaration changes.
DECLARED := pyproject.toml packaging/lsi-host/pyproject.toml constraints.txt

$(VENV)/.demo: $(BIN)/python $(DECLARED)
	@echo "Installing the demo into $(VENV) (once, about 400 MB on disk) ..."
	@$(PIP) install -c constraints.txt -e . -e 'packaging/lsi-host[demo]'
	@touch $@

$(VENV)/.web: $(BIN)/python $(DECLARED)
	@echo "Installing the demo and its page into $(VENV) (once) ..."
	@$(PIP) install -c constraints.txt -e . -e 'packaging/lsi-host[demo,dashboard]'
	@touch $@ $(VENV)/.demo

$(VENV)/.dev: $(BIN)/python $(DECLARED)
	@echo "Installing everything for development, PyTorch included (once) ..."
	@$(PIP) install -c constraints.txt -e '.[dev,pi]' -e 'packaging/lsi-host[demo,train,export,report,onnx,digits,record,dashboard,audit,bench]'
	@touch $@ $(VENV)/.demo $(VENV)/.web

# A second environment, for what the device does on the older TFLite runtime. Its last wheels are for Python 3.11.
OLD := .venv-tflite-runtime
$(OLD)/.done: $(BIN)/python $(DECLARED)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "No $(OLD): tflite-runtime has no wheel for this Python; its tests are skipped."; exit 0; }; \
	echo "Installing tflite-runtime into $(OLD) (once) ..."; $(BIN)/python -m venv $(OLD); \
	$(OLD)/bin/python -m pip --disable-pip-version-check --quiet install 'tflite-runtime>=2.14,<3' 'numpy>=1.26,<2' cryptography jsonschema paho-mqtt; \
	$(OLD)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps -e .; touch $@

# What readers in JavaScript use, for the tests of their example and of the AsyncAPI file.
NODE := .node
$(NODE)/.done: Makefile
	@mkdir -p $(NODE); command -v npm >/dev/null || { echo "No npm: the tests with Node.js are skipped. Try: sudo apt install nodejs npm"; exit 0; }; \
	echo "Installing mqtt.js and AsyncAPI's schemas into $(NODE) (once, 20 MB) ..."; \
	npm install --silent --no-fund --no-audit --prefix $(NODE) 'mqtt@^5' '@asyncapi/specs@^6' || { echo "npm failed: the tests with Node.js are skipped."; exit 0; }; \
	touch $@

# A third one, for the converter that ours is compared with: 2 GB, most of it PyTorch and JAX.
CROSS := .venv-litert-torch
$(CROSS)/.done: $(BIN)/python $(DECLARED)
	@echo "Installing litert-torch into $(CROSS) (once, 2 GB) ..."; $(BIN)/python -m venv $(CROSS)
	@$(CROSS)/bin/python -m pip --disable-pip-version-check --quiet install -c constraints.txt -e . -e 'packaging/lsi-host[train,export,cross-check]'
	@touch $@

venv: $(VENV)/.dev ## make the development environment

demo: $(if $(WEB),$(VENV)/.web,$(VENV)/.demo) ## light to payload on your terminal, or on a page with WEB=1; FRAMES=5 ends after five, SCENE=FILE shows yours
	@$(BIN)/lsi demo $(if $(FRAMES),--frames $(FRAMES)) $(if $(SCENE),--scene "$(SCENE)") $(if $(WEB),--web)

debian-packages: # mosquitto and minisign, for the tests that ask the real ones
	@tools/install_debian_packages.sh

test: $(VENV)/.dev $(OLD)/.done $(NODE)/.done debian-packages lint ## lint, then every test
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

test-full: test ## also what needs Chromium, which is installed first
	@tools/install_debian_packages.sh chromium chromium-driver
	@$(BIN)/python -m pytest -m browser -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

guest: $(VENV)/.dev ## real hidapi, gpiod and rpi-lgpio over a kernel of their own (QEMU; minutes, downloads 210 MB once)
	@tools/guest_suite.sh $(abspath $(BIN)/python)

lint: $(VENV)/.dev ## ruff, mypy strict, import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

cross-check: $(VENV)/.dev $(CROSS)/.done ## our TFLite writer beside litert-torch (2 GB; minutes)
	@$(BIN)/python -m benchmarks.cross_check

fuzz: $(VENV)/.dev ## coverage-guided fuzzing of the bundle's parser; FUZZ_S=3600 for an hour
	@$(PIP) install -c constraints.txt -e '.[fuzz]'
	@$(BIN)/python -m benchmarks.bundle_fuzz --seconds $(FUZZ_S)

bench: $(VENV)/.dev ## the figures that need no data
	@for name in scan bundle_load start_up; do echo "== $$name"; $(BIN)/python -m benchmarks.$$name; done

wheels: $(VENV)/.dev ## build both distributions into dist/
	@$(BIN)/python -m build --quiet --wheel --outdir dist .
	@$(BIN)/python -m build --quiet --wheel --outdir dist packaging/lsi-host
	@ls dist

clean: ## remove the environment and everything built
	rm -rf $(VENV) $(OLD) $(NODE) $(CROSS) dist build .mypy_cache .ruff_cache .pytest_cache

.PHONY: help venv demo debian-packages test test-full guest lint cross-check fuzz bench wheels clean
