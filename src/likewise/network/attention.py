"""Attention over a packed batch: every text attends to itself and to nothing else."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.network import varlen
from likewise.network.dropout import dropped
from likewise.network.packed import PackedTokens, Rows, Runs, rows_of

BLOCKED_FROM = 4  # windows: in longer texts so few tokens are seen that only they are computed
JOINED_TO = 32  # texts: fewer of equal length are no work for a kernel, and in training there are a dozen kernels

# From this length on torch's fused kernel computes a CPU's inference, below it two batched products and a softmax.
# In float32 the products took 1.0 to 1.4 times as long up to 96 tokens, and up to 3 times beyond (Zen 3, torch 2.13;
# 0.92 times at 12 tokens was their best). In bfloat16 they were 1.5 times as fast below 128 tokens (Zen 5).
FUSED_FROM = {torch.bfloat16: 128}


def packed_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    tokens: PackedTokens,
    dropout: float = 0.0,
    bias: Tensor | None = None,
    window: int | None = None,
) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1) within each text.

    query, key, value (tokens, heads, width); the result (tokens, heads, width).
    ``bias`` (heads, max_length, max_length) is added to the scores; its upper left corner is for shorter texts.
    ``window``, where there is no bias, says how many tokens a token sees to either side.
    Neighbouring texts of equal length are computed together, so texts sorted by length are computed fastest.
    """
    if bias is None and not dropout and varlen.computes(query):
        return varlen.attention(query, key, value, tokens.offsets, tokens.max_length, window, window)
    mixed = [value[:0]]  # what remains of texts without tokens
    text = start = 0
    for runs in _joined(tokens.runs, _joined_to(query.device, dropout, window), window):
        texts, count = sum(texts for texts, _ in runs), sum(texts * length for texts, length in runs)
        if count:
            part = slice(start, start + count)
            offsets = tokens.offsets[text : text + texts + 1]
            mixed.append(_of_texts(query[part], key[part], value[part], runs, offsets, dropout, bias, window))
        text, start = text + texts, start + count
    return torch.cat(mixed) if len(mixed) != 2 else mixed[1]


def _joined_to(device: torch.device, dropout: float, window: int | None) -> float:
    """How many texts a batch needs before one of another length begins a new one."""
    if device.type != "cpu":
        return math.inf  # each call of a kernel costs a GPU more than what padding adds to attention
    return JOINED_TO if dropout and window is None else 0


def _joined(all_runs: Runs, fewest: float, window: int | None) -> Iterator[Runs]:
    """``all_runs`` in batches: as many neighbours as are equal, more while they are few and not much unlike."""
    batch: list[tuple[int, int]] = []
    for texts, length in all_runs:
        is_blocked = window is not None and length > BLOCKED_FROM * window
        if batch and (
            sum(texts for texts, _ in batch) >= fewest or is_blocked or not 0.5 * length <= batch[0][1] <= 2 * length
        ):
            yield batch
            batch = []
        batch.append((texts, length))
        if is_blocked:
            yield batch
            batch = []
    if batch:
        yield batch


def _of_texts(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    runs: Runs,
    offsets: Tensor,
    dropout: float,
    bias: Tensor | None,
    window: int | None,
) -> Tensor:
    """Attention of texts that are computed together, (their tokens, heads, width) in and out."""
    longest = max(length for _, length in runs)
    rows = None if len(runs) == 1 else rows_of(offsets, longest, len(query))

    def batched(tensor: Tensor) -> Tensor:
        """(tokens, heads, width) → (texts, heads, longest, width)."""
        if rows is not None:
            tensor = tensor.index_select(0, rows.sources)
        return tensor.unflatten(0, (-1, longest)).transpose(1, 2)

    batch = batched(query), batched(key), batched(value)
    if window is not None and longest > BLOCKED_FROM * window:
        mixed = _in_blocks(*batch, dropout, window)
    elif window is not None and longest <= window + 1:
        mixed = _attended(*batch, rows, dropout, None, None)
    else:
        mixed = _attended(*batch, rows, dropout, bias, window)
    mixed = mixed.transpose(1, 2).flatten(0, 1)  # (texts * longest, heads, width)
    return mixed if rows is None else mixed.index_select(0, rows.places)


def _attended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    rows: Rows | None,
    dropout: float,
    bias: Tensor | None,
    window: int | None,
) -> Tensor:
    """(texts, heads, longest, width) in and out; in a row nothing attends to what stands behind its text."""
    longest = query.shape[2]
    mask = None if rows is None else rows.is_token[:, None, None]  # (texts, 1, 1, longest)
    if window is not None:
        places = torch.arange(longest, device=query.device)
        near = (places - places[:, None]).abs() <= window  # (longest, longest)
        mask = near if mask is None else mask & near
    if bias is not None:  # with an axis for the texts, or torch leaves its fused kernel: 2.5 times as slow
        added = bias[None, :, :longest, :longest].to(query.dtype)
        mask = added if mask is None else added.masked_fill(~mask, -torch.inf)
    # Without a window: torch has no fused kernel that drops weights on a CPU.
    is_short = not torch.is_grad_enabled() and longest < FUSED_FROM.get(query.dtype, 0)
    if query.device.type == "cpu" and window is None and (dropout or is_short):
        return _by_products(query, key, value, mask, dropout)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


def _by_products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """What torch's fused attention computes, by two batched products."""
    texts, heads, longest, width = query.shape
    queries, keys, values = (tensor.flatten(0, 1) for tensor in (query, key, value))
    with torch.autocast("cpu", enabled=False):  # it would compute the softmax in float32 and convert to and fro
        if mask is None:
            added, beta = query.new_empty(1, 1, 1), 0
        else:
            if mask.dtype == torch.bool:
                mask = query.new_zeros(()).masked_fill(~mask, -torch.inf)
            added, beta = mask.expand(texts, heads, longest, longest).flatten(0, 1), 1
        scores = torch.baddbmm(added, queries, keys.transpose(1, 2), beta=beta, alpha=width**-0.5)
        weights = scores.softmax(-1)
        mixed = torch.bmm(dropped(weights, dropout) if dropout else weights, values)  # (texts * heads, longest, width)
    return mixed.unflatten(0, (texts, heads))


def _in_blocks(query: Tensor, key: Tensor, value: Tensor, dropout: float, window: int) -> Tensor:
    """Attention within a window: blocks of tokens, each with its neighbours, so that work grows linearly with length.

    (texts, heads, length, width) in and out.
    """
    texts, heads, length, _ = query.shape
    size = max(window, 1)  # of a block: as wide as the window was fastest for ModernBERT's 64
    blocks = -(-length // size)
    surplus = blocks * size - length

    def around_blocks(tensor: Tensor) -> Tensor:
        """(texts, heads, length, width) → (texts * heads, blocks, size + 2 * window, width)."""
        padded = F.pad(tensor, (0, 0, window, window + surplus))
        return padded.unfold(2, size + 2 * window, size).transpose(-1, -2).flatten(0, 1)

    at = torch.arange(blocks * size, device=query.device).view(blocks, size, 1)
    other = at[:, :1] + torch.arange(-window, size + window, device=query.device)  # (blocks, 1, size + 2 * window)
    visible = ((other - at).abs() <= window) & (other >= 0) & (other < length)  # (blocks, size, size + 2 * window)
    mixed = F.scaled_dot_product_attention(
        F.pad(query, (0, 0, 0, surplus)).unflatten(2, (blocks, size)).flatten(0, 1),
        around_blocks(key),
        around_blocks(value),
        attn_mask=visible[None],
        dropout_p=dropout,
    )
    return mixed.reshape(texts, heads, blocks * size, -1)[:, :, :length]
