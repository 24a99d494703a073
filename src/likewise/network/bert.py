"""BERT, RoBERTa, XLM-RoBERTa, DistilBERT, ELECTRA, MiniLM: post-norm layers with learned positions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.checkpoint.encoder_settings import EncoderSettings
from likewise.network.attention import packed_attention
from likewise.network.heads import activation_function
from likewise.network.packed import PackedTokens

PROJECTIONS = ("query", "key", "value")  # stored apart, computed as one product


class BertEmbeddings(nn.Module):
    """A token's vector: its word, its position and its segment, added and normalised."""

    def __init__(self, settings: EncoderSettings):
        super().__init__()
        width = settings.embedding_width
        self.first_position = settings.first_position
        self.padding_id = settings.padding_id
        self.tokens = _table(settings.vocabulary, width)
        self.positions = _table(settings.positions, width)
        self.segments = _table(settings.segment_types, width) if settings.segment_types else None
        self.norm = nn.LayerNorm(width, settings.norm_epsilon)
        self.dropout = nn.Dropout(settings.dropout)
        self.project = nn.Linear(width, settings.hidden) if width != settings.hidden else None

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (tokens, hidden)."""
        vectors = self.tokens(tokens.ids) + self.positions(self.position_ids(tokens))  # (tokens, width)
        if self.segments is not None:
            vectors = vectors + (self.segments.weight[0] if tokens.segments is None else self.segments(tokens.segments))
        vectors = self.dropout(self.norm(vectors))
        if self.project is None:
            return vectors
        return self.project(vectors).to(vectors.dtype)  # (tokens, hidden); float32 goes on, whatever computed this

    def position_ids(self, tokens: PackedTokens) -> Tensor:
        """The row of the position table for each token, (tokens,)."""
        if self.first_position == 0:
            return tokens.places()
        # RoBERTa counts the tokens that are no padding, and a text may hold the padding token spelt out.
        real = tokens.ids != self.padding_id
        counts = F.pad(real.cumsum(0), (1, 0))  # (tokens + 1,)
        before_text = torch.repeat_interleave(counts[tokens.offsets[:-1]], tokens.lengths)
        return torch.where(real, counts[1:] - before_text + self.padding_id, self.padding_id)


class BertLayer(nn.Module):
    """One transformer layer (Vaswani et al. 2017, section 3.1, the encoder)."""

    def __init__(self, settings: EncoderSettings):
        super().__init__()
        self.heads = settings.heads
        self.attention_dropout = settings.attention_dropout
        self.qkv = nn.Linear(settings.hidden, 3 * settings.hidden)
        self.attention_out = nn.Linear(settings.hidden, settings.hidden)
        self.attention_out_dropout = nn.Dropout(settings.attention_out_dropout)
        self.attention_norm = nn.LayerNorm(settings.hidden, settings.norm_epsilon)
        self.expand = nn.Linear(settings.hidden, settings.intermediate)
        self.activation = activation_function(settings.activation)
        self.contract = nn.Linear(settings.intermediate, settings.hidden)
        self.output_norm = nn.LayerNorm(settings.hidden, settings.norm_epsilon)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, hidden: Tensor, offsets: Tensor, max_length: int) -> Tensor:
        """(tokens, hidden) → (tokens, hidden): attention, feed-forward, each added and normalised (post-norm)."""
        query, key, value = self.qkv(hidden).unflatten(1, (3, self.heads, -1)).unbind(1)  # (tokens, heads, width)
        dropout = self.attention_dropout if self.training else 0.0
        mixed = packed_attention(query, key, value, offsets, max_length, dropout)  # (tokens, heads, width)
        hidden = self.attention_norm(hidden + self.attention_out_dropout(self.attention_out(mixed.flatten(1))))
        return self.output_norm(hidden + self.dropout(self.contract(self.activation(self.expand(hidden)))))


class BertEncoder(nn.Module):
    """Packed tokens → one vector per token (Devlin et al. 2019)."""

    def __init__(self, settings: EncoderSettings):
        super().__init__()
        self.settings = settings
        self.embeddings = BertEmbeddings(settings)
        self.layers = nn.ModuleList(BertLayer(settings) for _ in range(settings.layers))

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (tokens, hidden)."""
        hidden = self.embeddings(tokens)
        for layer in self.layers:
            hidden = layer(hidden, tokens.offsets, tokens.max_length)
        return hidden

    @staticmethod
    def fused(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Named arrays → this module's: the three projections of each layer become one.

        Raises:
            ValueError: One of the three is missing, or their shapes differ.
        """
        fused = {}
        for name, array in arrays.items():
            if ".query." in name:
                names = [name.replace(".query.", f".{part}.") for part in PROJECTIONS]
                if missing := [part for part in names if part not in arrays]:
                    raise ValueError(f"the array {missing[0]} is missing, though {name} is there")
                parts = [arrays[part] for part in names]
                if len(shapes := {part.shape for part in parts}) > 1:
                    raise ValueError(f"the arrays {', '.join(names)} have different shapes: {sorted(shapes)}")
                fused[name.replace(".query.", ".qkv.")] = np.concatenate(parts)
            elif ".key." not in name and ".value." not in name:
                fused[name] = array
        return fused

    @staticmethod
    def parted(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """This module's arrays → named arrays, as they are stored."""
        parted = {}
        for name, array in arrays.items():
            if ".qkv." in name:
                for part, values in zip(PROJECTIONS, np.split(array, 3), strict=True):
                    parted[name.replace(".qkv.", f".{part}.")] = values
            else:
                parted[name] = array
        return parted


def _table(rows: int, width: int) -> nn.Embedding:
    # A checkpoint fills it; nn.Embedding's own filling would import torch's compiler on the meta device, 0.7 s.
    return nn.Embedding.from_pretrained(torch.empty(rows, width), freeze=False)
