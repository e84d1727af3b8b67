# `make demo` and `make test` do everything on a fresh machine with Python 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Set HOME_DIR to keep the demonstration elsewhere than in data/demo/.
HOME_DIR ?= data/demo
DEVICES ?= 300000
PORT ?= 8501

.PHONY: demo setup python3-venv setup-test test test-thorough lint bench load screenshots lock sbom licences audit clean

demo: setup
	$(BIN)/pco demo --home $(HOME_DIR) --devices $(DEVICES) --port $(PORT)

setup: $(VENV)/.installed

setup-test: $(VENV)/.installed-for-tests

# Debian's Python has no venv of its own: as root its package is installed, else it is asked for.
$(BIN)/python:
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || $(MAKE) --no-print-directory python3-venv
	@echo "Making the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

python3-venv:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Python has no venv: installing the system's package python3-venv"; \
	  apt-get update --quiet && apt-get install --yes --quiet python3-venv; \
	else echo "Python has no venv. Install it: apt-get install python3-venv" >&2; exit 1; fi

$(VENV)/.installed: requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing what requirements.txt pins (a minute or two the first time)"
	$(BIN)/python -m pip install --progress-bar on --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-for-tests: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what requirements-dev.txt pins"
	$(BIN)/python -m pip install --progress-bar on --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# Half a gigabyte, for those who have Java; the tests of Spark are skipped without it, and say so.
$(VENV)/.installed-for-spark: requirements-spark.txt $(VENV)/.installed-for-tests
	@if java -version 2>&1 | grep -Eq 'version "(1[7-9]|[2-9][0-9])'; then \
	  echo "Installing what requirements-spark.txt pins (Spark, half a gigabyte)"; \
	  $(BIN)/python -m pip install --progress-bar on --disable-pip-version-check --no-build-isolation \
	    --require-hashes -r requirements-spark.txt && touch $@; \
	else echo "No Java 17: the tests of Spark will be skipped"; fi

test: setup-test $(VENV)/.installed-for-spark lint
	$(BIN)/python -m tests.browser.get_chromium
	$(BIN)/python -m tests.get_libreoffice
	$(BIN)/python -m pytest -n auto --dist worksteal

# Tests of chance as often as it takes: 100 builds killed, 1,500 bits flipped, and so on. Half an hour and more.
test-thorough: setup-test $(VENV)/.installed-for-spark
	$(BIN)/python -m tests.browser.get_chromium
	$(BIN)/python -m tests.get_libreoffice
	PCO_THOROUGH=1 $(BIN)/python -m pytest -n auto

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

bench: setup-test
	$(BIN)/python -m tests.browser.get_chromium
	$(BIN)/python tests/bench/bench.py $(BENCH_OPTIONS)

# Readers of a served dashboard, on this machine only: MARTS=some/marts.
MARTS ?= build/bench/marts-estate-1000000
load: setup-test
	$(BIN)/python -m tests.load.load --marts $(MARTS)

screenshots: setup-test
	$(BIN)/python -m tests.browser.get_chromium
	$(BIN)/python -m tests.browser.screenshots $(HOME_DIR)

# Pins anew; the files name no index, so that any index will do.
lock: setup-test
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-find-links --no-header --annotation-style=line -o requirements.txt pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-find-links --no-header --annotation-style=line --extra dev \
	  -c requirements.txt -o requirements-dev.txt pyproject.toml

# What requirements.txt pins: a bill of materials, its licences, and whether any of it is known to be vulnerable.
sbom: setup-test
	$(BIN)/python tests/supply_chain.py sbom

licences: setup-test
	$(BIN)/python tests/supply_chain.py licences

# Fails unless every pinned package was looked up: without its database the auditor itself says that all is well.
audit: setup-test
	$(BIN)/python tests/supply_chain.py audit

clean:
	rm -rf $(VENV) data/demo build *.egg-info
