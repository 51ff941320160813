.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help
help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: install
install: .venv/installed  ## Make .venv and install the tested versions; .venv/bin/px-import is there afterwards

.venv/installed: pyproject.toml constraints.txt tests/ministack.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m tests.ministack
	@touch $@

.PHONY: demo
demo: install  ## See a whole import: embedded S3 server, embedded database, both feeds
	@$(BIN)/px-import demo

# Prefect's test harness may wait for ever in a process that spoke to a server which is gone: hence two.
.PHONY: test
test: install lint types  ## Everything that CI checks
	$(BIN)/pytest --numprocesses 3 --dist loadfile -m 'not e2e and not slow'
	$(BIN)/pytest --numprocesses 3 --dist loadfile -m 'e2e and not slow'

.PHONY: test-all
test-all: test  ## The same, and the tests that mostly wait
	$(BIN)/pytest -m slow

.PHONY: lint
lint: install  ## Style, and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

.PHONY: types
types: install  ## Static types
	$(BIN)/mypy

.PHONY: audit
audit: install  ## Known holes in the tested versions, as PyPI tells them; no part of the tests
	@test -x .venv/audit/bin/pip-audit || { $(PYTHON) -m venv .venv/audit && \
		.venv/audit/bin/pip install --quiet --disable-pip-version-check pip-audit; }
	@.venv/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt || \
		{ echo "Not clean: a version with a hole is named above; without one, PyPI could not be asked for all of them."; exit 1; }

.PHONY: format
format: install  ## Put the code in form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: docs
docs: install  ## Make docs/settings.md from the models of the settings
	$(BIN)/python -m tests.docs.settings_page

.PHONY: docs-check
docs-check: install  ## Type the tutorial and every other command of the docs, follow the links, look for each message
	$(BIN)/pytest tests/docs

.PHONY: deploy
deploy: install  ## Apply prefect.yaml to the Prefect server of PREFECT_API_URL
	$(BIN)/prefect --no-prompt deploy --all

.PHONY: fuzz
fuzz: install  ## Mutated files against slow readers, for ten minutes
	$(BIN)/python -m tests.fuzz.fuzz

.PHONY: chaos
chaos: install  ## Every fault at every call on SQLite and PostgreSQL, into docs/promises.md; CHAOS=--resume goes on
	$(BIN)/python -m tests.chaos.full $(CHAOS)

.PHONY: bench
bench: .venv/charts  ## The importer beside its limits, pandas and dlt, into docs/performance.md; some minutes
	$(BIN)/python -m tests.bench.compare

.PHONY: bench-full
bench-full: .venv/charts  ## The same beside everything, 12 and 60 columns, and what each mangles; an hour or more
	$(BIN)/python -m tests.bench.compare --parts bench bench-12 bench-mistakes bench-60 bench-shapes

.PHONY: bench-growth
bench-growth: .venv/charts  ## What grows with rows, columns, faults, folders, archive and store; an hour or more
	$(BIN)/python -m tests.bench.growth

.venv/charts: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@

.PHONY: bench-worst
bench-worst: install  ## What hostile and broken files cost against a clean one
	$(BIN)/python -m tests.bench.worst_cases

.PHONY: bench-many
bench-many: install  ## What a sweep over many idle feeds costs as their number grows, into docs/performance.md
	$(BIN)/python -m tests.bench.many_feeds

.PHONY: screenshots
screenshots: install  ## The pictures of Prefect's pages in docs/images; needs Chromium and playwright, and says so
	$(BIN)/python -m tests.screenshots.take

.PHONY: ci
ci: test  ## What .ci/run runs

.PHONY: clean
clean:  ## Remove what the commands above have made
	rm -rf .venv demo-output tutorial build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
