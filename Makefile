# `make` lists what there is. Everything is installed into .venv, from hash-checked pins.

VENV := .venv
BIN := $(VENV)/bin
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" $(LOCK_FLAGS)
ARGS ?=
# Most tests wait for servers and processes, so there may be more of them than cores.
PROCESSES ?= 5
CHAOS_SEEDS ?= 1-200
LOCK_FLAGS ?= --upgrade
AUDIT_DB ?=
DATA ?=

.DEFAULT_GOAL := help
.PHONY: help demo test chaos matrix hostile defences wheel unit lint types format docs shots lock audit sbom bench clean remove

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.run ## collect from a practice provider, with everything that goes wrong
	$(BIN)/pdpp-worker demo $(ARGS)

test: $(VENV)/.dev $(VENV)/taps/.ready ## run the tests; ARGS="-k pacing" picks some
	$(BIN)/python -m pytest --numprocesses=$(PROCESSES) --dist=worksteal $(ARGS)

chaos: $(VENV)/.dev ## play seeded faults against a fleet; CHAOS_SEEDS=17 plays one
	PDPP_CHAOS_SEEDS=$(CHAOS_SEEDS) $(BIN)/python -m pytest --numprocesses=2 --dist=worksteal tests/chaos $(ARGS)

matrix: $(VENV)/.dev ## run a fleet on other servers, as far as this machine has them
	PDPP_MATRIX=1 $(BIN)/python -m pytest -rs tests/matrix $(ARGS)

hostile: $(VENV)/.dev ## run a fleet on everything hostile, with what takes minutes
	PDPP_HOSTILE=1 $(BIN)/python -m pytest tests/fleet/test_hostile_files.py $(ARGS)

defences: $(VENV)/.dev ## take each defence out of a copy of the code: its test has to fail; ARGS="zip" picks some
	$(BIN)/python -m tests.docs.defences $(ARGS)

wheel: $(VENV)/.dev ## build the package, install it alone into an empty environment, and run a fleet there
	PDPP_WHEEL=1 $(BIN)/python -m pytest tests/test_wheel.py $(ARGS)

unit: $(VENV)/.dev ## run the tests that need no server and no process of their own
	$(BIN)/python -m pytest --numprocesses=$(PROCESSES) --dist=worksteal -m "not process" $(ARGS)

lint: $(VENV)/.dev types ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## check types
	$(BIN)/mypy

format: $(VENV)/.dev ## put the code into the project's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.docs ## build the documentation into .site; nothing is asked over the network
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "Open .site/index.html"

shots: $(VENV)/.dev ## take the pictures of the console for the documentation anew; needs chromium
	PDPP_SHOTS=1 $(BIN)/python -m pytest -rs tests/web/test_screenshots.py $(ARGS)

bench: $(VENV)/.dev $(VENV)/peers/.ready ## measure speed and memory beside others: one table
	$(BIN)/python -m bench $(ARGS)

lock: $(VENV)/.dev ## pin the newest versions that the project allows; LOCK_FLAGS= keeps those that are pinned
	$(LOCK) --all-extras --output-file requirements/dev.txt pyproject.toml requirements/dev.in
	$(LOCK) --all-extras --constraints requirements/dev.txt --output-file requirements/all.txt pyproject.toml
	$(LOCK) --extra browser --extra embedded --extra flower --extra web --constraints requirements/dev.txt \
		--output-file requirements/run.txt pyproject.toml requirements/build.in
	$(LOCK) --extra flower --extra notify --extra web --constraints requirements/dev.txt \
		--output-file requirements/production.txt pyproject.toml
	$(LOCK) --constraints requirements/dev.txt --output-file requirements/build.txt requirements/build.in
	$(LOCK) --constraints requirements/dev.txt --output-file requirements/docs.txt requirements/docs.in
	$(LOCK) --output-file requirements/taps.txt requirements/taps.in
	$(LOCK) --constraints requirements/dev.txt --output-file requirements/audit.txt requirements/audit.in
	$(LOCK) --output-file requirements/peers.txt requirements/peers.in
	npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --save-exact --prefix requirements/npm \
		$(if $(LOCK_FLAGS),@ccusage/ccusage-linux-x64@latest)
	$(LOCK) --output-file requirements/kubernetes.txt requirements/kubernetes.in

audit: $(VENV)/.audit ## look for known vulnerabilities of what is pinned; AUDIT_DB=FOLDER asks no network
	$(BIN)/python -m docs._supply "$(AUDIT_DB)" $(filter-out requirements/taps.txt,$(wildcard requirements/*.txt))

sbom: $(VENV)/.audit ## list what runs, all extras included, with hashes, in CycloneDX's form: sbom.json
	$(BIN)/python -m cyclonedx_py requirements --output-reproducible --output-file sbom.json requirements/all.txt
	@echo "Wrote sbom.json"

clean: ## remove what the other targets made; collected data stays, and is named
	@if [ -x $(BIN)/pdpp-worker ]; then \
		echo "Collected data stays. Remove a directory of it with: make remove DATA=DIRECTORY"; \
		$(BIN)/pdpp-worker data list || true; \
	fi
	rm -rf $(VENV) dist .site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

remove: ## remove a directory of collected data for good: make remove DATA=DIRECTORY
	@[ -n "$(DATA)" ] || { echo "Name a directory: make remove DATA=DIRECTORY" >&2; exit 2; }
	@python=$(BIN)/python; [ -x $$python ] || python=$${PYTHON:-python3}; \
		exec "$$python" -m pdpp_worker.local.data_removal "$(DATA)"

# A stamp is newer than all that it was made from, so that a second run has nothing to install.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python requirements/install.py requirements/run.txt
	@$(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "Installing what the checks need ..."
	@$(BIN)/python requirements/install.py requirements/dev.txt
	@touch $@

$(VENV)/.docs: requirements/docs.txt $(VENV)/.run
	@echo "Installing what the documentation needs ..."
	@$(BIN)/python requirements/install.py requirements/docs.txt
	@touch $@

$(VENV)/.audit: requirements/audit.txt $(VENV)/.run
	@echo "Installing what the look at the dependencies needs ..."
	@$(BIN)/python requirements/install.py requirements/audit.txt
	@touch $@

# Singer taps pin what they need, so they live apart from the project.
$(VENV)/taps/.ready: requirements/taps.txt | $(BIN)/python
	@echo "Installing two Singer taps for the tests ..."
	@$(BIN)/python -m venv $(VENV)/taps
	@$(VENV)/taps/bin/python requirements/install.py requirements/taps.txt
	@touch $@

# What the benchmarks compare with; without it their rows are said to be skipped.
$(VENV)/peers/.ready: requirements/peers.txt requirements/npm/package-lock.json | $(BIN)/python
	@echo "Installing what the fleet is measured beside ..."
	@$(BIN)/python -m venv $(VENV)/peers
	@$(VENV)/peers/bin/python requirements/install.py requirements/peers.txt
	@requirements/debian.sh dovecot=dovecot-imapd mbsync=isync offlineimap=offlineimap3
	@cp requirements/npm/*.json $(VENV)/peers
	@npm ci --silent --ignore-scripts --no-audit --no-fund --prefix $(VENV)/peers && \
		chmod +x $(VENV)/peers/node_modules/@ccusage/*/bin/ccusage || \
		echo "  ccusage is left out: it takes npm, and Linux on x86-64." >&2
	@touch $@

$(BIN)/python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec "$$python" -m venv $(VENV); \
		fi; \
	done; \
	echo "This needs Python 3.11 or newer, with its venv module (on Debian and Ubuntu: apt install python3-venv)." >&2; \
	echo "Neither python3 nor python3.11 to python3.14 is that here; name one with: make PYTHON=/path/to/python" >&2; \
	exit 1
