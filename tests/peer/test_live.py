"""likewise beside sentence-transformers, which runs in an environment of its own, on the 5,000 first MNLI premises."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from likewise import SentenceTransformer, models
from likewise.files import read_texts
from tests.peer.inputs import SENTENCES, lowest_cosine
from tests.tiny_checkpoints import MODEL_TYPES, tiny_encoder

pytestmark = pytest.mark.peer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def texts(shared_data: Path) -> list[str]:
    return SENTENCES + list(read_texts(shared_data / "nli" / "mnli_dev.parquet", "premise"))[:5000]


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


@pytest.mark.parametrize(("dtype", "lowest"), [("float32", 0.99999), ("bfloat16", 0.9998)])
def test_every_vector_is_theirs(
    dtype: str, lowest: float, texts: list[str], theirs: NDArray[np.float32], minilm_folder: Path
) -> None:
    ours = SentenceTransformer(minilm_folder, dtype=dtype, device="cpu").encode(texts)
    cosine = lowest_cosine(ours, theirs)
    print(f"lowest cosine to sentence-transformers in {dtype}: {cosine:.6f}")
    assert ours.shape == theirs.shape == (5000 + len(SENTENCES), 384)
    assert cosine > lowest


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
