"""Batches: what stands together, that no row is lost, and that they are a function of seed and epoch."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from likewise.training.data import TrainingData, training_data
from likewise.training.samplers import BatchSamplers, MultiDatasetBatchSamplers, batches, interleaved

SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 2**31)
TEXTS = st.sampled_from("abcdefgh")
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=60)


def of_pairs(pairs: list[tuple[str, str]]) -> TrainingData:
    return training_data({"left": [left for left, _ in pairs], "right": [right for _, right in pairs]})


def of_labels(labels: list[int]) -> TrainingData:
    return training_data({"text": [f"text {row}" for row in range(len(labels))], "label": labels})


def of_rows(count: int) -> TrainingData:
    return of_labels([row % 2 for row in range(count)])


def first_fit(pairs: list[tuple[str, str]], order: list[int], batch_size: int) -> list[list[int]]:
    """Batch by batch, through all rows that are left, as sentence-transformers does it: quadratic."""
    found = []
    while order:
        texts: set[str] = set()
        batch: list[int] = []
        for row in order:
            if len(batch) < batch_size and texts.isdisjoint(pairs[row]):
                batch.append(row)
                texts.update(pairs[row])
        order = [row for row in order if row not in batch]
        found.append(batch)
    return found


def lists(found: list[NDArray[np.int64]]) -> list[list[int]]:
    return [rows.tolist() for rows in found]


@given(
    count=st.integers(1, 50), size=SIZES, seed=SEEDS, epoch=st.integers(0, 3), sampler=st.sampled_from(BatchSamplers)
)
def test_batches_are_a_function_of_seed_and_epoch(
    count: int, size: int, seed: int, epoch: int, sampler: BatchSamplers
) -> None:
    if sampler == BatchSamplers.GROUP_BY_LABEL:
        count, size = count + 4, size * 2 + 2
    data, lengths = of_rows(count), np.arange(count, dtype=np.int32) % 7
    found = lists(batches(sampler, data, size, seed, epoch, lengths=lengths))
    assert found == lists(batches(sampler, of_rows(count), size, seed, epoch, lengths=lengths))
    whole = lists(batches(sampler, data, size, seed, epoch, drop_last=True, lengths=lengths))
    assert whole == [rows for rows in found if len(rows) == size]
    rows = [row for batch in found for row in batch]
    assert len(rows) == len(set(rows))
    if sampler != BatchSamplers.GROUP_BY_LABEL:
        assert sorted(rows) == list(range(count))
        assert [len(batch) for batch in found[:-1]] == [size] * (len(found) - 1)


@pytest.mark.parametrize("sampler", BatchSamplers)
def test_epochs_and_seeds_differ(sampler: BatchSamplers) -> None:
    data, lengths = of_rows(40), np.ones(40, dtype=np.int32)
    found = [lists(batches(sampler, data, 4, *when, lengths=lengths)) for when in ((1, 0), (1, 1), (7, 0))]
    assert found[0] != found[1]
    assert found[0] != found[2]


@given(pairs=PAIRS, size=SIZES, seed=SEEDS)
def test_no_text_is_in_two_rows_of_a_batch(pairs: list[tuple[str, str]], size: int, seed: int) -> None:
    data = of_pairs(pairs)
    found = lists(batches("no_duplicates", data, size, seed, 0))
    for rows in found:
        texts = Counter(text for row in rows for text in set(pairs[row]))
        assert max(texts.values()) == 1
    order = np.concatenate(batches("batch_sampler", data, size, seed, 0)).tolist()
    assert found == first_fit(pairs, order, size)
    assert found == lists(batches("no_duplicates_hashed", data, size, seed, 0))


@given(labels=st.lists(st.integers(0, 4), min_size=2, max_size=80), size=st.integers(2, 6), seed=SEEDS)
def test_each_batch_has_two_rows_or_more_of_two_labels_or_more(labels: list[int], size: int, seed: int) -> None:
    pairs = sorted((count // 2 for count in Counter(labels).values()), reverse=True)
    data = of_labels(labels)
    if len(pairs) < 2 or pairs[1] == 0:
        with pytest.raises(ValueError, match="two labels or more with two rows each"):
            batches("group_by_label", data, 2 * size, seed, 0)
        return
    found = lists(batches("group_by_label", data, 2 * size, seed, 0))
    for rows in found:
        counts = Counter(labels[row] for row in rows)
        assert len(counts) >= 2
        assert all(count % 2 == 0 for count in counts.values())
    rows_used = [row for rows in found for row in rows]
    assert len(set(rows_used)) == len(rows_used)
    stream = 2 * sum(min(count, pairs[1]) for count in pairs)  # as many as sentence-transformers uses
    left = stream % (2 * size)
    assert len(rows_used) == stream - (left if left < 4 else 0)


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_of_two_pairs_has_two_labels(seed: int) -> None:
    """With three labels, batches of four rows lie across two rounds, each in an order of its own."""
    labels = [row % 3 for row in range(120)]
    found = batches("group_by_label", of_labels(labels), 4, seed, 0)
    assert len(found) == 30
    assert all(len({labels[row] for row in rows}) == 2 for rows in found)


@pytest.mark.parametrize(
    ("labels", "size", "message"),
    [
        ([0, 0, 1, 1], 6.0, None),
        ([0, 0, 1, 1], 5, "an even batch size of 4 or more, not 5"),
        ([0, 0, 1, 1], 2, "an even batch size of 4 or more, not 2"),
        ([0, 0, 0, 1], 4, "two labels or more with two rows each, not 1"),
        (None, 4, "needs one label for each row"),
        ([[0.0, 1.0]] * 4, 4, "needs one label for each row"),
    ],
)
def test_what_grouping_by_label_needs(labels: Any, size: int, message: str | None) -> None:
    texts = {"text": ["a", "b", "c", "d"]}
    data = training_data(texts if labels is None else texts | {"label": labels})
    if message is None:
        assert len(batches("group_by_label", data, int(size), 0, 0)) == 1
        return
    with pytest.raises(ValueError, match=message):
        batches("group_by_label", data, size, 0, 0)


def test_texts_of_similar_length_stand_together() -> None:
    lengths = np.random.default_rng(0).integers(3, 200, 5_003).astype(np.int32)
    data = training_data({"text": [f"text {row}" for row in range(len(lengths))]})

    def spread(sampler: str) -> tuple[float, float]:
        """The mean difference of lengths within a batch, and between one batch and the next."""
        found = batches(sampler, data, 16, 1, 0, lengths=lengths)
        means = np.array([lengths[rows].mean() for rows in found])
        within = float(np.mean([np.ptp(lengths[rows]) for rows in found]))
        return within, float(np.abs(np.diff(means)).mean())

    grouped, shuffled = spread("group_by_length"), spread("batch_sampler")
    assert grouped[0] < 0.05 * shuffled[0]
    assert grouped[1] > 40  # a third of the range, as that of two random lengths: batches are shuffled
    with pytest.raises(ValueError, match="needs the length of each row"):
        batches("group_by_length", data, 16, 1, 0)


@given(counts=st.lists(st.integers(0, 12), min_size=1, max_size=4), seed=SEEDS, epoch=st.integers(0, 3))
def test_turns_of_several_data_sets(counts: list[int], seed: int, epoch: int) -> None:
    shuffled = interleaved(counts, MultiDatasetBatchSamplers.PROPORTIONAL, seed, epoch)
    assert np.bincount(shuffled, minlength=len(counts)).tolist() == counts
    assert shuffled.tolist() == interleaved(counts, "proportional", seed, epoch).tolist()
    in_turn = interleaved(counts, "round_robin", seed, epoch)
    assert in_turn.tolist() == list(range(len(counts))) * min(counts)


def test_turns_are_shuffled() -> None:
    first = interleaved([50, 50], "proportional", 0, 0)
    assert 10 < (np.diff(first) != 0).sum() < 90
    assert first.tolist() != interleaved([50, 50], "proportional", 0, 1).tolist()


def test_an_unknown_sampler() -> None:
    with pytest.raises(ValueError, match="'kettle' is none of batch_sampler, no_duplicates"):
        batches("kettle", of_rows(4), 2, 0, 0)
    with pytest.raises(ValueError, match="'kettle' is none of proportional, round_robin"):
        interleaved([1], "kettle", 0, 0)


def test_a_text_in_every_tenth_row() -> None:
    """Batch by batch through all that is left, this would take minutes."""
    rows = 200_000
    pairs = [(f"left {row}", "the same" if row % 10 == 0 else f"right {row}") for row in range(rows)]
    found = batches("no_duplicates", of_pairs(pairs), 64, 0, 0)
    assert sum(map(len, found)) == rows
    assert len(found) == rows // 10
