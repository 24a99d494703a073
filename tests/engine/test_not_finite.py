"""Weights that are infinite or NaN are refused, or seen in the vectors: never a vector that looks right."""

from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from likewise import SentenceTransformer, models
from likewise.engine.library import DTYPES, are_there, instruction_sets
from tests.tiny_checkpoints import tiny_encoder

pytestmark = pytest.mark.skipif(not are_there(), reason="this installation has no kernels: there was no C++ compiler")

INSTRUCTIONS = instruction_sets() if are_there() else []
TOKENS = ("word_embeddings", "tok_embeddings")


def loaded(folder: Path, dtype: str = "float32") -> SentenceTransformer:
    return SentenceTransformer(modules=[models.Transformer(folder), models.Pooling(32)], dtype=dtype, engine="native")


def damage(folder: Path, name: str, value: float, row: int = 0) -> None:
    """Replace one number of one array of the model in ``folder``."""
    arrays = load_file(folder / "model.safetensors")
    arrays[name] = arrays[name].copy()
    arrays[name][(row,) + (0,) * (arrays[name].ndim - 1)] = value
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("model_type", ["bert", "mpnet", "modernbert", "nomic_bert"])
def test_what_is_read_at_the_start_is_refused_with_its_file(model_type: str, tmp_path: Path) -> None:
    whole = tiny_encoder(tmp_path, model_type)
    arrays = load_file(whole / "model.safetensors")
    unread = ("pooler", "position_ids", *TOKENS)
    names = [name for name in arrays if not any(part in name for part in unread)]
    assert len(names) > 15
    for name, value in zip(names, cycle([np.nan, np.inf, -np.inf]), strict=False):
        save_file(arrays, whole / "model.safetensors", metadata={"format": "pt"})
        damage(whole, name, value)
        with pytest.raises(ValueError, match=r"model\.safetensors: .+: [\d,]+ of [\d,]+ numbers are infinite or NaN"):
            loaded(whole).encode("tea")


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("model_type", ["bert", "mpnet", "modernbert", "nomic_bert"])
def test_a_damaged_token_spoils_the_texts_that_hold_it_and_no_others(
    model_type: str, dtype: str, instructions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKEWISE_ISA", instructions)
    texts = ["the river is small", "tea", "the kettle", "rain in winter", "we boil water on the bridge"]
    folder = tiny_encoder(tmp_path, model_type)
    (name,) = (name for name in load_file(folder / "model.safetensors") if any(part in name for part in TOKENS))
    model = loaded(folder, dtype)
    expected = model.encode(texts)
    damage(folder, name, np.nan, row=int(model.tokenize(["kettle"]).ids[1]))
    found = loaded(folder, dtype).encode(texts)
    assert np.isnan(found[2]).all()
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(found[others], expected[others])


def test_a_damaged_head_is_refused_with_its_file(tmp_path: Path) -> None:
    encoder = models.Transformer(tiny_encoder(tmp_path / "encoder"))
    SentenceTransformer(modules=[encoder, models.Pooling(32), models.Dense(32, 8)]).save_pretrained(tmp_path / "model")
    damage(tmp_path / "model" / "2_Dense", "linear.weight", np.nan)
    with pytest.raises(ValueError, match=r"2_Dense/model\.safetensors: linear\.weight: 1 of 256 numbers are infinite"):
        SentenceTransformer(tmp_path / "model", engine="native").encode("tea")
