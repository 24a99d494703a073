"""A model in mteb's encoder protocol: by itself, and evaluated by mteb in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from likewise import SentenceTransformer
from likewise.evaluation import EmbeddingSimilarityEvaluator, InformationRetrievalEvaluator
from likewise.evaluation.mteb import MTEBEncoder
from tests.evaluation.fixed_model import FixedModel
from tests.peer.evaluator_cases import DIFFERENT, FIRST, QUERIES, RELEVANT, SCORES, SECOND

ROOT = Path(__file__).parents[2]
BATCHES = [{"text": ["tea one", "rain one"]}, {"text": ["tea two"], "title": ["a title"]}]
TASK: dict[str, Any] = {
    "task_metadata": SimpleNamespace(name="SciFact", type="Retrieval"),
    "hf_split": "test",
    "hf_subset": "default",
}


@pytest.mark.parametrize(
    ("kind", "prompts", "method", "prompt_name"),
    [
        (None, {}, "encode", None),
        ("query", {}, "encode_query", None),
        (SimpleNamespace(value="document"), {"query": "q: "}, "encode_document", None),
        ("query", {"SciFact": "a: ", "SciFact-query": "b: "}, "encode_query", "SciFact-query"),
        ("document", {"SciFact": "a: ", "SciFact-query": "b: "}, "encode_document", "SciFact"),
        ("query", {"Retrieval-query": "c: ", "Retrieval": "d: ", "SciFact": ""}, "encode_query", "Retrieval-query"),
        (None, {"Retrieval-query": "c: ", "Retrieval": "d: "}, "encode", "Retrieval"),
    ],
)
def test_texts_are_embedded_by_the_prompt_of_their_task(
    kind: Any, prompts: dict[str, str], method: str, prompt_name: str | None
) -> None:
    model: Any = FixedModel()
    model.name, model.prompts = "organisation/tiny", prompts
    vectors = MTEBEncoder(model).encode(BATCHES, **TASK, prompt_type=kind, batch_size=7)
    ((called, texts, settings),) = model.calls
    assert (called, texts) == (method, ["tea one", "rain one", "tea two"])
    assert settings == {"prompt_name": prompt_name, "show_progress_bar": False}
    assert vectors.shape == (3, 16)


def test_results_are_kept_under_a_name_that_mteb_takes(tmp_path: Path) -> None:
    model: Any = FixedModel()
    names = {"organisation/tiny": "organisation/tiny", str(tmp_path): f"local/{tmp_path.name}", "tiny": "local/tiny"}
    for model.name, expected in names.items():
        assert MTEBEncoder(model).name == expected
    assert MTEBEncoder(model, "me/mine", "3").name == "me/mine"


@pytest.mark.peer
def test_mteb_finds_what_our_evaluators_find(minilm_folder: Path, tmp_path: Path) -> None:
    python = os.environ.get("LIKEWISE_MTEB")
    if not python:
        pytest.skip("LIKEWISE_MTEB does not name the Python of an environment that holds mteb and likewise")
    out = tmp_path / "scores.json"
    subprocess.run([python, "-m", "tests.peer.mteb_tasks", str(minilm_folder), str(out)], cwd=ROOT, check=True)
    theirs = json.loads(out.read_text(encoding="utf-8"))
    model = SentenceTransformer(minilm_folder, dtype="float32", device="cpu")
    relevant = {query: found & DIFFERENT.keys() for query, found in RELEVANT.items()}
    search = InformationRetrievalEvaluator(QUERIES, DIFFERENT, relevant)(model)
    similarity = EmbeddingSimilarityEvaluator(FIRST, SECOND, SCORES)(model)
    assert theirs["model"] == "local/model"
    assert theirs["spearman"] == pytest.approx(similarity["spearman_cosine"], abs=1e-6)
    assert theirs["ndcg@10"] == pytest.approx(search["cosine_ndcg@10"], abs=1e-5)  # mteb rounds to 5 digits
    assert theirs["map@100"] == pytest.approx(search["cosine_map@100"], abs=1e-5)
