"""Texts to vectors: what is tokenised while what is computed, and where each vector goes."""

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from likewise import SentenceTransformer, models
from likewise.encoding import embed as room
from likewise.encoding.embed import Batching, embed
from likewise.tokens import TokenBatch
from tests.tiny_checkpoints import tiny_encoder

PATIENCE = 20  # seconds, for what takes none
BATCHING = Batching(token_budget=64, batch_size=None, shows_progress=False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformer:
    return SentenceTransformer(tiny_encoder(tmp_path_factory.mktemp("tiny")), dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def static(tiny: SentenceTransformer) -> SentenceTransformer:
    rows = tiny.tokenizer.get_vocab_size()
    table = models.StaticEmbedding(tiny.tokenizer, embedding_weights=np.eye(rows, 8, dtype=np.float32))
    return SentenceTransformer(modules=[table], device="cpu")


@settings(deadline=None, max_examples=30)
@given(counts=st.lists(st.integers(0, 12), min_size=1, max_size=40), together=st.integers(1, 50), shows=st.booleans())
def test_texts_come_back_in_their_order_however_many_are_sorted_together(
    tiny: SentenceTransformer, counts: list[int], together: int, shows: bool
) -> None:
    texts = [f"{place} " + "tea " * count for place, count in enumerate(counts)]
    expected = tiny.encode(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "SORTED_TOGETHER", together)
        np.testing.assert_allclose(tiny.encode(texts, show_progress_bar=shows), expected, atol=1e-6)


def test_half_of_a_character_in_a_later_part_is_named_by_its_place(static: SentenceTransformer) -> None:
    with pytest.raises(ValueError, match="text 5000 holds a lone surrogate"):
        static.encode(["a"] * 5000 + ["\ud800"])


class Waiting:
    """An engine that computes a text only when a text behind it is being tokenised."""

    name, dtype, device, token_budget = "waiting", "float32", "cpu", 2048

    def __init__(self, by_length: bool, following: threading.Event):
        self.by_length = by_length
        self.following = following

    def finish(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        return pooled

    def deterministic(self) -> "Waiting":
        return self

    def embed(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        for batch in batches:
            assert self.following.wait(PATIENCE), "nothing is tokenised while this is computed"
            yield np.zeros((len(batch), 32), dtype=np.float32)

    def token_vectors(self, batches: Iterable[TokenBatch]) -> Iterator[NDArray[np.float32]]:
        raise NotImplementedError


@pytest.mark.parametrize("by_length", [True, False])
def test_texts_are_tokenised_while_others_are_computed(
    tiny: SentenceTransformer, by_length: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = threading.Event()
    tokenize = room.tokenize

    def noted(chain: models.Chain, texts: Any, prompt: str | None) -> TokenBatch:
        if "last" in texts:
            following.set()
        return tokenize(chain, texts, prompt)

    monkeypatch.setattr(room, "tokenize", noted)
    monkeypatch.setattr(room, "SORTED_TOGETHER", 2)
    monkeypatch.setattr(room, "TEXTS_AT_ONCE", 2)
    chain = tiny.live.routes.first
    vectors, _ = embed(chain, Waiting(by_length, following), ["a", "b", "last"], None, BATCHING)
    assert vectors.shape == (3, 32)
