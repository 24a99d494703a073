"""Augmented SBERT's steps: which pairs are sampled, what labels they get, and that the seed decides everything."""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likewise import CrossEncoder, SentenceTransformer
from likewise.augment import (
    Learning,
    Pair,
    ScoredPairs,
    gold_pairs,
    labelled,
    lexical_neighbours,
    new_pairs,
    semantic_neighbours,
    train_bi_encoder,
    train_cross_encoder,
)
from likewise.search import lexical_search
from tests.tiny_checkpoints import WORDS, tiny_classifier, tiny_encoder

TEXTS = st.sampled_from(["green tea", "a late train", "late tea", "rain on the green river", "river tea", "winter"])
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8)
GOLD = ScoredPairs(
    [(f"the {WORDS[row]} is {WORDS[row + 1]}", f"a {WORDS[row * 3 % 28]} and {WORDS[row + 1]}") for row in range(24)],
    np.linspace(0, 1, 24, dtype=np.float32),
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """So small a model computes fastest in one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def classifier_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("classifier"))


def scored(pairs: list[Pair]) -> ScoredPairs:
    return ScoredPairs(pairs, np.full(len(pairs), 0.5, np.float32))


# Gold


def test_gold_is_two_texts_and_a_score_of_any_file(tmp_path: Path) -> None:
    file = tmp_path / "gold.csv"
    file.write_text("id,left,right,points\n7,tea,green tea,5\n8,tea,rain,1\n", encoding="utf-8")
    gold = gold_pairs(file, ["left", "right"], "points", label_scale=5)
    assert gold.pairs == [("tea", "green tea"), ("tea", "rain")]
    np.testing.assert_allclose(gold.scores, [1.0, 0.2])
    assert gold.texts == ["tea", "green tea", "rain"]


@pytest.mark.parametrize(
    ("columns", "scale", "message"),
    [
        ({"a": ["tea"], "b": ["rain"], "score": [4.0]}, 1, "the scores go from 4 to 4, and must be from 0 to 1"),
        ({"a": ["tea"], "b": ["rain"], "score": [-0.1]}, 1, "the scores go from -0.1 to -0.1"),
        ({"a": ["tea"], "b": ["rain"], "score": [4.0]}, 0, "label_scale must be above 0, not 0"),
        ({"a": ["tea"], "b": ["rain"]}, 1, "'a', 'b' and no label"),
        ({"a": ["tea"], "score": [1.0]}, 1, "there are 'a' and the label 'score'"),
        ({"a": ["tea"], "b": ["rain"], "label": ["alike"]}, 1, "the label 'label'"),
        ({"a": ["tea"], "b": ["rain"], "c": ["mud"], "score": [1.0]}, 1, "there are 'a', 'b', 'c'"),
    ],
)
def test_what_is_no_gold_is_refused(columns: dict[str, Any], scale: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gold_pairs(columns, label_scale=scale)


@given(PAIRS)
def test_swapping_adds_each_pair_the_other_way_round(pairs: list[Pair]) -> None:
    gold = ScoredPairs(pairs, np.linspace(0, 1, len(pairs), dtype=np.float32))
    both = gold.swapped()
    assert both.pairs[: len(pairs)] == pairs
    assert [(second, first) for first, second in both.pairs[len(pairs) :]] == pairs
    assert both.scores.tolist() == [*gold.scores.tolist()] * 2
    assert len(gold.and_also(both)) == 3 * len(pairs)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_scores_are_from_0_to_1_one_for_each_pair(score: float) -> None:
    with pytest.raises(ValueError, match=f"scores must be from 0 to 1, but that of pair 1 is {score:g}"):
        ScoredPairs([("tea", "rain"), ("tea", "green tea")], np.array([0.5, score], np.float32))
    with pytest.raises(ValueError, match=r"there are 1 pairs, but scores of the shape \(2,\)"):
        ScoredPairs([("tea", "rain")], np.zeros(2, np.float32))


# Sampling


@given(PAIRS, st.integers(1, 4), st.booleans())
def test_new_pairs_are_all_neighbours_that_are_not_gold_each_once(gold: list[Pair], top_k: int, twice: bool) -> None:
    pairs = scored(gold)
    texts = pairs.texts
    neighbours = lexical_neighbours(texts, top_k)
    reverse: list[list[int]] = [[] for _ in texts]  # the same neighbours as seen from the other side
    for row, others in enumerate(neighbours):
        for other in others:
            reverse[other].append(row)
    found = new_pairs(pairs, [neighbours, reverse] if twice else [neighbours])
    expected = {frozenset((texts[row], texts[other])) for row, others in enumerate(neighbours) for other in others} - {
        frozenset(pair) for pair in gold
    }
    assert {frozenset(pair) for pair in found} == expected
    assert len(found) == len(expected), "none twice, in either order"


def test_lexical_neighbours_are_the_best_by_bm25_without_the_text_itself() -> None:
    texts = [*GOLD.texts, "Tea, late!", "late tea", "tea: late", "!"]  # words that others have too, and none at all
    for top_k in (1, 3, 100):
        for row, others in enumerate(lexical_neighbours(texts, top_k)):
            hits = lexical_search(texts[row], texts, len(texts))[0]
            assert others == [hit["corpus_id"] for hit in hits if hit["corpus_id"] != row][:top_k]
    assert lexical_neighbours(texts, 5)[-1] == []


@pytest.mark.parametrize("top_k", [1, 3])
def test_semantic_neighbours_are_the_nearest_without_the_text_itself(top_k: int, encoder_folder: Path) -> None:
    model = SentenceTransformer(encoder_folder, device="cpu", dtype="float32")
    texts = [*GOLD.texts[:12], GOLD.texts[0].upper(), GOLD.texts[0].title()]  # to the model three times the same
    vectors = model.encode(texts).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    for row, others in enumerate(semantic_neighbours(texts, top_k, model)):
        assert row not in others
        assert len(others) == len(set(others)) == top_k
        np.testing.assert_allclose(cosines[row, others], np.sort(cosines[row])[::-1][:top_k], atol=1e-5)


def test_a_text_that_is_paired_with_all_others_gets_no_new_pair(encoder_folder: Path) -> None:
    texts = GOLD.texts[:5]
    everything = scored(list(combinations(texts, 2)))
    model = SentenceTransformer(encoder_folder, device="cpu", dtype="float32")
    found = [lexical_neighbours(texts, 9), semantic_neighbours(texts, 9, model)]
    assert sum(map(len, found[1])) == 20
    assert new_pairs(everything, found) == []


# Labelling and training


def test_silver_has_the_scores_of_the_trained_cross_encoder(classifier_folder: Path) -> None:
    model = CrossEncoder(classifier_folder, device="cpu", dtype="float32")
    model.activation_fn = torch.nn.Identity()  # as models made for ranking have it
    pairs = [("the kettle", "green tea"), ("winter", "rain"), ("rain", "winter")]
    with pytest.raises(ValueError, match="scores must be from 0 to 1, but that of pair"):
        labelled(model, pairs)
    train_cross_encoder(model, GOLD, Learning(epochs=1, learning_rate=1e-4))
    silver = labelled(model, pairs)
    assert silver.pairs == pairs
    logits = model.predict(pairs, activation_fn=torch.nn.Identity()).astype(np.float64)
    np.testing.assert_allclose(silver.scores, 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert labelled(model, []).scores.shape == (0,)


def test_the_cross_encoder_learns_gold_in_both_orders(classifier_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from likewise.cross_encoder import trainer

    seen: list[dict[str, Any]] = []
    original = trainer.CrossEncoderTrainer.__init__

    def watched(self: Any, model: Any, args: Any, data: Any, **others: Any) -> None:
        seen.append(data)
        original(self, model, args, data, **others)

    monkeypatch.setattr(trainer.CrossEncoderTrainer, "__init__", watched)
    model = CrossEncoder(classifier_folder, device="cpu", dtype="float32")
    pairs = [*GOLD.pairs]
    before = np.abs(model.predict(pairs) - GOLD.scores).mean()
    train_cross_encoder(model, GOLD, Learning(epochs=6, learning_rate=2e-3))
    assert np.abs(model.predict(pairs) - GOLD.scores).mean() < 0.8 * before
    assert sorted(zip(*seen[0].values(), strict=True)) == sorted(
        (*pair, score)
        for (first, second), score in zip(pairs, GOLD.scores.tolist(), strict=True)
        for pair in ((first, second), (second, first))
    )


def test_the_bi_encoder_learns_scores_as_cosines_and_the_seed_decides(encoder_folder: Path) -> None:
    def trained(seed: int) -> np.ndarray:
        model = SentenceTransformer(encoder_folder, device="cpu", dtype="float32")
        before.append(distance(model))
        train_bi_encoder(model, GOLD, Learning(epochs=6, learning_rate=2e-3, seed=seed))
        after.append(distance(model))
        return model.encode(GOLD.texts)

    def distance(model: SentenceTransformer) -> float:
        left, right = (model.encode([pair[side] for pair in GOLD.pairs], normalize_embeddings=True) for side in (0, 1))
        return float(np.abs((left * right).sum(1) - GOLD.scores).mean())

    before: list[float] = []
    after: list[float] = []
    first, again, other = trained(1), trained(1), trained(2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert max(after) < 0.8 * min(before)


def test_the_code_of_the_guide_runs(
    encoder_folder: Path, classifier_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "guides" / "augment.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    for name, folder in {
        "cross-encoder/ms-marco-MiniLM-L12-v2": classifier_folder,
        "all-MiniLM-L6-v2": encoder_folder,
    }.items():
        block = block.replace(f'"{name}"', repr(str(folder)))
    monkeypatch.chdir(tmp_path)
    lines = [f"{first},{second},{5 * score}" for (first, second), score in zip(GOLD.pairs, GOLD.scores, strict=True)]
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,score", *lines]), encoding="utf-8")
    names: dict[str, Any] = {}
    exec(compile(block, "docs/guides/augment.md", "exec"), names)
    assert len(names["silver"]) > 5
