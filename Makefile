# Two commands, each complete on a machine with Python 3.11 or newer: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
LOWEST := .venv-lowest
DEMO_TEXT := runs/python_documentation.txt
DEMO_OPTIONS ?=
# A file is one worker's, or each of the two would make what the tests of a file share.
TEST_OPTIONS ?= -n 2 --dist loadfile
LOAD_MODELS ?= runs/fast.onnx runs/stable.onnx
LOAD_OPTIONS ?=
SITE := build/site
BENCH := runs/bench
BENCH_OPTIONS ?= --seeds 3 --workers 2

.PHONY: help setup demo test check docs soak lowest bench english format speed load clean

help:
	@echo "make demo    set up, train PPO on a language fitted from Python's documentation, show what it learned"
	@echo "make test    set up, run the tests"
	@echo "make check   formatting, lint, types, import rules, then the tests and the site: what continuous integration runs"
	@echo "make docs    the documentation as a site, into $(SITE): open $(SITE)/index.html"
	@echo "make soak    the long forms of the tests that kill processes, and those of Ray clusters"
	@echo "make lowest  the tests of environment and agents with the lowest versions of all libraries that are allowed"
	@echo "make bench   the comparison of sizes at 200 episodes each, in ten minutes, into $(BENCH)"
	@echo "make english fit the bundled English again from WordNet's glosses, the Debian package wordnet-base"
	@echo "make format  put the code into its format"
	@echo "make speed   how fast the environment steps on this machine"
	@echo "make load    answers a second and latencies of services of $(LOAD_MODELS), on this machine alone"
	@echo "make clean   remove the virtual environment and caches; runs/ stays"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; type make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	@mkdir -p runs
	@$(BIN)/python -X utf8 -c 'from pydoc_data.topics import topics; print("\n".join(topics.values()))' > $(DEMO_TEXT)
	$(BIN)/python -m agents.train ppo --size fast --language text:$(DEMO_TEXT) $(DEMO_OPTIONS)

test: $(READY)
	$(BIN)/python -m pytest $(TEST_OPTIONS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

# Offline; a link to nothing, a page in no table of contents and a docstring that cannot be parsed are errors.
docs: $(READY)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet -d $(SITE)/.doctrees docs $(SITE)

soak: $(READY) lowest
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	SOAK=1 $(BIN)/python -m pytest $(TEST_OPTIONS) tests/benchmarks/runner tests/agents/training/test_resume.py \
		tests/agents/training/test_compiled.py tests/agents/tuning tests/agents/serving

# The lowest versions that pyproject.toml allows; warnings of old libraries do not count. On Linux torch comes with CUDA.
lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -e '.[minari,onnx,studies]'
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python pytest pytest-xdist hypothesis
	$(LOWEST)/bin/python -m pytest $(TEST_OPTIONS) -o filterwarnings=default tests/token_env tests/agents

bench: $(READY)
	$(BIN)/python -m benchmarks run short $(BENCH_OPTIONS) --results $(BENCH) --runs $(BENCH)/runs
	$(BIN)/python -m benchmarks table short --results $(BENCH)
	$(BIN)/python -m benchmarks plots short --results $(BENCH) --out $(BENCH)

# With wordnet-base 1:3.0-37 this writes the very file that is committed.
english: $(READY)
	@for tool in apt-get dpkg-deb; do command -v $$tool > /dev/null || { \
		echo "make english gets WordNet with $$tool, which is not here; with WordNet's data files in DIRECTORY, type" >&2; \
		echo "$(BIN)/python -m token_env.languages.fit_english DIRECTORY" >&2; exit 2; }; done
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	(cd "$$folder" && { apt-get -q download wordnet-base || \
		{ apt-get -q update && apt-get -q download wordnet-base; }; }) || \
		{ echo "apt-get could not download wordnet-base; is there a network, and a Debian archive in sources.list?" >&2; exit 2; }; \
	dpkg-deb -x "$$folder"/wordnet-base_*.deb "$$folder"; \
	$(BIN)/python -m token_env.languages.fit_english "$$folder/usr/share/wordnet" \
		--source "the glosses in Debian's wordnet-base $$(dpkg-deb -f "$$folder"/wordnet-base_*.deb Version)"

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

speed: $(READY)
	$(BIN)/python -m benchmarks speed env

load: $(READY)
	$(BIN)/python -m benchmarks load $(LOAD_MODELS) $(LOAD_OPTIONS)

clean:
	rm -rf $(VENV) $(LOWEST) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
