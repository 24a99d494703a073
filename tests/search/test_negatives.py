"""Mining on vectors: the negatives that remain when each query is scored with each passage, and each rule is asked."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from likewise.search import negatives, semantic
from likewise.search.negatives import NegativeRules, Negatives, mine_negatives
from likewise.search.semantic import scores_of_pairs, top_k
from likewise.similarity import SimilarityFunction, cos_sim, dot_score, manhattan_sim

Ranked = list[tuple[float, int]]  # score and row of the corpus, best first
QUARTERS = st.integers(-12, 12).map(lambda number: number / 4)  # with which float32 computes without rounding
HALVES = st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0, -0.5])


def by_hand(
    scores: NDArray[np.float64],
    positives: NDArray[np.int64],
    rules: NegativeRules,
    most: int,
    judged: NDArray[np.float64] | None,
) -> tuple[list[Ranked], Counter[str]]:
    """For each query, all that may be taken, best first; how many candidates there were, and each rule removed.

    scores and judged (queries, corpus): of the model, and of what scores anew.
    """
    limits = [rules.max_score, rules.absolute_margin, rules.relative_margin]
    limits += [] if judged is None else [rules.min_score]
    times = 10 if any(limit is not None for limit in limits) else 1
    last = rules.range_min + times * rules.num_negatives + most if rules.range_max is None else rules.range_max
    found = []
    counts: Counter[str] = Counter()
    for query, row in enumerate(scores):
        own = {int(passage) for of, passage in positives if of == query}
        candidates = sorted(range(len(row)), key=lambda passage: (-row[passage], passage))[: last + most]
        final = row if judged is None else judged[query]
        lowest = min(final[passage] for passage in own)
        left: Ranked = []
        for passage in candidates:
            score = final[passage]
            if passage in own and not rules.include_positives:
                continue
            counts["candidates"] += 1
            if rules.absolute_margin is not None and score + rules.absolute_margin > lowest:
                counts["absolute_margin"] += 1
            elif rules.relative_margin is not None and score > lowest - abs(lowest) * rules.relative_margin:
                counts["relative_margin"] += 1
            elif rules.max_score is not None and score > rules.max_score:
                counts["max_score"] += 1
            elif rules.min_score is not None and score < rules.min_score:
                counts["min_score"] += 1
            else:
                left.append((float(score), passage))
        left.sort(key=lambda item: -item[0])  # keeps the candidates' order where scores are equal
        found.append(left[rules.range_min : last])
    return found, counts


def taken(blocks: list[Negatives]) -> list[Ranked]:
    """The negatives of each query, without the empty places."""
    return [
        [(float(score), int(index)) for score, index in zip(*row, strict=True) if index >= 0]
        for block in blocks
        for row in zip(block.scores, block.indices, strict=True)
    ]


@st.composite
def all_rules(draw: st.DrawFn) -> NegativeRules:
    number, range_min = draw(st.integers(1, 5)), draw(st.integers(0, 6))
    return NegativeRules(
        num_negatives=number,
        range_min=range_min,
        range_max=draw(st.none() | st.integers(range_min + number, range_min + number + 12)),
        max_score=draw(st.none() | QUARTERS),
        min_score=draw(st.none() | QUARTERS),
        absolute_margin=draw(HALVES),
        relative_margin=draw(HALVES),
        sampling_strategy=draw(st.sampled_from(["top", "random"])),
        include_positives=draw(st.booleans()),
        seed=draw(st.integers(0, 5)),
    )


@st.composite
def some_positives(draw: st.DrawFn, queries: int, corpus: int) -> NDArray[np.int64]:
    """One to four for each query."""
    own = st.lists(st.integers(0, corpus - 1), min_size=1, max_size=4, unique=True)
    return np.array([(query, passage) for query in range(queries) for passage in draw(own)], np.int64)


@settings(max_examples=300)
@given(
    data=st.data(), rules=all_rules(), queries=st.integers(1, 9), corpus=st.integers(1, 30), at_once=st.integers(1, 9)
)
def test_the_negatives_are_those_that_the_rules_leave(
    data: st.DataObject, rules: NegativeRules, queries: int, corpus: int, at_once: int
) -> None:
    """Vectors of small whole numbers: many scores are equal, and none is rounded."""
    random = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    left, right = (random.integers(-2, 3, size=(rows, 3)).astype(np.float32) for rows in (queries, corpus))
    positives = data.draw(some_positives(queries, corpus))
    most = int(np.bincount(positives[:, 0]).max()) + data.draw(st.integers(0, 3))
    judged = random.integers(-3, 4, size=(queries, corpus)).astype(np.float64) if data.draw(st.booleans()) else None
    rescore = None if judged is None else lambda rows, columns: judged[rows, columns]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(negatives, "QUERIES_IN_BLOCK", at_once)
        patch.setattr(negatives, "QUERIES_AT_ONCE", 2 * at_once)
        blocks = list(mine_negatives(left, right, positives, rules, "dot", rescore, most))
    expected, counts = by_hand(left.astype(np.float64) @ right.T.astype(np.float64), positives, rules, most, judged)
    found = taken(blocks)
    for ours, window in zip(found, expected, strict=True):
        if rules.sampling_strategy == "top":
            assert ours == window[: rules.num_negatives]
        else:
            assert len(ours) == min(rules.num_negatives, len(window))
            assert [item for item in window if item in ours] == ours
    assert sum(block.candidates for block in blocks) == counts["candidates"]
    for rule in ("absolute_margin", "relative_margin", "max_score", "min_score"):
        assert sum(block.removed.get(rule, 0) for block in blocks) == counts[rule]
    final = left @ right.T if judged is None else judged
    np.testing.assert_array_equal(np.concatenate([block.positives for block in blocks]), positives)
    scores = np.concatenate([block.positive_scores for block in blocks])
    np.testing.assert_array_equal(scores, final[positives[:, 0], positives[:, 1]])


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), margin=st.floats(0, 0.5), relative=st.floats(0, 0.5), dtype=st.sampled_from("ef"))
def test_the_negatives_by_cosine_are_those_in_float64(seed: int, margin: float, relative: float, dtype: str) -> None:
    random = np.random.default_rng(seed)
    queries, corpus = (random.normal(size=(rows, 6)).astype(dtype) for rows in (20, 80))
    positives = np.stack([np.arange(20), random.permutation(80)[:20]], axis=1)
    rules = NegativeRules(absolute_margin=margin, relative_margin=relative, range_min=1)
    left, right = (vectors.astype(np.float64) for vectors in (queries, corpus))
    table = (left @ right.T) / np.linalg.norm(left, axis=1)[:, None] / np.linalg.norm(right, axis=1)
    expected, _ = by_hand(table, positives, rules, 1, None)
    for ours, window in zip(taken(list(mine_negatives(queries, corpus, positives, rules))), expected, strict=True):
        assert [index for _, index in ours] == [index for _, index in window[:3]]
        np.testing.assert_allclose([score for score, _ in ours], [score for score, _ in window[:3]], atol=1e-6)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), similarity=st.sampled_from(["cosine", "dot"]))
def test_a_passage_with_the_vector_of_a_positive_scores_as_it_does(seed: int, similarity: str) -> None:
    """To the bit: a margin of 0 leaves it, and the smallest margin removes it."""
    random = np.random.default_rng(seed)
    queries, half = random.normal(size=(5, 48)).astype("f"), random.normal(size=(40, 48)).astype("f")
    corpus = np.concatenate([half, half])
    positives = np.stack([np.arange(5), random.integers(0, 40, 5)], axis=1)
    for margin, is_there in ((0.0, True), (1e-4, False)):
        rules = NegativeRules(num_negatives=80, absolute_margin=margin)
        for row, found in enumerate(taken(list(mine_negatives(queries, corpus, positives, rules, similarity)))):
            assert (positives[row, 1] + 40 in [index for _, index in found]) == is_there


def test_scores_of_pairs_are_those_of_the_search() -> None:
    random = np.random.default_rng(0)
    queries, corpus = random.normal(size=(30, 384)).astype("f"), random.normal(size=(50, 384)).astype("f")
    for similarity, score in ((SimilarityFunction.COSINE, cos_sim), (SimilarityFunction.DOT, dot_score)):
        scores, columns = top_k(queries, corpus, 50, score)
        rows = np.repeat(np.arange(30), 50)
        pairs = scores_of_pairs(queries, corpus, rows, columns.ravel(), similarity)
        np.testing.assert_array_equal(pairs, scores.ravel())
    distances = scores_of_pairs(queries, corpus, rows, columns.ravel(), SimilarityFunction.MANHATTAN)
    np.testing.assert_allclose(distances, manhattan_sim(queries, corpus)[rows, columns.ravel()], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "is_rescored", "last"),
    [
        ({}, False, 2 + 3 + 4),
        ({"min_score": 0.5}, False, 2 + 3 + 4),
        ({"min_score": 0.5}, True, 2 + 30 + 4),
        ({"max_score": 0.5}, False, 2 + 30 + 4),
        ({"absolute_margin": 0.0}, False, 2 + 30 + 4),
        ({"relative_margin": 0.0}, False, 2 + 30 + 4),
        ({"relative_margin": 0.0, "range_max": 7}, True, 7),
    ],
)
def test_there_are_more_candidates_where_rules_remove_the_nearest(
    arguments: dict[str, Any], is_rescored: bool, last: int
) -> None:
    assert NegativeRules(range_min=2, **arguments).last_rank(4, is_rescored) == last


def random_case() -> tuple[Any, Any, NDArray[np.int64]]:
    random = np.random.default_rng(3)
    queries, corpus = (random.normal(size=(rows, 8)).astype(np.float16) for rows in (40, 300))
    return queries, corpus, np.stack([np.arange(40), np.arange(40)], axis=1)


def test_memory_mapped_vectors_give_the_same(tmp_path: Path) -> None:
    queries, corpus, positives = random_case()
    np.save(tmp_path / "queries.npy", queries)
    np.save(tmp_path / "corpus.npy", corpus)
    left, right = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("queries", "corpus"))
    rules = NegativeRules(max_score=0.9)
    assert taken(list(mine_negatives(left, right, positives, rules))) == taken(
        list(mine_negatives(queries.astype("f"), corpus.astype("f"), positives, rules))
    )


def test_random_negatives_are_drawn_by_the_seed_from_all_ranks() -> None:
    queries, corpus, positives = random_case()

    def drawn(seed: int) -> list[Ranked]:
        rules = NegativeRules(range_max=12, num_negatives=3, sampling_strategy="random", seed=seed)
        return taken(list(mine_negatives(queries, corpus, positives, rules)))

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)
    ranks = np.zeros(12)
    window = taken(list(mine_negatives(queries, corpus, positives, NegativeRules(range_max=12, num_negatives=12))))
    for seed in range(100):
        for found, row in zip(drawn(seed), window, strict=True):
            ranks[[row.index(item) for item in found]] += 1
    # 4,000 draws of 3 of 12 ranks: each has 1,000 on average, with a standard deviation of 27
    assert abs(ranks - 1000).max() < 140


def test_each_pair_is_scored_anew_once() -> None:
    queries, corpus, positives = random_case()
    asked: list[tuple[int, int]] = []

    def rescore(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Any:
        asked.extend(zip(rows.tolist(), columns.tolist(), strict=True))
        return [[0.5]] * len(rows)

    list(mine_negatives(queries, corpus, positives, NegativeRules(range_max=10), rescore=rescore))
    assert len(set(asked)) == len(asked)
    assert 40 * 10 <= len(asked) <= 40 * 12


def test_memory_does_not_grow_with_the_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(negatives, "CANDIDATES_AT_ONCE", 401 * 512)
    monkeypatch.setattr(semantic, "available_cores", lambda: 1)  # the tables of two threads meet at chance moments
    random = np.random.default_rng(0)
    corpus = random.normal(size=(20_000, 8)).astype(np.float16)
    peaks = []
    for count in (512, 512, 4096):  # the first warms up
        queries = random.normal(size=(count, 8)).astype(np.float16)
        positives = np.stack([np.arange(count)] * 2, axis=1)
        tracemalloc.start()
        for _ in mine_negatives(queries, corpus, positives, NegativeRules(range_max=400)):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.1 * peaks[1]


def failing(**changes: Any) -> Iterator[Negatives]:
    queries, corpus, positives = random_case()
    given_: dict[str, Any] = {"positives": positives, "rules": NegativeRules(max_score=1.0)}
    return mine_negatives(queries, corpus, **(given_ | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positives": np.zeros((3, 3), np.int64)}, r"row numbers \(pairs, 2\)"),
        ({"positives": np.zeros((3, 2))}, r"not float64 \(3, 2\)"),
        ({"positives": np.array([[0, 300]])}, "rows 300 to 300 of the corpus, which has 300"),
        ({"positives": np.array([[-1, 3]])}, "rows -1 to -1 of queries, which has 40"),
        ({"positives": np.array([[1, 0], [0, 0]])}, "sorted by the query"),
        ({"positives": np.stack([np.arange(39)] * 2, axis=1)}, "the query in row 39 has none"),
        ({"rescore": lambda rows, columns: [np.nan] * len(rows)}, "NaN or infinite"),
        ({"rescore": lambda rows, columns: np.zeros((len(rows), 2))}, "one finite score for each pair"),
        ({"similarity": "kettle"}, "'kettle' is not a similarity function"),
    ],
)
def test_what_is_wrong_is_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(failing(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_negatives": 0}, "num_negatives must be at least 1"),
        ({"range_min": -1}, "range_min at least 0"),
        ({"range_min": 5, "range_max": 7}, "no room for num_negatives=3"),
        ({"sampling_strategy": "best"}, "must be 'top' or 'random', not 'best'"),
    ],
)
def test_rules_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NegativeRules(**changes)
