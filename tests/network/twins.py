"""A checkpoint loaded twice, by us and by Hugging Face Transformers, and what each makes of the same texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from likewise import models
from likewise.network.encoder import Encoder
from likewise.network.packed import packed_tokens
from likewise.network.sentence_network import build_network
from likewise.tokens import TokenBatch


@dataclass(frozen=True)
class Twins:
    """The same checkpoint, loaded by us and by Transformers."""

    ours: Encoder
    theirs: nn.Module

    @property
    def padding_id(self) -> int:
        padding_id: int = self.ours.settings.padding_id
        return padding_id

    @property
    def ids(self) -> range:
        """Every token id."""
        return range(self.ours.settings.vocabulary)

    @property
    def ids_with_much_padding(self) -> list[int]:
        """Every token id, and the padding token's so often that most texts hold it."""
        return [*self.ids] + [self.padding_id] * 20


def load_ours(folder: Path) -> Encoder:
    transformer = models.Transformer(folder)
    return build_network(models.chain_of([transformer, models.Pooling(transformer.get_embedding_dimension())])).encoder


def load_theirs(folder: Path) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def token_vectors(encoder: Encoder, batch: TokenBatch) -> list[Tensor]:
    """One (length, hidden) for each text."""
    return list(encoder(packed_tokens(batch, torch.device("cpu"))).split(batch.lengths.tolist()))


def their_token_vectors(model: nn.Module, text: Sequence[int], segments: Sequence[int] | None = None) -> Tensor:
    """The text alone, without padding: (length, hidden)."""
    inputs = {"input_ids": torch.tensor([text]), "attention_mask": torch.ones(1, len(text), dtype=torch.long)}
    if segments is not None:
        inputs["token_type_ids"] = torch.tensor([segments])
    return model(**inputs).last_hidden_state[0]


def their_padded_token_vectors(model: nn.Module, texts: Sequence[Sequence[int]], padding_id: int) -> list[Tensor]:
    """All texts in one padded batch: one (length, hidden) for each text."""
    longest = max(map(len, texts))
    ids = torch.tensor([[*text, *[padding_id] * (longest - len(text))] for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    return [row[: len(text)] for row, text in zip(hidden, texts, strict=True)]
