"""NomicBERT: BERT's post-norm layers with rotary positions and a gated MLP (Nussbaum et al. 2024)."""

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.checkpoint.rotary_settings import NomicBertSettings
from likewise.network.attention import packed_attention
from likewise.network.dropout import Dropout
from likewise.network.encoder import Encoder, table
from likewise.network.heads import activation_function
from likewise.network.linear import Linear
from likewise.network.packed import PackedTokens
from likewise.network.rotary import Rotation, rotate, rotation


class NomicBertEmbeddings(nn.Module):
    """A token's vector: its word and its segment, added and normalised."""

    def __init__(self, settings: NomicBertSettings):
        super().__init__()
        self.tokens = table(settings.vocabulary, settings.hidden)
        self.segments = table(settings.segment_types, settings.hidden) if settings.segment_types else None
        self.norm = nn.LayerNorm(settings.hidden, settings.norm_epsilon)
        self.dropout = Dropout(settings.dropout)

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (tokens, hidden)."""
        vectors = self.tokens(tokens.ids)
        if self.segments is not None:
            segments = tokens.ids.new_zeros(1) if tokens.segments is None else tokens.segments
            vectors = vectors + self.segments(segments)
        return self.dropout(self.norm(vectors))


class NomicBertLayer(nn.Module):
    """One layer."""

    def __init__(self, settings: NomicBertSettings):
        super().__init__()
        hidden, intermediate = settings.hidden, settings.intermediate
        self.heads = settings.heads
        self.attention_dropout = settings.attention_dropout
        self.qkv = Linear(hidden, 3 * hidden, settings.attention_bias)
        self.attention_out = Linear(hidden, hidden, settings.attention_bias)
        self.attention_norm = nn.LayerNorm(hidden, settings.norm_epsilon)
        self.expand = Linear(hidden, intermediate, settings.expand_bias)
        self.gate = Linear(hidden, intermediate, settings.expand_bias)
        self.activation = activation_function(settings.activation)
        self.contract = Linear(intermediate, hidden, settings.contract_bias)
        self.output_norm = nn.LayerNorm(hidden, settings.norm_epsilon)
        self.dropout = Dropout(settings.dropout)

    def forward(self, hidden: Tensor, tokens: PackedTokens, turn: Rotation) -> Tensor:
        """(tokens, hidden) → (tokens, hidden): attention, feed-forward, each added and normalised (post-norm)."""
        query, key, value = self.qkv(hidden).unflatten(1, (3, self.heads, -1)).unbind(1)  # (tokens, heads, width)
        dropout = self.attention_dropout if self.training else 0.0
        turned = rotate(query, turn), rotate(key, turn)
        mixed = packed_attention(*turned, value, tokens, dropout)
        hidden = self.attention_norm(hidden + self.dropout(self.attention_out(mixed.flatten(1))))
        inner = self.expand(hidden) * self.activation(self.gate(hidden))  # (tokens, intermediate)
        return self.output_norm(hidden + self.dropout(self.contract(inner)))


class NomicBertEncoder(Encoder):
    """Embeddings and layers."""

    def __init__(self, settings: NomicBertSettings):
        super().__init__()
        self.settings = settings
        self.embeddings = NomicBertEmbeddings(settings)
        self.layers = nn.ModuleList(NomicBertLayer(settings) for _ in range(settings.layers))

    def states(self, tokens: PackedTokens) -> Iterator[Tensor]:
        """What the embeddings give, then what each layer gives, each (tokens, hidden)."""
        turn = rotation(tokens.places(), self.settings.rotary_width, self.settings.base)
        hidden = self.embeddings(tokens)
        yield hidden
        for layer in self.layers:
            hidden = layer(hidden, tokens, turn)
            yield hidden

    @staticmethod
    def parted(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """This module's arrays → named arrays, as they are stored: the three projections as one."""
        return dict(arrays)
