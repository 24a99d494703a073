"""From one vector per token to one per text (Reimers & Gurevych 2019, section 3)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from likewise.network.packed import PackedTokens


class Pooling(nn.Module):
    """The poolings called ``modes``, side by side; sums and means are taken in float32.

    A text without tokens, as a tokenizer without special tokens makes of an empty one, gets the zero vector.
    """

    def __init__(self, modes: Sequence[str]):
        super().__init__()
        self.modes = tuple(modes)

    def forward(self, hidden: Tensor, tokens: PackedTokens) -> Tensor:
        """(tokens, hidden) → (texts, modes * hidden)."""
        hidden = hidden.float()
        skipped = tokens.prompt_lengths
        if not len(hidden):
            return hidden.new_zeros(len(tokens.lengths), len(self.modes) * hidden.shape[1])
        vectors = torch.cat([POOLINGS[mode](hidden, tokens, skipped) for mode in self.modes], dim=1)
        return vectors.masked_fill((tokens.lengths == 0)[:, None], 0)


def cls(hidden: Tensor, tokens: PackedTokens, skipped: Tensor | None) -> Tensor:
    """The first token's vector; after a prompt that is left out, the first one behind it."""
    first = tokens.offsets[:-1] if skipped is None else tokens.offsets[:-1] + skipped
    return hidden[first.clamp(max=len(hidden) - 1)]


def last_token(hidden: Tensor, tokens: PackedTokens, skipped: Tensor | None) -> Tensor:
    """The last token's vector."""
    return hidden[(tokens.offsets[1:] - 1).clamp(min=0)]


def mean(hidden: Tensor, tokens: PackedTokens, skipped: Tensor | None) -> Tensor:
    """Σ h_i / n over a text's n tokens."""
    return _total(hidden, tokens, skipped) / _counted(tokens, skipped)[:, None]


def mean_sqrt_len(hidden: Tensor, tokens: PackedTokens, skipped: Tensor | None) -> Tensor:
    """Σ h_i / √n: between the mean and the sum."""
    return _total(hidden, tokens, skipped) / _counted(tokens, skipped)[:, None].sqrt()


def weighted_mean(hidden: Tensor, tokens: PackedTokens, skipped: Tensor | None) -> Tensor:
    """Σ i·h_i / Σ i: later tokens count for more (Muennighoff 2022, section 3.1.1); i counts from 1."""
    weights = (tokens.places() + 1).to(hidden.dtype)[:, None]  # (tokens, 1)
    total = _total(hidden * weights, tokens, skipped)
    if tokens.weights is not None:  # as the incumbent has it: the words' own weights take the place of the counts
        return total / _counted(tokens, skipped)[:, None]
    return total / _total(weights, tokens, skipped)


def maximum(hidden: Tensor, tokens: PackedTokens, skipped: Tensor | None) -> Tensor:
    """The largest value of each dimension among a text's tokens."""
    if skipped is not None:
        hidden = hidden.masked_fill((tokens.places() < skipped[tokens.text_of_token()])[:, None], -torch.inf)
    return torch.segment_reduce(hidden, "max", lengths=tokens.lengths.long(), axis=0, unsafe=True)


POOLINGS: dict[str, Callable[[Tensor, PackedTokens, Tensor | None], Tensor]] = {
    "cls": cls,
    "max": maximum,
    "mean": mean,
    "mean_sqrt_len_tokens": mean_sqrt_len,
    "weightedmean": weighted_mean,
    "lasttoken": last_token,
}


def _total(values: Tensor, tokens: PackedTokens, skipped: Tensor | None) -> Tensor:
    # Here and above, unsafe: else torch looks at the lengths first, and waits for a GPU to finish all it was given.
    if skipped is not None:
        values = values.masked_fill((tokens.places() < skipped[tokens.text_of_token()])[:, None], 0)
    return torch.segment_reduce(values, "sum", lengths=tokens.lengths.long(), axis=0, unsafe=True)


def _counted(tokens: PackedTokens, skipped: Tensor | None) -> Tensor:
    if tokens.weights is not None:
        sums = torch.segment_reduce(tokens.weights, "sum", lengths=tokens.lengths.long(), axis=0, unsafe=True)
        return sums.clamp(min=1e-9)
    return (tokens.lengths if skipped is None else tokens.lengths - skipped).float()
