"""What works where torch is not installed, and what the rest says: each in a fresh process that cannot import torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from likewise.engine.library import are_there
from tests.tiny_checkpoints import tiny_classifier, tiny_encoder

needs_kernels = pytest.mark.skipif(
    not are_there(), reason="this installation has no kernels: there was no C++ compiler"
)

WITHOUT = """
import importlib.util, sys
sys.modules["torch"] = None
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else find_spec(name, *rest)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True)


def printed(code: str) -> str:
    done = run(code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def error_of(code: str) -> str:
    done = run(code)
    assert done.returncode != 0, done.stdout
    return done.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@needs_kernels
def test_encoding_comparing_and_searching(encoder: Path) -> None:
    code = f"""
from likewise import SentenceTransformer
from likewise.search import semantic_search
model = SentenceTransformer({str(encoder)!r}, dtype="float32")
vectors = model.encode(["the kettle", "the river", "rain in winter"])
print(vectors.shape, model.similarity(vectors, vectors).shape, model.engine.name)
print([hit["corpus_id"] for hit in semantic_search(vectors[:1], vectors, top_k=1)[0]], model)
"""
    assert printed(code).startswith("(3, 32) (3, 3) native\n[0] SentenceTransformer(")


@needs_kernels
def test_reranking(tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path)
    code = f"""
from likewise import CrossEncoder
model = CrossEncoder({str(folder)!r}, dtype="float32")
print(model.rank("the kettle", ["the river", "a kettle"])[0].keys(), model.predict([("a", "b")]).dtype, model)
"""
    found = printed(code)
    assert "corpus_id" in found
    assert "activation: Sigmoid()" in found
    done = run(
        f"from likewise.cli import main; sys.argv = ['likewise', 'rerank', 'tea', '--model', {str(folder)!r}, "
        f"{str(_text_file(tmp_path))!r}]; main()"
    )
    assert done.returncode == 0, done.stderr


def _text_file(folder: Path) -> Path:
    file = folder / "texts.txt"
    file.write_text("The kettle boils.\nThe river is small.\n", encoding="utf-8")
    return file


@needs_kernels
def test_what_needs_torch_names_the_extra(encoder: Path) -> None:
    load = f"from likewise import SentenceTransformer; model = SentenceTransformer({str(encoder)!r}); "
    for code in (
        load + "model.encode('tea', convert_to_tensor=True)",
        load + "model.device",
        load + "model.network",
        "from likewise import losses",
        "from likewise.losses import CoSENTLoss",
        "from likewise import SentenceTransformerTrainer",
        "import likewise.util",
        "from likewise.cross_encoder.losses import MSELoss",
    ):
        assert "install it with: pip install 'likewise[torch]'" in error_of(code), code


@needs_kernels
def test_an_architecture_that_the_kernels_do_not_know(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path, "bert", hidden_act="mish")
    message = error_of(f"from likewise import SentenceTransformer; SentenceTransformer({str(folder)!r}).encode('tea')")
    assert "the kernels do not know the activation function mish, and torch, which would" in message
    assert "pip install 'likewise[torch]'" in message


def test_neither_kernels_nor_torch_is_one_error_with_two_commands(encoder: Path) -> None:
    code = f"""
import likewise.engine.library
likewise.engine.library.NAMES = ()
from likewise import SentenceTransformer
SentenceTransformer({str(encoder)!r}).encode("tea")
"""
    message = error_of(code)
    assert "no C++ compiler" in message
    assert "apt install g++ && pip install --force-reinstall" in message
    assert "pip install 'likewise[torch]'" in message
