# The two commands of the README are `make demo` and `make test`; each sets everything up by itself.
.PHONY: setup demo test check conformance simulate soak lock bench wheel clean
PY ?= python3
BIN := .venv/bin

setup: .venv/.ready

# One lock file for both installers; hashes are checked. The project itself is installed editable
# with the locked build backend, so that nothing is fetched outside the lock.
.venv/.ready: requirements.lock pyproject.toml tools/setup
	PY="$(PY)" sh tools/setup
	@touch $@

demo: setup
	$(BIN)/miroir demo

# Three at a time: most of the time a test waits for processes. In the order of tests/conftest.py.
test: setup
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

# More histories than `make test` plays: make simulate SEEDS=200000 START=30000
simulate: setup
	$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),2000) --start $(or $(START),0) --keep-going

# The product as processes under load and faults, for ten minutes: make soak SECONDS=60 SEED=2
soak: setup
	$(BIN)/python -m tests.soak --seconds $(or $(SECONDS),600) --seed $(or $(SEED),1) \
	  --shape $(or $(SHAPE),2x2)

check: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" tools/check

# Suites that others wrote, against the embedded node: make conformance SUITES=cases, or =sdk;
# through a cluster: make conformance SUITES="cases --through 3x2".
# Replayed cases are looked for in ../shared/conformance or where MIROIR_CONFORMANCE says.
conformance: setup
	$(BIN)/python -m tools.conformance $(SUITES)

bench: setup
	$(BIN)/python -m benchmarks

wheel: setup
	$(BIN)/python -m build --no-isolation --outdir dist .

# Rewrites requirements.lock from pyproject.toml (needs uv).
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header --no-emit-index-url --group dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv dist build
