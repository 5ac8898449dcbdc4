# Brings everything into .venv and touches nothing else; package indexes are those of your own pip and uv settings.
PYTHON ?= python3
# nltk refuses data files with more than one hard link.
export UV_LINK_MODE := copy
# Compiled modules are kept whatever the shell says: without them every Python that is started compiles everything anew,
# 2 s for the web process, and the tests start a hundred. They lie in .venv, not beside the sources.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache
LOCK := .venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --quiet

.PHONY: help run test check setup bench lock client shots
.DEFAULT_GOAL := help

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## Start everything, put one question and print its cited answer
	@.venv/bin/asissto up

test: setup ## Run the tests, on every processor
	@.venv/bin/python -m pytest -n auto --dist loadfile

check: setup ## Lint, check the format, the types, the import layers and the locked packages
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python platform/web/build.py --check
	.venv/bin/python .ci/audit.py

bench: setup ## Measure ingestion, search and answers beside LlamaIndex
	.venv/bin/python benchmarks/ingest.py
	.venv/bin/python benchmarks/search.py
	.venv/bin/python benchmarks/answer.py
	.venv/bin/python benchmarks/pipeline.py

shots: setup ## Leave a picture of every page of the console and of the widget in SHOTS, which is ./shots
	SHOTS=$(or $(SHOTS),$(CURDIR)/shots) .venv/bin/python -m pytest tests/test_console_pages.py tests/test_widget_script.py -q

setup: .venv/.installed ## Install everything into .venv, and build the console if its sources changed
	@.venv/bin/python platform/web/build.py --if-possible

client: .venv/.installed ## Describe the API anew for the console: openapi.json and its types
	.venv/bin/python -m asissto.platform.entrypoints.web > platform/web/openapi.json
	.venv/bin/python platform/web/build.py --types

lock: .venv/bin/uv ## Resolve the dependencies anew
	$(LOCK) -o requirements.lock
	$(LOCK) --group dev -c requirements.lock -o requirements-dev.lock

.venv/.installed: .venv/bin/uv requirements-dev.lock pyproject.toml
	.venv/bin/uv pip sync --require-hashes requirements-dev.lock
	.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/bin/uv: requirements-uv.lock
	@command -v $(PYTHON) >/dev/null || \
		{ echo "$(PYTHON) is not here. Install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PYTHON) --version) is too old, 3.11 or newer is needed. Name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) lacks its venv module. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@
