"""The index on disk: what it finds and keeps, and what changes in it."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.documents import Problem
from likewise.passages import Passage
from likewise.search import reciprocal_rank_fusion
from likewise.search.index import Changed, Hit, Index, nearest, store
from likewise.search.index import index as index_module
from likewise.search.index.nearest import contenders
from tests.search.word_hashes import Page, WordHashes, edition

pytest.importorskip("lancedb", reason="an index needs the package lancedb")

BOAT = Passage("Only members may use the boat.", "house.md", 3, "Rules")
TEA = Passage("The kettle makes the tea.", "house.md", 7, "Rules > Kitchen")
TRAIN = Passage("The train is late.", "station.txt", 1, "")


@pytest.fixture
def model() -> WordHashes:
    return WordHashes()


@pytest.fixture
def index(tmp_path: Path, model: WordHashes) -> Index:
    index = Index.create(tmp_path / "my.index", model)
    index.add([BOAT, TEA, TRAIN])
    model.embedded.clear()
    return index


def found(hits: list[Hit]) -> list[str]:
    return [hit.text for hit in hits]


def test_a_hit_is_the_passage_with_the_score_of_the_model(index: Index, model: WordHashes) -> None:
    (hit,) = index.search("who may use the boat", top_k=1)
    assert (hit.text, hit.source, hit.line, hit.page, hit.heading, hit.metadata) == (
        *(BOAT.text, "house.md", 3, None, "Rules"),
        {},
    )
    question, passage = model.encode_query(["who may use the boat", f"Rules\n{BOAT.text}"]).astype(np.float64)
    cosine = question @ passage / np.linalg.norm(question) / np.linalg.norm(passage)
    assert hit.score == pytest.approx(cosine, abs=1e-6)


def test_what_is_kept_is_found_by_whoever_opens_it(index: Index, tmp_path: Path) -> None:
    with Index.open(tmp_path / "my.index", WordHashes()) as opened:
        assert opened.search("train") == index.search("train")
        assert len(opened.search("train")) == 3
        assert opened.sources() == ["house.md", "station.txt"]


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean", "manhattan"])
@pytest.mark.parametrize("searches", [1, nearest.SCANS + 1])
def test_search_is_exact_with_each_similarity_by_scan_and_in_memory(
    similarity: str, searches: int, tmp_path: Path
) -> None:
    model = WordHashes(similarity=similarity)
    words = ["tea", "kettle", "train", "late", "rain", "river", "boat", "house"]
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(words, 1 + number % 9)) for number in range(300)]
    index = Index.create(tmp_path / "my.index", model)
    index.add(Passage(text, f"{number}.txt", 1, "") for number, text in enumerate(texts))
    query, corpus = model.encode_query(["tea late boat"]).astype(np.float64)[0], model.encode_query(texts)
    corpus = corpus.astype(np.float64)
    expected = {
        "cosine": corpus @ query / np.linalg.norm(corpus, axis=1) / np.linalg.norm(query),
        "dot": corpus @ query,
        "euclidean": -np.linalg.norm(corpus - query, axis=1),
        "manhattan": -np.abs(corpus - query).sum(axis=1),
    }[similarity]
    for _ in range(searches):
        hits = index.search("tea late boat", top_k=20)
    assert [hit.score for hit in hits] == pytest.approx(sorted(expected, reverse=True)[:20], abs=1e-4)
    for hit in hits:
        assert hit.score == pytest.approx(expected[int(hit.source.removesuffix(".txt"))], abs=1e-4)
    some = index.search("tea late boat", top_k=300, where="source LIKE '1%'")
    assert {hit.source for hit in some} == {f"{number}.txt" for number in range(300) if str(number)[0] == "1"}


def test_a_text_without_a_direction_is_found_with_the_cosine_0(tmp_path: Path) -> None:
    index = Index.create(tmp_path / "my.index", WordHashes())
    index.add([TRAIN, Passage("…", "dots.txt", 1, "")])
    assert [hit.score for hit in index.search("train", 5)][1] == 0
    assert [hit.score for hit in index.search("…", 5)] == [0, 0]


@given(
    scale=st.sampled_from([1e-3, 1.0, 1e3]), seed=st.integers(0, 2**32 - 1), k=st.integers(1, 30), n=st.integers(1, 60)
)
def test_contenders_hold_the_exact_best(scale: float, seed: int, k: int, n: int) -> None:
    draw = np.random.default_rng(seed)
    vectors = np.repeat(draw.standard_normal((n, 24), dtype=np.float32), 2, axis=0) * np.float32(scale)
    vectors += draw.standard_normal(vectors.shape, dtype=np.float32) * np.float32(1e-7 * scale)  # nearly ties
    query = draw.standard_normal(24, dtype=np.float32)
    exact = vectors.astype(np.float64) @ query.astype(np.float64)
    longest = float(np.linalg.norm(vectors, axis=1).max())
    assert set(np.argsort(-exact, kind="stable")[:k].tolist()) <= set(contenders(query, vectors, k, longest).tolist())


# Changing


def test_only_what_changed_is_embedded_again(index: Index, model: WordHashes) -> None:
    new = Passage("The boat is blue.", "house.md", 5, "Rules")
    moved = Passage(TEA.text, TEA.source, 9, TEA.heading)
    changed = index.update([BOAT, new, moved])
    assert (changed.added, changed.moved, changed.removed, changed.unchanged) == (1, 1, 0, 1)
    assert model.embedded == ["Rules\nThe boat is blue."]
    assert {(hit.text, hit.line) for hit in index.search("tea")} == {
        *((BOAT.text, 3), (new.text, 5), (TEA.text, 9), (TRAIN.text, 1))
    }
    changed = index.update([new])
    assert (changed.added, changed.removed, changed.unchanged) == (0, 2, 1)
    assert sorted(found(index.search("tea"))) == sorted([new.text, TRAIN.text])
    assert len(model.embedded) == 1


def test_what_is_there_is_not_added_twice_but_the_same_text_twice_in_a_source_is(
    index: Index, model: WordHashes
) -> None:
    assert index.add([TRAIN, BOAT]).unchanged == 2
    assert model.embedded == []
    twice = Passage(TRAIN.text, TRAIN.source, 8, "")
    assert index.add([TRAIN, twice]).added == 1
    assert sorted(hit.line or 0 for hit in index.search("late", where="source = 'station.txt'")) == [1, 8]


def test_passages_of_a_long_source_and_of_many_small_ones_are_updated_over_several_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.search.index.index.AT_ONCE", 7)
    index = Index.create(tmp_path / "my.index", WordHashes())
    sizes = {"a": 20, "b": 1, "c": 7, "d": 3, "e": 15}
    index.add(passage for source, size in sizes.items() for passage in edition(source, 1, size))
    assert index.info().passages == 46
    smaller = {"a": 18, "b": 1, "d": 9, "e": 2}
    changed = index.update(passage for source, size in smaller.items() for passage in edition(source, 1, size))
    assert (changed.added, changed.removed, changed.unchanged) == (6, 2 + 13, 18 + 1 + 3 + 2)
    counts = {source: len(index.search("passage", 100, where=f"source = '{source}'")) for source in sizes}
    assert counts == {**smaller, "c": 7}


def test_passages_of_a_source_that_do_not_stand_together_are_refused_in_an_update(index: Index) -> None:
    with pytest.raises(ValueError, match=r"house\.md do not stand together"):
        index.update([BOAT, TRAIN, TEA])
    assert index.info().passages == 3


def test_removing(index: Index) -> None:
    assert index.remove("house.md") == 2
    assert found(index.search("tea")) == [TRAIN.text]
    assert index.remove(where="line < 5") == 1
    assert index.search("tea") == []
    assert index.search("tea", hybrid=True) == []
    assert index.remove("o'clock.txt") == 0


def test_a_change_that_another_index_object_made_is_seen(index: Index, tmp_path: Path) -> None:
    reader = Index.open(tmp_path / "my.index", WordHashes())
    for _ in range(nearest.SCANS + 1):
        assert reader.search("members boat", 1)[0].text == BOAT.text
    index.update([Passage("The boat, the boat!", "house.md", 1, "")])
    assert reader.search("members boat", 1)[0].text == "The boat, the boat!"


def test_several_threads_search_while_one_writes(index: Index) -> None:
    results: list[set[str]] = []

    def search() -> None:
        for _ in range(20):
            hits = index.search("edition", 50, where="source = 'long.txt'")
            results.append({hit.text.split("edition ")[1].split()[0] for hit in hits})

    threads = [Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(5):
        index.update(edition("long.txt", number, 10))
    for thread in threads:
        thread.join()
    assert len(results) == 60
    assert all(len(editions) <= 1 for editions in results)


# Metadata and conditions


def test_conditions_on_metadata_of_every_kind(index: Index) -> None:
    index.add(
        [
            Page("An old book.", "books.csv", 2, metadata={"year": 1900, "price": 3, "Author name": "O'Brien"}),
            Page("A new book.", "books.csv", 3, metadata={"year": 2020, "price": 9.5, "id": 7, "a.b": "x"}),
            Page("A page.", "book.pdf", 1, page=12, metadata={"price": "free"}),
        ]
    )
    assert found(index.search("book", where="year > 2000")) == ["A new book."]
    assert found(index.search("book", where="price = 3")) == ["An old book."]
    assert found(index.search("book", where="`Author name` = 'O''Brien'")) == ["An old book."]
    assert found(index.search("book", where="page = 12", hybrid=True)) == ["A page."]
    assert [hit.metadata for hit in index.search("book", where="id = 7")] == [
        {"year": 2020, "price": 9.5, "id": 7, "a_b": "x"}
    ]
    assert index.info().metadata == {
        "year": "whole numbers",
        "price": "numbers",
        "Author name": "text",
        "id": "whole numbers",
        "a_b": "text",
    }
    assert index.search("page", where="source = 'book.pdf'")[0].metadata == {}


def test_a_text_among_numbers_is_left_out_with_a_warning(index: Index, caplog: pytest.LogCaptureFixture) -> None:
    index.add([Page("One.", "a.csv", 2, metadata={"n": 1}), Page("Two.", "a.csv", 3, metadata={"n": "two"})])
    assert index.search("two", 1, where="source = 'a.csv'")[0].metadata in ({}, {"n": 1})
    assert "a.csv, line 3: 'two'" in caplog.text


def test_changed_metadata_are_no_reason_to_embed_again(index: Index, model: WordHashes) -> None:
    index.add([Page("One.", "a.csv", metadata={"n": 1})])
    assert index.update([Page("One.", "a.csv", metadata={"n": 2, "m": "x"})]).moved == 1
    assert index.search("one", 1)[0].metadata == {"n": 2, "m": "x"}
    assert model.embedded == ["One."]


def test_whole_numbers_become_numbers_where_one_is_not_whole(index: Index) -> None:
    index.add([Page("One.", "a.csv", metadata={"n of m": 1, "large": 2**60}), Page("Two.", "b.csv")])
    index.add([Page("Three.", "c.csv", metadata={"n of m": 1.5, "large": 2**60 + 1})])  # later, so in another table
    assert index.info().metadata == {"n of m": "numbers", "large": "whole numbers"}
    found = {hit.text: hit.metadata for hit in index.search("one two three", where="source LIKE '%.csv'")}
    whole = {"n of m": 1.0, "large": 2**60}
    assert found == {"One.": whole, "Two.": {}, "Three.": {"n of m": 1.5, "large": 2**60 + 1}}
    assert [hit.text for hit in index.search("one", where="`n of m` > 1")] == ["Three."]
    index.add([Page("Four.", "d.csv", metadata={"n of m": 2**62 + 1})])  # which no float holds exactly
    assert index.search("four", 1, where="source = 'd.csv'")[0].metadata == {"n of m": float(2**62)}


def test_numbers_that_were_killed_on_their_way_do_not_come_along_to_another_model(index: Index) -> None:
    index.add([Page("One.", "a.csv", metadata={"n": 1})])
    index._store.table(index._store.record().table).add_columns({store.WIDE: "cast(n as double)"})
    index.update(model=WordHashes("others"))
    assert {str(hit.metadata) for hit in index.search("one")} == {"{'n': 1}", "{}"}


@pytest.mark.parametrize("left_behind", [store.WIDE, store.NARROW])
def test_numbers_that_were_killed_on_their_way_are_put_right(index: Index, left_behind: str) -> None:
    index.add([Page("One.", "a.csv", metadata={"n": 1})])
    table = index._store.table(index._store.record().table)
    table.add_columns({left_behind: "cast(n as double)"})
    assert index.search("one", 1)[0].metadata == {"n": 1}
    index.add([Page("Two.", "b.csv", metadata={"n": 2.5})])
    assert index.search("two", 1, where="n = 2.5")[0].metadata == {"n": 2.5}
    assert left_behind not in index._store.table(table.name).schema.names


def test_numbers_of_numpy_are_numbers(index: Index) -> None:
    given = {"a": np.float64(1.5), "b": np.int64(3), "c": np.bool_(True), "d": np.str_("x"), "e": np.float32(0.5)}
    index.add([Page("One.", "a.csv", metadata=given)])
    assert index.search("one", 1)[0].metadata == {"a": 1.5, "b": 3, "c": 1, "d": "x", "e": 0.5}
    with pytest.raises(ValueError, match=r"a\.csv: the metadata 'n' are 1000.*; make them a text or a number"):
        index.add([Page("Two.", "a.csv", metadata={"n": 10**400})])


@pytest.mark.parametrize(
    "where",
    ["line > 2 source = 'house.md'", "line > 2 garbage", "line = 3; AND source = 'nothing'", "line > 2 ORDER BY x", ""],
)
def test_nothing_behind_a_condition_is_ignored(index: Index, where: str) -> None:
    with pytest.raises(ValueError, match="is no condition on the columns") as caught:
        index.search("tea", where=where)
    assert not str(caught.value).endswith("(")
    with pytest.raises(ValueError, match="is no condition on the columns"):
        index.remove("house.md", where=where)
    assert index.info().passages == 3  # also those of the source


def test_a_condition_may_end_with_a_comment(index: Index) -> None:
    assert [hit.text for hit in index.search("tea", where="line = 7 -- the kettle")] == [TEA.text]


def test_sources_and_a_condition_are_removed_at_once(index: Index) -> None:
    assert index.remove("station.txt", where="line = 3") == 2
    assert [hit.text for hit in index.search("tea")] == [TEA.text]


def test_names_of_our_own_columns_are_free_for_metadata(index: Index) -> None:
    index.add([Page("One.", "a.csv", metadata={"source": "s", "vector": 1.5, "_rowid": 3, "text": "t"})])
    assert index.search("one", 1)[0].metadata == {"source_": "s", "vector_": 1.5, "rowid": 3, "text": "t"}


@pytest.mark.parametrize("where", ["nope = 1", "line >", "line", "source = 3"])
@pytest.mark.parametrize("hybrid", [False, True])
def test_a_condition_that_is_none_is_told_with_the_columns(where: str, hybrid: bool, index: Index) -> None:
    with pytest.raises(ValueError, match="is no condition on the columns source, line, page, heading: ") as error:
        index.search("tea", where=where, hybrid=hybrid)
    assert "/root" not in str(error.value)
    with pytest.raises(ValueError, match="is no condition"):
        index.remove(where=where)


# Hybrid and re-ranking


def test_hybrid_search_finds_by_words_what_vectors_do_not(tmp_path: Path) -> None:
    index = Index.create(tmp_path / "my.index", WordHashes())
    index.add([*(Passage(f"Tea number {n} of the house", "tea.txt", n + 1, "") for n in range(40)), TRAIN])
    index.add([Passage("Zyx", "later.txt", 1, "")])  # after the full-text index was made
    assert index.search("trains", 1, hybrid=True)[0].text == TRAIN.text  # the words are stemmed
    (hit,) = index.search('zyx "AND (* OR ~', 1, hybrid=True)
    assert hit.text == "Zyx"
    assert hit.score == pytest.approx(2 / 61)


def test_reciprocal_rank_fusion_by_hand() -> None:
    fused = reciprocal_rank_fusion([["a", "b", "c"], ["c", "d"]])
    assert dict(fused) == pytest.approx({"c": 1 / 63 + 1 / 61, "a": 1 / 61, "b": 1 / 62, "d": 1 / 62})
    assert [name for name, _ in fused] == ["c", "a", "b", "d"]


def test_a_reranker_is_a_function_or_has_predict(index: Index) -> None:
    class Judge:
        def predict(self, pairs: list[tuple[str, str]]) -> list[float]:
            return [float(len(text)) for _, text in pairs]

    def judge(query: str, texts: list[str]) -> list[float]:
        assert query == "train"
        return [float(len(text)) for text in texts]

    for rerank in (Judge(), judge):
        hits = index.search("train", 2, rerank=rerank)
        assert [(hit.text, hit.score) for hit in hits] == [(TEA.text, 41.0), (BOAT.text, 36.0)]


# The model


def test_another_model_is_refused_and_told_what_to_do(index: Index, tmp_path: Path) -> None:
    other = WordHashes("other")
    with pytest.raises(ValueError, match=r"made with the model hashes .* likewise index update .* --model other"):
        Index.open(tmp_path / "my.index", other)


def test_another_model_embeds_the_index_again_and_old_vectors_answer_until_it_has(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.search.index.index.AT_ONCE", 2)
    index.add([Page("One.", "a.csv", metadata={"n": 1})])
    reader = Index.open(tmp_path / "my.index", WordHashes())

    class Watched(WordHashes):
        stops_after = 3

        def encode_document(self, inputs: list[str]) -> np.ndarray:  # type: ignore[override]
            if len(self.embedded) >= self.stops_after:
                raise KeyboardInterrupt
            assert reader.search("members boat", 1)[0].text == BOAT.text
            return super().encode_document(inputs)

    before = reader.search("the boat")
    new = Watched("new", dimension=24)
    with pytest.raises(KeyboardInterrupt):
        index.update(model=new)
    assert reader.search("the boat") == before
    assert reader.info().unfinished
    new.stops_after, done = 100, len(new.embedded)
    index.update(model=new)
    assert 0 < len(new.embedded) - done < 4
    assert index.search("one", 1)[0].metadata == {"n": 1}
    assert {hit.text for hit in index.search("the boat")} == {hit.text for hit in before}
    with pytest.raises(ValueError, match="made with the model new"):
        reader.search("the boat")
    facts = Index.open(tmp_path / "my.index", Watched("new", dimension=24)).info()
    assert (facts.model, facts.dimension, facts.unfinished, facts.passages) == ("new", 24, False, 4)
    assert len(list((tmp_path / "my.index").glob("*.lance"))) == 1


def test_what_was_changed_since_an_unfinished_embedding_is_not_lost(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.search.index.index.AT_ONCE", 1)

    class Stopped(WordHashes):
        def encode_document(self, inputs: list[str]) -> np.ndarray:  # type: ignore[override]
            if len(self.embedded) > 1:
                raise KeyboardInterrupt
            return super().encode_document(inputs)

    with pytest.raises(KeyboardInterrupt):
        index.update(model=Stopped("new"))
    index.update([Passage("The boat sank.", "house.md", 1, "")])
    index.update(model=WordHashes("new"))
    assert sorted(found(index.search("boat"))) == ["The boat sank.", TRAIN.text]


def test_vectors_that_are_not_finite_name_the_passage(index: Index, model: WordHashes) -> None:
    model._vector = lambda text: np.full(16, np.nan)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"not finite for new\.txt, line 4"):
        index.add([Passage("New.", "new.txt", 4, "")])
    assert index.info().passages == 3


# Approximate


def test_a_large_index_is_approximate_and_says_how_good_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "APPROXIMATE_FROM", 600)
    model = WordHashes()
    index = Index.create(tmp_path / "my.index", model)
    draw = np.random.default_rng(0)
    words = [f"word{number}" for number in range(50)]
    texts = [" ".join(draw.choice(words, 8)) for _ in range(1500)]
    passages = [Passage(text, f"{number % 7}.txt", number + 1, "") for number, text in enumerate(texts)]
    index.add(passages[:500])
    assert index.info().approximation is None
    index.add(passages[500:1000])
    facts = index.info().approximation
    assert facts is not None
    assert (facts.rows, facts.sample) == (1000, nearest.SAMPLE)
    assert facts.recall >= nearest.ENOUGH
    index.add(passages[1000:1100])  # found too, without another index
    assert index.info().approximation == facts
    assert index.search(texts[1050], 1)[0].line == 1051
    corpus = model.encode_query(texts[:1100])
    query = model.encode_query(["word1 word2 word3"])[0]
    exact = np.sort(corpus @ query / np.linalg.norm(corpus, axis=1) / np.linalg.norm(query))[::-1]
    assert [hit.score for hit in index.search("word1 word2 word3", 5)] == pytest.approx(exact[:5].tolist(), abs=1e-5)
    assert len(index.search("word1", 30, where="source = '3.txt' AND line < 400")) == 30
    index.add([Passage(f"{text} again", "more.txt", 1, "") for text in texts[:1000]])
    later = index.info().approximation
    assert later is not None
    assert later.rows == 2100


def test_one_partition_is_a_part_of_the_answer_and_the_recall_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "APPROXIMATE_FROM", 600)
    monkeypatch.setattr(nearest, "PROBES", (1,))
    model = WordHashes()
    index = Index.create(tmp_path / "my.index", model)
    texts = [f"text {number} of {number * 7919 % 1009}" for number in range(4000)]
    index.add(Passage(text, "a.txt", number, "") for number, text in enumerate(texts))
    facts = index.info().approximation
    assert facts is not None
    assert facts.probes == 1
    corpus = model.encode_query(texts).astype(np.float64)
    corpus /= np.linalg.norm(corpus, axis=1, keepdims=True)
    hits = total = 0
    for number in range(0, 4000, 50):
        best = set(np.argsort(-corpus @ corpus[number])[:10].tolist())
        hits += len(best & {hit.line for hit in index.search(texts[number], 10)})
        total += 10
    assert 0.05 < facts.recall < 0.9
    assert hits / total == pytest.approx(facts.recall, abs=0.15)


def in_one_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passages: int) -> Index:
    """An approximate index, of whose partitions a search looks into one."""
    monkeypatch.setattr(nearest, "APPROXIMATE_FROM", 600)
    monkeypatch.setattr(nearest, "PROBES", (1,))
    index = Index.create(tmp_path / "my.index", WordHashes())
    index.add(Passage(f"text {number} of {number * 7919 % 1009}", "a.txt", number, "") for number in range(passages))
    return index


def test_a_condition_that_leaves_few_rows_finds_them_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = in_one_partition(tmp_path, monkeypatch, 800)
    found = index.search("text 3 of 9", 5, where="line % 100 = 7")
    assert len(found) == 5
    assert sorted(found, key=lambda hit: -hit.score) == found
    assert len(index.search("text 3 of 9", 20, where="line % 100 = 7")) == 8


def test_all_passages_are_found_where_more_are_asked_for_than_a_partition_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = in_one_partition(tmp_path, monkeypatch, 700)
    assert index.info().approximation is not None
    assert len({hit.line for hit in index.search("text 3", 690)}) == 690


def test_what_cannot_be_approximated_stays_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(nearest, "APPROXIMATE_FROM", 600)
    index = Index.create(tmp_path / "my.index", WordHashes())
    assert index.add(Passage("?!", "a.txt", number, "") for number in range(700)).added == 700  # vectors of zeros
    assert index.info().approximation is None
    assert "searches stay as they were" in caplog.text
    assert len(index.search("tea", 5)) == 5


# Making and opening


def test_tables_of_somebody_else_are_left_alone(tmp_path: Path, model: WordHashes) -> None:
    import lancedb

    database = lancedb.connect(tmp_path / "db")
    for name in ("passages_mine", "other"):
        database.create_table(name, [{"x": 1}])
    with pytest.raises(FileExistsError, match="holds the table other; give the index a place of its own"):
        Index.create(tmp_path / "db", model)
    assert sorted(database.list_tables().tables) == ["other", "passages_mine"]


def test_making_goes_on_where_it_was_interrupted(tmp_path: Path, model: WordHashes) -> None:
    Index.create(tmp_path / "my.index", model)
    (tmp_path / "my.index" / store.RECORD).unlink()
    assert Index.create(tmp_path / "my.index", model).add([BOAT]) == Changed(added=1)


def test_an_index_stays_where_it_is_when_the_process_goes_elsewhere(
    tmp_path: Path, model: WordHashes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    index = Index.create("~", model)  # a name like any other
    index.add([BOAT])
    monkeypatch.chdir("/")
    assert index.search("boat")[0].text == BOAT.text
    assert {entry.name for entry in tmp_path.iterdir()} == {"~"}


def test_a_model_that_the_index_names_is_loaded_again_when_it_is_another_one(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.SentenceTransformer", WordHashes, raising=False)
    opened = Index.open(tmp_path / "my.index")
    assert opened.search("boat")[0].text == BOAT.text
    index.update(model=WordHashes("others"))
    assert len(opened.search("boat")) == 3
    assert opened.model.name == "others"


@pytest.mark.parametrize("record", ["[]", "null", "{}", '{"format": 1}', '{"format": 1, "paths": 3}'])
def test_a_record_that_is_damaged_is_told(index: Index, tmp_path: Path, record: str) -> None:
    (tmp_path / "my.index" / store.RECORD).write_text(record)
    with pytest.raises(ValueError, match=r"index\.json is damaged .*; build the index anew"):
        Index.open(tmp_path / "my.index")


def test_errors_of_passages_and_models_stay_what_they_are(index: Index, model: WordHashes) -> None:
    def passages() -> Iterator[Passage]:
        yield BOAT
        raise FileNotFoundError("no such letter")

    with pytest.raises(FileNotFoundError, match=r"^no such letter$"):
        index.add(passages())

    def encode_document(inputs: object) -> NoReturn:
        raise RuntimeError("out of memory")

    model.encode_document = encode_document  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        index.add([Passage("New.", "new.txt", 1, "")])


def test_what_is_no_index_is_told(tmp_path: Path, model: WordHashes) -> None:
    with pytest.raises(FileNotFoundError, match="likewise index build"):
        Index.open(tmp_path / "none", model)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("tea")
    with pytest.raises(FileExistsError, match="no index"):
        Index.create(tmp_path / "notes", model)
    Index.create(tmp_path / "my.index", model)
    with pytest.raises(FileExistsError, match="there is an index"):
        Index.create(tmp_path / "my.index", model)
    (tmp_path / "my.index" / store.RECORD).write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        Index.open(tmp_path / "my.index", model)


def test_an_empty_index_finds_nothing(tmp_path: Path, model: WordHashes) -> None:
    index = Index.create(tmp_path / "my.index", model)
    assert index.search("tea") == index.search("tea", hybrid=True) == []
    assert index.add([]) == index.update([]) == index.update()
    assert index.search("tea", hybrid=True, where="line > 3") == []


def test_two_writers_at_once_are_told(index: Index, tmp_path: Path) -> None:
    other = Index.open(tmp_path / "my.index", WordHashes())
    with index._store.writing(), pytest.raises(BlockingIOError, match="another process is writing"):
        other.add([TRAIN])
    other.add([TRAIN])


@settings(max_examples=8)
@given(data=st.data())
def test_any_series_of_changes_leaves_what_the_last_of_them_said(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    index = Index.create(tmp_path_factory.mktemp("any") / "my.index", WordHashes())
    texts = st.lists(st.sampled_from(["tea", "late train", "boat", "a\nb", "'quoted'"]), min_size=1, max_size=5)
    expected: dict[str, list[str]] = {}
    for _ in range(data.draw(st.integers(1, 4))):
        sources = data.draw(st.dictionaries(st.sampled_from(["a", "o'b", "ç"]), texts, max_size=3))
        if data.draw(st.booleans()):
            index.remove(*sources)
            expected = {source: kept for source, kept in expected.items() if source not in sources}
        else:
            index.update(
                Passage(text, source, line, "")
                for source, all_texts in sources.items()
                for line, text in enumerate(all_texts)
            )
            expected |= sources
    held = sorted((hit.source, hit.line, hit.text) for hit in index.search("tea", 100))
    assert held == sorted((source, line, text) for source, kept in expected.items() for line, text in enumerate(kept))


def test_of_a_source_that_was_not_read_to_its_end_nothing_is_taken_out(
    index: Index, model: WordHashes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "AT_ONCE", 2)  # the problem may come with the next batch
    new = Passage("A cup of tea.", "house.md", 1, "")
    broken = Problem("house.md", "line 9: no more")
    given: list[list[Passage | Problem]] = [[new, broken], [new, TRAIN, broken], [new, broken, TRAIN]]
    for passages in given:
        changed = index.update(passages)
        assert (changed.removed, changed.problems) == (0, (broken,))
        assert {hit.text for hit in index.search("tea", top_k=9)} == {new.text, BOAT.text, TEA.text, TRAIN.text}
    assert model.embedded == [new.text]
    assert index.update([new]) == Changed(unchanged=1, removed=2)


def test_what_could_not_be_read_is_handed_back(index: Index) -> None:
    broken = Problem("cellar.pdf", "damaged")
    assert index.add([broken, BOAT]) == Changed(unchanged=1, problems=(broken,))
