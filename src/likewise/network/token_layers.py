"""What may stand between the encoder and the pooling: CNN, LSTM, WeightedLayerPooling."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from likewise.network.packed import PackedTokens


class CNN(nn.Module):
    """Convolutions over each text by itself, one for each kernel size, side by side."""

    def __init__(self, width: int, channels: int, kernel_sizes: Sequence[int]):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(width, channels, size, padding=size // 2) for size in kernel_sizes)
        self.width = channels * len(kernel_sizes)

    def forward(self, hidden: Tensor, tokens: PackedTokens) -> Tensor:
        """(tokens, width) → (tokens, kernels * channels)."""
        texts = [text.T[None] for text in _by_text(hidden, tokens)]  # each (1, width, length)
        mixed = [torch.cat([convolve(text) for convolve in self.convs], dim=1)[0].T for text in texts]
        return torch.cat(mixed) if mixed else hidden.new_zeros(0, self.width)


class LSTM(nn.Module):
    """A recurrent network over each text by itself."""

    def __init__(self, width: int, hidden: int, layers: int, dropout: float, bidirectional: bool):
        super().__init__()
        self.encoder = nn.LSTM(width, hidden, layers, dropout=dropout, bidirectional=bidirectional)

    def forward(self, hidden: Tensor, tokens: PackedTokens) -> Tensor:
        """(tokens, width) → (tokens, directions * hidden)."""
        texts = _by_text(hidden, tokens)
        if not texts:
            return hidden.new_zeros(0, self.encoder.hidden_size * (1 + self.encoder.bidirectional))
        states, _ = self.encoder(pack_sequence(texts, enforce_sorted=False))
        return torch.cat(unpack_sequence(states))


class WeightedLayerPooling(nn.Module):
    """The weighted mean of what the layers give."""

    def __init__(self, layers: int, first_layer: int):
        super().__init__()
        self.first_layer = first_layer
        self.layer_weights = nn.Parameter(torch.ones(layers + 1 - first_layer))

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """(layers + 1) times (tokens, hidden) → (tokens, hidden)."""
        chosen = torch.stack(list(states[self.first_layer :]))  # (layers, tokens, hidden)
        return torch.einsum("l,lth->th", self.layer_weights, chosen) / self.layer_weights.sum()


def _by_text(hidden: Tensor, tokens: PackedTokens) -> list[Tensor]:
    """(tokens, width) → (length, width) for each text that has tokens."""
    return list(hidden.split([length for texts, length in tokens.runs for _ in range(texts) if length]))
