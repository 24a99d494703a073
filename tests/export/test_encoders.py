"""The exported graph gives the vectors of the model, whatever the architecture, the lengths and the padding."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from likewise import SentenceTransformer, models
from likewise.export import export_onnx
from likewise.export.encoders import ENCODERS
from likewise.models.pooling import POOLING_MODES
from tests.export.graphs import Exported, assert_close, exported, session
from tests.network.batches import LENGTHS, SEEDS, random_texts
from tests.tiny_checkpoints import MODEL_TYPES, POSITIONS, tiny_encoder

LENGTHS_OF_A_BATCH = {
    "one text": [7],
    "one token": [1],
    "equal lengths": [9, 9, 9],
    "very different lengths": [1, POSITIONS, 3, 40],
    "all at the limit": [POSITIONS, POSITIONS],
}


@pytest.fixture(scope="module", params=MODEL_TYPES)
def graph(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Every pooling side by side: one graph tests all of them."""
    folder = tmp_path_factory.mktemp("export")
    transformer = models.Transformer(tiny_encoder(folder / "model", request.param))
    return exported([transformer, models.Pooling(transformer.get_embedding_dimension(), POOLING_MODES)], folder)


def texts_of(graph: Exported, lengths: Sequence[int], seed: int = 0) -> list[list[int]]:
    settings = graph.source.settings
    return random_texts(lengths, seed, [*range(settings.vocabulary)] + [settings.padding_id] * 20)


def test_every_architecture_is_tested() -> None:
    assert set(MODEL_TYPES) == set(ENCODERS)


@pytest.mark.parametrize("lengths", LENGTHS_OF_A_BATCH.values(), ids=LENGTHS_OF_A_BATCH)
def test_a_batch_gives_the_vectors_of_the_model(graph: Exported, lengths: list[int]) -> None:
    texts = texts_of(graph, lengths)
    assert_close(graph.theirs(texts), graph.ours(texts))


def test_padding_changes_nothing_on_either_side(graph: Exported) -> None:
    texts = texts_of(graph, [5, 12, 1])
    for more in (0, 20):
        for side in ("right", "left"):
            assert_close(graph.theirs(texts, more, side), graph.ours(texts))


def test_a_row_of_padding_gets_the_zero_vector(graph: Exported) -> None:
    texts = [*texts_of(graph, [6, 3]), []]
    vectors = graph.theirs(texts)
    assert not vectors[2].any()
    assert_close(vectors[:2], graph.ours(texts[:2]))


def test_ids_behind_the_mask_do_not_matter(graph: Exported) -> None:
    ids = np.array([texts_of(graph, [10])[0]])
    feed = {"input_ids": ids, "attention_mask": (np.arange(10) < 6).astype(np.int64)[None], "token_type_ids": ids * 0}
    assert_close(graph.session.run(None, feed)[0], graph.ours([ids[0, :6].tolist()]))


def test_both_sizes_are_free_and_have_names(graph: Exported) -> None:
    inputs = {tensor.name: (tensor.type, tensor.shape) for tensor in graph.session.get_inputs()}
    expected = ("tensor(int64)", ["texts", "length"])
    assert inputs == dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), expected)
    (output,) = graph.session.get_outputs()
    dimension = graph.model.get_embedding_dimension()
    assert (output.name, output.type, output.shape) == ("sentence_embedding", "tensor(float)", ["texts", dimension])


def test_segments_count_where_the_model_has_some(graph: Exported) -> None:
    texts = texts_of(graph, [8])
    is_same = np.allclose(graph.theirs(texts, segments=1), graph.theirs(texts), atol=1e-3)
    assert is_same == (getattr(graph.source.settings, "segment_types", 0) < 2)


@hypothesis_settings(max_examples=10)
@given(lengths=LENGTHS, seed=SEEDS)
def test_any_mixture_of_lengths(graph: Exported, lengths: list[int], seed: int) -> None:
    texts = texts_of(graph, lengths, seed)
    assert_close(graph.theirs(texts), graph.ours(texts))


@pytest.mark.parametrize("activation", ["gelu_new", "relu", "silu"])
def test_the_activation_is_that_of_the_configuration(activation: str, tmp_path: Path) -> None:
    transformer = models.Transformer(tiny_encoder(tmp_path / "model", hidden_act=activation))
    graph = exported([transformer, models.Pooling(32)], tmp_path)
    texts = texts_of(graph, [4, 30])
    assert_close(graph.theirs(texts), graph.ours(texts))


def test_weights_after_training_are_exported(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "model")
    model = SentenceTransformer(modules=[models.Transformer(folder), models.Pooling(32)], dtype="float32")
    before = model.encode(["the kettle"])
    for parameter in model.parameters():
        parameter.data.mul_(1.1)
    export_onnx(model, tmp_path / "trained.onnx")
    graph = Exported(model, session(tmp_path / "trained.onnx"))
    texts = texts_of(graph, [4, 30])
    assert_close(graph.theirs(texts), graph.ours(texts))
    assert np.abs(model.encode(["the kettle"]) - before).max() > 0.01


@pytest.mark.parametrize("model_type", ["mpnet", "modernbert", "nomic_bert"])
def test_distances_beyond_all_buckets_and_windows(model_type: str, tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "model", model_type, max_position_embeddings=302)
    graph = exported([models.Transformer(folder, max_seq_length=300), models.Pooling(32)], tmp_path)
    texts = texts_of(graph, [300, 129, 20])
    assert_close(graph.theirs(texts), graph.ours(texts))
