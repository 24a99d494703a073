"""likewise beside sentence-transformers, which runs in an environment of its own, on thousands of real texts."""

import json
import os
import subprocess
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from likewise import SentenceTransformer, models
from likewise.engine.library import are_there
from likewise.files import read_texts
from tests.peer.inputs import SENTENCES, cosines
from tests.tiny_checkpoints import MODEL_TYPES, tiny_encoder

pytestmark = pytest.mark.peer

ROOT = Path(__file__).parents[2]


REAL = [  # file, column, how many texts: short, natural and long ones, and some in other scripts
    ("nli/mnli_dev.parquet", "premise", 3000),
    ("sts/stsb_test.parquet", "sentence1", 1000),
    ("senteval/trec.parquet", "text", 1000),
    ("nli/xnli_kaggle_watson_multilingual.parquet", "premise", 300),
    ("retrieval/scifact_corpus.parquet", "text", 200),
]


@pytest.fixture(scope="module")
def texts(shared_data: Path) -> list[str]:
    """Sentences of our own, and real texts, each once."""
    found = dict.fromkeys(SENTENCES)
    for file, column, count in REAL:
        if not (shared_data / file).is_file():
            pytest.skip(f"needs the data set {shared_data / file}")
        found |= dict.fromkeys([*dict.fromkeys(read_texts(shared_data / file, column))][:count])
    return [*found]


def their_vectors(model: Path, texts: list[str], folder: Path) -> NDArray[np.float32]:
    """What sentence-transformers makes of ``texts`` with ``model``, computed by way of files in ``folder``."""
    python = os.environ.get("LIKEWISE_PEER")
    if not python:
        pytest.skip("LIKEWISE_PEER does not name the Python of an environment that holds sentence-transformers")
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    arguments = [str(model), str(folder / "texts.json"), str(folder / "vectors.npy")]
    subprocess.run([python, "-m", "tests.peer.encode", *arguments], cwd=ROOT, check=True)
    return np.load(folder / "vectors.npy")


@pytest.fixture(scope="module")
def theirs(texts: list[str], minilm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float32]:
    return their_vectors(minilm_folder, texts, tmp_path_factory.mktemp("peer"))


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_every_vector_is_theirs(
    dtype: str, engine: Literal["native", "torch"], texts: list[str], theirs: NDArray[np.float32], minilm_folder: Path
) -> None:
    if engine == "native" and not are_there():
        pytest.skip("this installation has no kernels: there was no C++ compiler")
    if engine == "torch" and dtype == "int8":
        pytest.skip("only the native engine computes in int8")
    ours = SentenceTransformer(minilm_folder, dtype=dtype, engine=engine, device="cpu").encode(texts)
    assert ours.shape == theirs.shape == (len(texts), 384)
    assert len(texts) > 5000
    found = cosines(ours, theirs)
    apart = np.abs(ours - theirs).max()
    print(f"{engine}, {dtype}: cosines to theirs {found.mean():.6f} on average, at least {found.min():.6f}")
    print(f"{engine}, {dtype}: numbers apart by at most {apart:.2e}; the largest is {np.abs(theirs).max():.2f}")
    if dtype == "float32":
        assert apart < 1e-5 * np.abs(theirs).max()
    if dtype == "int8":
        assert found.mean() > 0.998
    else:
        assert found.min() > {"float32": 0.99999, "bfloat16": 0.9998}[dtype]


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_they_read_what_we_save(model_type: str, tmp_path: Path) -> None:
    modules: list[models.Module] = [
        models.Transformer(tiny_encoder(tmp_path / "tiny", model_type), max_seq_length=30),
        models.Pooling(32, ["cls", "max", "mean"]),
        models.Dense(96, 8),
        models.Dropout(0.3),
        models.LayerNorm(8, {"norm.weight": np.full(8, 2, "f"), "norm.bias": np.arange(8, dtype="f")}),
        models.Normalize(),
    ]
    prompts = {"river": "the river: "}
    model = SentenceTransformer(modules=modules, dtype="float32", prompts=prompts, default_prompt_name="river")
    model.save_pretrained(tmp_path / "saved")
    vectors = their_vectors(tmp_path / "saved", SENTENCES, tmp_path)
    np.testing.assert_allclose(vectors, model.encode(SENTENCES), atol=1e-5)
