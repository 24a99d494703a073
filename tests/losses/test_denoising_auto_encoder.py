"""TSDAE, against Transformers one text at a time, and the damage done to texts."""

import copy
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from likewise import SentenceTransformer, losses, models
from likewise.network.decoder import named_weights
from tests.tiny_checkpoints import save_tokenizer, tiny_encoder, vocabulary

TEXTS = ["the kettle is boiling", "we walked to the station", "tea", "the garden is green, not small"]
DAMAGED = ["kettle boiling", "walked to", "tea", "garden not"]


def model_of(folder: Path, width: int = 32) -> SentenceTransformer:
    modules: list[models.Module] = [models.Transformer(folder), models.Pooling(width)]
    return SentenceTransformer(modules=modules, device="cpu", dtype="float32")


def by_hand(loss: losses.DenoisingAutoEncoderLoss, decoder: nn.Module) -> torch.Tensor:
    """One text at a time, nothing padded."""
    found = []
    for damaged, text in zip(DAMAGED, TEXTS, strict=True):
        vector = loss.network(loss.model.tokenize([damaged]))
        ids = torch.from_numpy(loss.source.tokenize([text]).ids).long()[None]
        logits = decoder(input_ids=ids[:, :-1], encoder_hidden_states=vector[None]).logits
        found.append(F.cross_entropy(logits[0], ids[0, 1:], reduction="none"))
    return torch.cat(found).mean()


@pytest.mark.parametrize("model_type", ["bert", "roberta", "electra"])
def test_a_tied_decoder_computes_with_the_encoders_weights(model_type: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    loss = losses.DenoisingAutoEncoderLoss(model_of(tiny_encoder(tmp_path, model_type))).eval()
    decoder = AutoModelForCausalLM.from_pretrained(
        tmp_path, is_decoder=True, add_cross_attention=True, attn_implementation="eager"
    ).eval()
    own = dict(loss.decoder.language_model.named_parameters())
    encoder: Any = loss.network.encoder
    lent = named_weights(encoder)
    assert all("crossattention" in name or name.split(".")[0] != decoder.base_model_prefix for name in own)
    with torch.no_grad():
        for name, weight in decoder.named_parameters():
            theirs = name.removeprefix(f"{decoder.base_model_prefix}.")
            weight.copy_(own[name] if name in own else lent[theirs])
    value = loss([DAMAGED, TEXTS])
    torch.testing.assert_close(value, by_hand(loss, decoder), atol=1e-6, rtol=1e-6)
    # A weight that both use moves both: the gradient is the sum of the encoder's and the decoder's.
    value.backward()
    shared = encoder.layers[0].qkv.weight
    found = shared.grad.clone()
    loss.zero_grad()
    decoder.requires_grad_(True)
    by_hand(loss, decoder).backward()
    weights = dict(decoder.named_parameters())
    names = [
        f"{decoder.base_model_prefix}.encoder.layer.0.attention.self.{part}.weight"
        for part in ("query", "key", "value")
    ]
    of_decoder = torch.cat([weights[name].grad for name in names])
    torch.testing.assert_close(found, shared.grad + of_decoder, atol=1e-6, rtol=1e-5)


def test_it_learns_to_write_the_texts(model: SentenceTransformer) -> None:
    torch.manual_seed(0)
    loss = losses.DenoisingAutoEncoderLoss(model).train()
    optimizer = torch.optim.AdamW(loss.parameters(), lr=5e-3)
    values = []
    for _ in range(40):
        value = loss([DAMAGED, TEXTS])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.2 * values[0]
    assert all(weight.grad is not None for weight in loss.parameters())  # DistributedDataParallel insists on it


def test_what_is_saved_holds_shared_weights_once(model: SentenceTransformer) -> None:
    loss = losses.DenoisingAutoEncoderLoss(model)
    own = set(loss.state_dict()) - {f"network.{name}" for name in model.network.state_dict()}
    assert own
    assert not [name for name in own if "word_embeddings" in name or ".attention." in name]
    again = losses.DenoisingAutoEncoderLoss(model)
    again.load_state_dict(loss.state_dict())
    assert again.eval()([DAMAGED, TEXTS]).item() == loss.eval()([DAMAGED, TEXTS]).item()


def test_a_decoder_of_another_architecture_has_its_own_tokens(model: SentenceTransformer, tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    size = len(vocabulary("roberta"))
    config = GPT2Config(vocab_size=size, n_positions=40, n_embd=32, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path, "roberta")
    loss = losses.DenoisingAutoEncoderLoss(model, str(tmp_path), tie_encoder_decoder=False).eval()
    assert loss.get_config_dict() == {"decoder_name_or_path": str(tmp_path), "need_retokenization": True}
    value = loss([DAMAGED, TEXTS])
    decoder = copy.deepcopy(loss.decoder.language_model)
    torch.testing.assert_close(value, by_hand(loss, decoder), atol=1e-6, rtol=1e-6)
    value.backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_an_untied_decoder_of_the_same_architecture_shares_nothing(
    model: SentenceTransformer, tiny_folder: Path
) -> None:
    loss = losses.DenoisingAutoEncoderLoss(model, str(tiny_folder), tie_encoder_decoder=False).eval()
    names = {name for name, _ in loss.decoder.named_parameters()}
    assert "language_model.bert.encoder.layer.0.attention.self.query.weight" in names
    assert not loss.need_retokenization
    assert loss([DAMAGED, TEXTS]).item() > 0


def test_what_cannot_decode_is_told(model: SentenceTransformer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="with tie_encoder_decoder=False, decoder_name_or_path must name the decoder"):
        losses.DenoisingAutoEncoderLoss(model, tie_encoder_decoder=False)
    distilbert = model_of(tiny_encoder(tmp_path / "distilbert", "distilbert"))
    with pytest.raises(ValueError, match="no 'distilbert' that decodes a vector; give the name of one that does"):
        losses.DenoisingAutoEncoderLoss(distilbert)
    wide = tiny_encoder(tmp_path / "wide", hidden_size=48)
    with pytest.raises(ValueError, match="reads vectors of 48 numbers, but the model gives 32"):
        losses.DenoisingAutoEncoderLoss(model, str(wide), tie_encoder_decoder=False)
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    static: Any = models.StaticEmbedding(Tokenizer(WordLevel({"tea": 0}, unk_token="tea")), embedding_dim=4)
    with pytest.raises(ValueError, match="needs a model with a Transformer, not a StaticEmbedding"):
        losses.DenoisingAutoEncoderLoss(SentenceTransformer(modules=[static]))


# Damage


@given(text=st.text(), ratio=st.floats(0, 1), seed=st.integers(0, 999))
def test_deletion_leaves_some_of_the_words_in_their_order(text: str, ratio: float, seed: int) -> None:
    damaged = losses.delete_words(text, ratio, Random(seed))
    assert damaged == losses.delete_words(text, ratio, Random(seed))
    assert bool(damaged) == bool(text.strip())
    left = iter(text)
    assert all(character in left for character in damaged)  # a subsequence


def test_deletion_takes_whole_words_and_so_many() -> None:
    text = "Don't go: the well-known kettle (of Anna’s) boils, 3 times."
    assert losses.delete_words(text, 0.0) == text
    words = [
        "Don't",
        "go",
        ":",
        "the",
        "well-known",
        "kettle",
        "(",
        "of",
        "Anna’s",
        ")",
        "boils",
        ",",
        "3",
        "times",
        ".",
    ]
    alone = {losses.delete_words(text, 1.0, Random(seed)) for seed in range(300)}
    assert alone == set(words)
    long = " ".join(f"w{number}" for number in range(2000))
    assert len(losses.delete_words(long, 0.6, Random(0)).split()) == pytest.approx(800, abs=80)
    assert len(losses.delete_words(long, random=Random(0)).split()) == pytest.approx(800, abs=80)
    with pytest.raises(ValueError, match="ratio must be a probability, from 0 to 1, not 60"):
        losses.delete_words(text, 60)
