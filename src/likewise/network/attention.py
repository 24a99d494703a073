"""Attention over a packed batch: every text attends to itself and to nothing else."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.network.dropout import dropped

BLOCKED_FROM = 4  # windows: in longer texts so few tokens are seen that only they are computed
JOINED_TO = 32  # texts: fewer of equal length are no work for a kernel, and in training there are a dozen kernels


def packed_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    offsets: Tensor,
    max_length: int,
    dropout: float = 0.0,
    bias: Tensor | None = None,
    window: int | None = None,
) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1) within each text.

    query, key, value (tokens, heads, width); offsets (texts + 1,); the result (tokens, heads, width).
    ``bias`` (heads, max_length, max_length) is added to the scores; its upper left corner is for shorter texts.
    ``window``, where there is no bias, says how many tokens a token sees to either side.
    Neighbouring texts of equal length are computed together, so texts sorted by length are computed fastest.
    """

    def attend(run: slice, texts: int, length: int) -> Tensor:
        queries, keys, values = (  # each (texts, heads, length, width)
            tensor[run].unflatten(0, (texts, length)).transpose(1, 2) for tensor in (query, key, value)
        )
        if window is not None and length > BLOCKED_FROM * window:
            mixed = _in_blocks(queries, keys, values, dropout, window)
        else:
            mask = None
            if bias is not None:  # with an axis for the texts, or torch leaves its fused kernel: 2.5 times as slow
                mask = bias[None, :, :length, :length].to(query.dtype)
            elif window is not None and length > window + 1:
                places = torch.arange(length, device=query.device)
                mask = (places - places[:, None]).abs() <= window
            mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, dropout_p=dropout)
        return mixed.transpose(1, 2).flatten(0, 1)  # (texts * length, heads, width)

    if dropout and window is None and query.device.type == "cpu":
        return _with_dropout(query, key, value, offsets, dropout, bias)
    if len(offsets) == 2 and max_length:
        return attend(slice(None), 1, max_length)
    lengths, counts = torch.unique_consecutive(offsets.diff(), return_counts=True)
    mixed = [value[:0]]  # what remains of texts without tokens
    start = 0
    for length, texts in zip(lengths.tolist(), counts.tolist(), strict=True):
        run = slice(start, start + texts * length)
        if length:
            mixed.append(attend(run, texts, length))
        start = run.stop
    return torch.cat(mixed)


def _with_dropout(
    query: Tensor, key: Tensor, value: Tensor, offsets: Tensor, dropout: float, bias: Tensor | None
) -> Tensor:
    """What ``packed_attention`` gives, for the CPU, where torch has no fused kernel that drops weights.

    Neighbouring texts of unlike lengths are joined, with zeros that nothing attends to after the shorter ones.
    """
    runs = list(_joined([length for length in offsets.diff().tolist() if length]))
    sizes = [sum(lengths) for lengths in runs]
    queries, keys, values = (tensor.split(sizes) for tensor in (query, key, value))
    mixed = [_of_run(*run, dropout, bias) for run in zip(runs, queries, keys, values, strict=True)]
    return torch.cat([value[:0], *mixed])


def _joined(lengths: list[int]) -> Iterator[list[int]]:
    """``lengths`` in runs: as many neighbours as are equal, more while they are few and not much shorter or longer."""
    run: list[int] = []
    for length in lengths:
        if run and length != run[-1] and (len(run) >= JOINED_TO or not 0.5 * length <= run[0] <= 2 * length):
            yield run
            run = []
        run.append(length)
    if run:
        yield run


def _of_run(
    lengths: list[int], query: Tensor, key: Tensor, value: Tensor, dropout: float, bias: Tensor | None
) -> Tensor:
    """Attention of one run of texts, (its tokens, heads, width) in and out."""
    longest = max(lengths)
    is_level = min(lengths) == longest
    heads, width = query.shape[1:]
    real = torch.arange(longest) < torch.tensor(lengths)[:, None]  # (texts, longest)

    def batched(tensor: Tensor) -> Tensor:
        """(tokens, heads, width) → (texts * heads, longest, width)."""
        if not is_level:
            place = real.flatten().cumsum(0).sub_(1)  # what stands after a text's end is another text's, and unseen
            tensor = tensor.index_select(0, place)
        return tensor.unflatten(0, (-1, longest)).transpose(1, 2).flatten(0, 1)

    with torch.autocast("cpu", enabled=False):  # it would compute the softmax in float32 and convert to and fro
        unseen = query.new_zeros(len(lengths), 1, 1, longest)
        if not is_level:
            unseen = unseen.masked_fill(~real[:, None, None], -torch.inf)
        if bias is not None:
            unseen = unseen + bias[:, :longest, :longest].to(query.dtype)
        unseen = unseen.expand(-1, heads, longest, -1).flatten(0, 1)
        scores = torch.baddbmm(unseen, batched(query), batched(key).transpose(1, 2), alpha=width**-0.5)
        mixed = torch.bmm(dropped(scores.softmax(-1), dropout), batched(value))  # (texts * heads, longest, width)
        mixed = mixed.unflatten(0, (-1, heads)).transpose(1, 2).flatten(0, 1)  # (texts * longest, heads, width)
        return mixed if is_level else mixed[real.flatten()]


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
