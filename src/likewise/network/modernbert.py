"""ModernBERT: pre-norm layers, rotary positions, local and global attention, gated MLP (Warner et al. 2024)."""

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.checkpoint.rotary_settings import ModernBertSettings
from likewise.network.attention import packed_attention
from likewise.network.dropout import Dropout
from likewise.network.encoder import Encoder, table
from likewise.network.heads import activation_function
from likewise.network.linear import Linear
from likewise.network.packed import PackedTokens
from likewise.network.rotary import Rotation, rotate, rotation


class ModernBertEmbeddings(nn.Module):
    """A token's vector, normalised; places come in with the rotation of queries and keys."""

    def __init__(self, settings: ModernBertSettings):
        super().__init__()
        self.tokens = table(settings.vocabulary, settings.hidden)
        self.norm = _norm(settings)
        self.dropout = Dropout(settings.embedding_dropout)

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (tokens, hidden)."""
        vectors: Tensor = self.dropout(self.norm(self.tokens(tokens.ids)))
        return vectors


class ModernBertLayer(nn.Module):
    """One layer; the first one does not normalise again what the embeddings have normalised."""

    def __init__(self, settings: ModernBertSettings, is_first: bool):
        super().__init__()
        self.heads = settings.heads
        self.attention_dropout = settings.attention_dropout
        self.attention_norm = nn.Identity() if is_first else _norm(settings)
        self.qkv = Linear(settings.hidden, 3 * settings.hidden, settings.attention_bias)
        self.attention_out = Linear(settings.hidden, settings.hidden, settings.attention_bias)
        self.attention_out_dropout = Dropout(settings.attention_dropout)
        self.feed_forward_norm = _norm(settings)
        self.expand = Linear(settings.hidden, 2 * settings.intermediate, settings.feed_forward_bias)
        self.activation = activation_function(settings.activation)
        self.dropout = Dropout(settings.dropout)
        self.contract = Linear(settings.intermediate, settings.hidden, settings.feed_forward_bias)

    def forward(self, hidden: Tensor, tokens: PackedTokens, turn: Rotation, window: int | None) -> Tensor:
        """(tokens, hidden) → (tokens, hidden): of each part's normalised input, the result is added (pre-norm)."""
        query, key, value = self.qkv(self.attention_norm(hidden)).unflatten(1, (3, self.heads, -1)).unbind(1)
        query, key = rotate(query, turn), rotate(key, turn)  # (tokens, heads, width)
        dropout = self.attention_dropout if self.training else 0.0
        mixed = packed_attention(query, key, value, tokens, dropout, window=window)
        hidden = hidden + self.attention_out_dropout(self.attention_out(mixed.flatten(1)))
        inner, gate = self.expand(self.feed_forward_norm(hidden)).chunk(2, dim=1)  # each (tokens, intermediate)
        return hidden + self.contract(self.dropout(self.activation(inner) * gate))


class ModernBertEncoder(Encoder):
    """Embeddings, layers, and a last norm."""

    def __init__(self, settings: ModernBertSettings):
        super().__init__()
        self.settings = settings
        self.embeddings = ModernBertEmbeddings(settings)
        self.layers = nn.ModuleList(ModernBertLayer(settings, layer == 0) for layer in range(settings.layers))
        self.norm = _norm(settings)

    def states(self, tokens: PackedTokens) -> Iterator[Tensor]:
        """What the embeddings give, then what each layer gives, each (tokens, hidden); the last one normalised."""
        settings, places = self.settings, tokens.places()
        width = settings.hidden // settings.heads
        everywhere = rotation(places, width, settings.global_base), None
        nearby = rotation(places, width, settings.local_base), settings.reach
        hidden = self.embeddings(tokens)
        for layer, is_local in zip(self.layers, settings.is_local, strict=True):
            yield hidden
            hidden = layer(hidden, tokens, *(nearby if is_local else everywhere))
        yield self.norm(hidden)

    @staticmethod
    def parted(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """This module's arrays → named arrays, as they are stored: the three projections as one."""
        return dict(arrays)


def _norm(settings: ModernBertSettings) -> nn.LayerNorm:
    return nn.LayerNorm(settings.hidden, settings.norm_epsilon, bias=settings.norm_bias)
