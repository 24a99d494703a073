"""Every encoder of our own against Hugging Face Transformers on the same random tiny checkpoint."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from torch import Tensor

from likewise.checkpoint.names import our_names
from likewise.network.encoder import Encoder
from likewise.network.packed import packed_tokens
from tests.network.batches import LENGTHS, SEEDS, packed, random_texts
from tests.network.twins import (
    Twins,
    load_ours,
    load_theirs,
    their_padded_token_vectors,
    their_token_vectors,
    token_vectors,
)
from tests.network.variants import VARIANTS
from tests.tiny_checkpoints import POSITIONS, tiny_encoder


@pytest.fixture(scope="module")
def twins_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Twins]:
    @cache
    def loaded(variant: str) -> Twins:
        model_type, changes = VARIANTS[variant]
        folder = tiny_encoder(tmp_path_factory.mktemp("encoder"), model_type, **changes)
        return Twins(load_ours(folder), load_theirs(folder))

    return loaded


def assert_equal(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=15)
@given(lengths=LENGTHS, seed=SEEDS)
@example(lengths=[7, 7, 1, 7], seed=0)
@example(lengths=[1, POSITIONS], seed=0)
def test_a_packed_batch_equals_transformers(
    twins_of: Callable[[str], Twins], variant: str, lengths: list[int], seed: int
) -> None:
    twins = twins_of(variant)
    texts = random_texts(lengths, seed, twins.ids_with_much_padding)
    with torch.no_grad():
        ours = token_vectors(twins.ours, packed(texts))
        assert_equal(ours, [their_token_vectors(twins.theirs, text) for text in texts])
        assert_equal(ours, their_padded_token_vectors(twins.theirs, texts, twins.padding_id))


@pytest.mark.parametrize("variant", ["bert", "electra, narrow embeddings", "nomic_bert"])
@settings(max_examples=15)
@given(lengths=LENGTHS, seed=SEEDS)
def test_segments_are_told_apart(twins_of: Callable[[str], Twins], variant: str, lengths: list[int], seed: int) -> None:
    twins = twins_of(variant)
    texts = random_texts(lengths, seed, twins.ids)
    segments = random_texts(lengths, seed + 1, [0, 1])
    with torch.no_grad():
        ours = token_vectors(twins.ours, packed(texts, segments))
        theirs = [their_token_vectors(twins.theirs, *text) for text in zip(texts, segments, strict=True)]
    assert_equal(ours, theirs)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("lengths", [[], [0], [0, 0], [0, 7, 0, 0, 7]])
def test_texts_without_tokens_change_nothing(
    twins_of: Callable[[str], Twins], variant: str, lengths: list[int]
) -> None:
    twins = twins_of(variant)
    texts = [[*range(5, 5 + length)] for length in lengths]
    with torch.no_grad():
        ours = token_vectors(twins.ours, packed(texts))
        theirs = [their_token_vectors(twins.theirs, text) for text in texts if text]
    assert [vectors.shape for vectors in ours] == [(length, 32) for length in lengths]
    assert_equal([vectors for vectors in ours if len(vectors)], theirs)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "bert, no layers"])
def test_the_states_of_all_layers_equal_transformers(twins_of: Callable[[str], Twins], variant: str) -> None:
    twins = twins_of(variant)
    texts = random_texts([30, 7, 7], 0, twins.ids)
    with torch.no_grad():
        ours = twins.ours.all_layers(packed_tokens(packed(texts), torch.device("cpu")))
        theirs = [twins.theirs(torch.tensor([text]), output_hidden_states=True).hidden_states for text in texts]
    assert len(ours) == len(theirs[0]) == twins.ours.settings.layers + 1
    for layer, states in enumerate(ours):
        assert_equal(states.split([30, 7, 7]), [text[layer][0] for text in theirs])


# Rounding may put an input of ReLU on either side of 0, where the gradient jumps: both are right.
@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if "relu" not in variant])
@settings(max_examples=8)
@given(lengths=LENGTHS, seed=SEEDS)
def test_every_gradient_equals_transformers(
    twins_of: Callable[[str], Twins], variant: str, lengths: list[int], seed: int
) -> None:
    twins = twins_of(variant)
    # Transformers never trains the vector of the padding token, so no text holds one here.
    texts = random_texts(lengths, seed, [token for token in twins.ids if token != twins.padding_id])
    directions = torch.randn(len(texts), 32, generator=torch.Generator().manual_seed(seed))

    def score(vectors: Sequence[Tensor]) -> Tensor:
        return torch.stack(
            [direction @ text.mean(0) for direction, text in zip(directions, vectors, strict=True)]
        ).sum()

    twins.ours.zero_grad()
    twins.theirs.zero_grad()
    score(token_vectors(twins.ours, packed(texts))).backward()
    score([their_token_vectors(twins.theirs, text) for text in texts]).backward()
    stored = {name: weight.grad.numpy() for name, weight in twins.theirs.named_parameters() if weight.grad is not None}
    names = our_names(twins.ours.settings.model_type, stored)
    theirs = Encoder.fused({names[name]: gradient for name, gradient in stored.items()})
    ours = {name: weight.grad.numpy() for name, weight in twins.ours.named_parameters() if weight.grad is not None}
    assert ours.keys() == theirs.keys() == twins.ours.state_dict().keys()
    for name, gradient in theirs.items():
        distance = np.linalg.norm(ours[name] - gradient)
        assert distance <= 1e-5 * np.linalg.norm(gradient), name


@pytest.mark.parametrize("model_type", ["bert", "modernbert", "nomic_bert"])
def test_an_activation_that_is_not_known_is_told_with_its_file(tmp_path: Path, model_type: str) -> None:
    folder = tiny_encoder(tmp_path, model_type)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    key = "hidden_activation" if model_type == "modernbert" else "hidden_act"
    (folder / "config.json").write_text(json.dumps(config | {key: "square"}), encoding="utf-8")
    words = r"config\.json: (the activation function 'square' is not known|activation_function 'square' is not)"
    with pytest.raises(ValueError, match=words):
        load_ours(folder)
