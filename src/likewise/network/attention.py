"""Attention over a packed batch: every text attends to itself and to nothing else."""

import torch
import torch.nn.functional as F
from torch import Tensor


def packed_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    offsets: Tensor,
    max_length: int,
    dropout: float = 0.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1) within each text.

    query, key, value (tokens, heads, width); offsets (texts + 1,); the result (tokens, heads, width).
    ``mask`` is for a text of ``max_length``, and its upper left corner for shorter ones: (heads, length, length) to be
    added to the scores, or (length, length), true where a token (row) attends to another.
    Neighbouring texts of equal length are computed together, so texts sorted by length are computed fastest.
    """
    if len(offsets) == 2 and max_length:
        return _equal_lengths(query, key, value, 1, max_length, dropout, mask)
    lengths, counts = torch.unique_consecutive(offsets.diff(), return_counts=True)
    mixed = [value[:0]]  # what remains of texts without tokens
    start = 0
    for length, texts in zip(lengths.tolist(), counts.tolist(), strict=True):
        run = slice(start, start + texts * length)
        if length:
            mixed.append(_equal_lengths(query[run], key[run], value[run], texts, length, dropout, mask))
        start = run.stop
    return torch.cat(mixed)


def _equal_lengths(
    query: Tensor, key: Tensor, value: Tensor, texts: int, length: int, dropout: float, mask: Tensor | None
) -> Tensor:
    query, key, value = (  # each (texts, heads, length, width)
        tensor.unflatten(0, (texts, length)).transpose(1, 2) for tensor in (query, key, value)
    )
    if mask is not None:
        mask = mask[..., :length, :length]
        mask = mask if mask.dtype == torch.bool else mask.to(query.dtype)
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    return mixed.transpose(1, 2).flatten(0, 1)  # (texts * length, heads, width)
