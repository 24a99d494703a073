"""The same bits from tables of token vectors, where a BLAS would add in another order for more texts."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from likewise import SentenceTransformer, models
from tests.tiny_checkpoints import WORDS, save_tokenizer

TEXTS = [" ".join(WORDS[place % 20 : place % 20 + 1 + place % 5]) for place in range(40)]


def test_deterministic_changes_no_bit_by_what_comes_with_a_text(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    weights = np.random.default_rng(0).standard_normal((tokenizer.get_vocab_size(), 96)).astype(np.float32)
    table = models.StaticEmbedding(tokenizer, embedding_weights=weights)
    drawn = SentenceTransformer(modules=[table, models.Dense(96, 70), models.Normalize()], device="cpu")
    drawn.save_pretrained(tmp_path / "model")
    model = SentenceTransformer(tmp_path / "model", device="cpu")
    assert model.engine.name == "numpy"
    expected = np.stack([model.encode(text, deterministic=True) for text in TEXTS])
    np.testing.assert_array_equal(model.encode(TEXTS, deterministic=True), expected)
    np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-6)
    if np.array_equal(model.encode(TEXTS), expected):
        pytest.skip("this BLAS gives the same bits anyway, so nothing is shown")
