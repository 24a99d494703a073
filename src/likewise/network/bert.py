"""BERT, RoBERTa, XLM-RoBERTa, DistilBERT, ELECTRA, MiniLM: post-norm layers with learned positions."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.checkpoint.encoder_settings import BertSettings
from likewise.network.attention import packed_attention
from likewise.network.dropout import Dropout
from likewise.network.encoder import Encoder, table
from likewise.network.heads import activation_function
from likewise.network.linear import Linear
from likewise.network.packed import PackedTokens


class BertEmbeddings(nn.Module):
    """A token's vector: its word, its position and its segment, added and normalised."""

    def __init__(self, settings: BertSettings):
        super().__init__()
        width = settings.embedding_width
        self.first_position = settings.first_position
        self.padding_id = settings.padding_id
        self.tokens = table(settings.vocabulary, width)
        self.positions = table(settings.positions, width)
        self.segments = table(settings.segment_types, width) if settings.segment_types else None
        self.norm = nn.LayerNorm(width, settings.norm_epsilon)
        self.dropout = Dropout(settings.dropout)
        self.project = Linear(width, settings.hidden) if width != settings.hidden else None

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (tokens, hidden)."""
        vectors = self.tokens(tokens.ids) + self.positions(self.position_ids(tokens))  # (tokens, width)
        if self.segments is not None:
            segments = tokens.ids.new_zeros(1) if tokens.segments is None else tokens.segments
            vectors = vectors + self.segments(segments)
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
        before_text = tokens.of_each_token(counts[tokens.offsets[:-1]])
        return torch.where(real, counts[1:] - before_text + self.padding_id, self.padding_id)


class BertLayer(nn.Module):
    """One transformer layer (Vaswani et al. 2017, section 3.1, the encoder)."""

    def __init__(self, settings: BertSettings):
        super().__init__()
        self.heads = settings.heads
        self.attention_dropout = settings.attention_dropout
        self.qkv = Linear(settings.hidden, 3 * settings.hidden)
        self.attention_out = Linear(settings.hidden, settings.hidden)
        self.attention_out_dropout = Dropout(settings.attention_out_dropout)
        self.attention_norm = nn.LayerNorm(settings.hidden, settings.norm_epsilon)
        self.expand = Linear(settings.hidden, settings.intermediate)
        self.activation = activation_function(settings.activation)
        self.contract = Linear(settings.intermediate, settings.hidden)
        self.output_norm = nn.LayerNorm(settings.hidden, settings.norm_epsilon)
        self.dropout = Dropout(settings.dropout)

    def forward(self, hidden: Tensor, tokens: PackedTokens, bias: Tensor | None = None) -> Tensor:
        """(tokens, hidden) → (tokens, hidden): attention, feed-forward, each added and normalised (post-norm).

        ``bias`` (heads, length, length) is added to the attention's scores.
        """
        query, key, value = self.qkv(hidden).unflatten(1, (3, self.heads, -1)).unbind(1)  # (tokens, heads, width)
        dropout = self.attention_dropout if self.training else 0.0
        mixed = packed_attention(query, key, value, tokens, dropout, bias)
        hidden = self.attention_norm(hidden + self.attention_out_dropout(self.attention_out(mixed.flatten(1))))
        return self.output_norm(hidden + self.dropout(self.contract(self.activation(self.expand(hidden)))))


class BertEncoder(Encoder):
    """BERT and its family (Devlin et al. 2019)."""

    def __init__(self, settings: BertSettings):
        super().__init__()
        self.settings = settings
        self.embeddings = BertEmbeddings(settings)
        self.layers = nn.ModuleList(BertLayer(settings) for _ in range(settings.layers))

    def states(self, tokens: PackedTokens) -> Iterator[Tensor]:
        """What the embeddings give, then what each layer gives, each (tokens, hidden)."""
        hidden = self.embeddings(tokens)
        yield hidden
        bias = self.attention_bias(tokens.max_length)
        for layer in self.layers:
            hidden = layer(hidden, tokens, bias)
            yield hidden

    def attention_bias(self, length: int) -> Tensor | None:
        """What is added to the attention's scores, (heads, length, length); BERT adds nothing."""
        return None
