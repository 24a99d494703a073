"""Tables of token vectors in torch: WordEmbeddings, WordWeights, StaticEmbedding, BoW."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.network.encoder import table
from likewise.network.packed import PackedTokens


class WordTable(nn.Module):
    """Packed words → their vectors."""

    def __init__(self, rows: int, width: int):
        super().__init__()
        self.emb_layer = table(rows, width)

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (tokens, width)."""
        vectors: Tensor = self.emb_layer(tokens.ids)
        return vectors


class WordWeights(nn.Module):
    """Multiplies each word's vector by its weight."""

    def __init__(self, rows: int):
        super().__init__()
        self.emb_layer = table(rows, 1)

    def forward(self, hidden: Tensor, tokens: PackedTokens) -> tuple[Tensor, PackedTokens]:
        """(tokens, width) → (tokens, width), and the tokens with their weights, by whose sum means are divided."""
        weights = self.emb_layer(tokens.ids)  # (tokens, 1)
        return hidden * weights, replace(tokens, weights=weights[:, 0])


class TokenMeans(nn.Module):
    """Packed tokens → the mean of each text's vectors; a text without tokens has the zero vector."""

    def __init__(self, rows: int, width: int):
        super().__init__()
        self.embedding = table(rows, width)

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (texts, width)."""
        return F.embedding_bag(tokens.ids, self.embedding.weight, tokens.offsets[:-1], mode="mean")


class WordCounts(nn.Module):
    """Packed words → how often each word is in a text, times its weight."""

    def __init__(self, weights: Tensor, cumulative: bool):
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)  # (words,)
        self.cumulative = cumulative

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (texts, words)."""
        weights = self.get_buffer("weights")
        counts = torch.zeros(len(tokens.offsets) - 1, len(weights), device=weights.device)
        counts.index_put_((tokens.text_of_token(), tokens.ids.long()), torch.ones(1, device=weights.device), True)
        return (counts if self.cumulative else counts.clamp(max=1)) * weights
