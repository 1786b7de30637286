# Each target builds what it needs by itself: `make demo` and `make test` work from a fresh clone.
# uv is used where it is installed, else Python's own venv and pip.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

ifdef UV
make_venv = uv venv --quiet --python "$(PYTHON)" --allow-existing $(VENV)
install = uv pip install --quiet --compile-bytecode --python $(BIN)/python
else
make_venv = $(PYTHON) -m venv $(VENV)
install = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: demo up test chaos check audit lock clean

demo: $(VENV)/.ready          ## simulate a shop, run its history, draw the journey map
	$(BIN)/cja demo

up: $(VENV)/.ready            ## the Dagster UI and the reports at http://127.0.0.1:3000
	$(BIN)/cja up

test: $(VENV)/.ready-test     ## every test, including browser and PostgreSQL where they can run
	$(BIN)/python -m pytest

chaos: $(VENV)/.ready-test    ## kill 500 nights at random moments and hold them against undisturbed ones
	$(BIN)/python -m cja_pipeline_tests.recovery.chaos --kills 500

check: $(VENV)/.ready-test    ## linter, formatter, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.ready: requirements.lock pyproject.toml
	$(make_venv)
	$(install) --no-deps --require-hashes -r requirements.lock
	$(install) --no-deps --editable .
	touch $@

$(VENV)/.ready-test: cja_pipeline_tests/requirements.lock $(VENV)/.ready
	$(install) --no-deps --require-hashes -r $<
	touch $@

audit:                        ## known vulnerabilities of the locked packages; needs the network
	@$(PYTHON) -m venv $(VENV)-audit && $(VENV)-audit/bin/python -m pip install --quiet pip-audit \
	  && $(if $(shell command -v timeout),timeout 300) $(VENV)-audit/bin/pip-audit --require-hashes --disable-pip -r requirements.lock; status=$$?; \
	  rm -rf $(VENV)-audit; \
	  if [ $$status != 0 ]; then echo "No clean audit: packages above are vulnerable, or the advisory service"; \
	  echo "cannot be reached from here. Nothing is proven in the second case."; fi; exit $$status

lock_options = --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-annotate --no-header

lock:                         ## refresh the locks (hashes only, no index addresses)
	uv pip compile pyproject.toml $(lock_options) -o requirements.lock
	uv pip compile pyproject.toml $(lock_options) --extra dev -o cja_pipeline_tests/requirements.lock

clean:                        ## remove the environment and everything a run made
	rm -rf $(VENV) .cja build *.egg-info
