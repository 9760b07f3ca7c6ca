# Everything starts here. `make` alone lists the commands.

BIN := .venv/bin
INSTALLED := .venv/.installed
TESTABLE := .venv/.testable
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet

.DEFAULT_GOAL := help
.PHONY: help install run test torture fuzz fuzz-api bench bench-growth soak bench-memory check lock vendor clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## install what is missing: Debian packages, then .venv from the hashed lock

# The stamp comes last: whatever an interruption leaves, the next `make` completes.
$(INSTALLED): ops/locks/development.txt pyproject.toml api/client/pyproject.toml ops/embedded/bootstrap.sh
	@sh ops/embedded/bootstrap.sh
	@touch $@

$(TESTABLE): $(INSTALLED)
	@sh ops/embedded/bootstrap.sh tests
	@touch $@

run: $(INSTALLED) ## start the whole stack on this machine and serve until Ctrl-C
	@setpriv --pdeathsig TERM $(BIN)/python -m ops.embedded

test: $(TESTABLE) ## run every test, against real services that the suite starts itself
	@$(MAKE) --no-print-directory --jobs 3 parts whole faults

# Each as long as the others. A third of the time is waiting, of the faults even more: for leases to end, for what was
# killed to come back. So one core more is used than by two at a time.
.PHONY: parts whole faults
SERVICE = $(addprefix tests/service/test_,$(1))
FAULTS := tests/e2e/test_torture.py tests/e2e/test_recovery.py tests/e2e/test_stop.py \
	tests/service/failpoints $(wildcard $(call SERVICE,webhook_torture.py embedded_*.py))
LONG := $(wildcard $(call SERVICE,corpus.py bench.py webhook_*.py operat*.py bulk_*.py reconcile.py))
parts:
	@$(BIN)/python -m pytest tests/unit tests/contract tests/service $(addprefix --ignore=,$(LONG) $(FAULTS))

whole:
	@$(BIN)/python -m pytest tests/e2e tests/browser $(filter-out $(FAULTS),$(LONG)) $(addprefix --ignore=,$(FAULTS))

faults:
	@$(BIN)/python -m pytest $(FAULTS)

torture: $(INSTALLED) ## the fault suite in its long form: thousands of files, hundreds of kills, on both databases
	@$(BIN)/python -m pytest --torture -s tests/service/failpoints tests/e2e/test_torture.py tests/service/test_webhook_torture.py

FUZZ_TIMES ?= 100
fuzz: $(INSTALLED) ## broken files in their thousands; FUZZ_TIMES=100 is that many times what `make test` looks at
	@$(BIN)/python -m pytest --fuzz=$(FUZZ_TIMES) -q -s tests/service/test_fuzzing.py

API_SECONDS ?= 600
fuzz-api: $(INSTALLED) ## requests that the documentation of the API allows and forbids, for API_SECONDS=600
	@$(BIN)/python -m pytest --api=$(API_SECONDS) --timeout=0 -q -s tests/e2e/test_openapi.py

bench: $(INSTALLED) ## the benchmarks and their floors, in one run; also to var/bench.json
	@$(BIN)/python -m ops.bench

bench-growth: $(INSTALLED) ## does the cost of a file stay the same with more workers, rows and files in line? Hours
	@$(BIN)/python -m ops.bench.growth

SECONDS ?= 3600
soak: $(INSTALLED) ## 70 % of what the stack can do, for SECONDS=3600: does anything grow?
	@$(BIN)/python -m ops.bench.soak $(SECONDS)

bench-memory: $(INSTALLED) ## 10,000 images through one worker's inspection: does its memory stay flat?
	@$(BIN)/python -m ops.bench.memory

check: $(INSTALLED) ## lint, types, import contracts, and the tests that need no service
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target lint unit-sandbox unit-rest

.PHONY: lint unit-sandbox unit-rest
lint:
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@cd api/client && ../../$(BIN)/mypy --config-file ../../pyproject.toml --package lazaretto_client
	@$(BIN)/lint-imports

SANDBOX := $(wildcard tests/unit/test_images_*.py tests/unit/test_sandbox_*.py)
unit-sandbox:
	@$(BIN)/python -m pytest --quiet $(SANDBOX)

unit-rest:
	@$(BIN)/python -m pytest --quiet tests/unit $(addprefix --ignore=,$(SANDBOX))

lock: ## bring ops/locks up to date with pyproject.toml; needs uv
	$(LOCK) --extra embedded --extra development --output-file ops/locks/development.txt pyproject.toml
	$(LOCK) --constraint ops/locks/development.txt --output-file ops/locks/runtime.txt pyproject.toml

VENDOR := api/dashboard/static/vendor
vendor: ## bring the dashboard's scripts, as its package.json names them, from npm; needs npm
	@cd $(VENDOR) && npm install --ignore-scripts
	@cp $(VENDOR)/node_modules/htmx.org/dist/htmx.min.js $(VENDOR)/node_modules/chart.js/dist/chart.umd.min.js $(VENDOR)
	@cp $(VENDOR)/node_modules/htmx.org/LICENSE $(VENDOR)/htmx.LICENSE
	@cp $(VENDOR)/node_modules/chart.js/LICENSE.md $(VENDOR)/chart.LICENSE
	@rm -rf $(VENDOR)/node_modules
	@cd $(VENDOR) && sha256sum *.js > SHA256SUMS

clean: ## remove what was built; state in var/ stays
	rm -rf .venv build *.egg-info api/client/build api/client/*.egg-info api/client/.mypy_cache
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +
