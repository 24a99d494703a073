"""Attention over packed texts, in the form in which Transformers takes attention functions of others."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.network import varlen
from likewise.network.packed import Runs

NAME = "likewise_packed"  # what it is called in Transformers' registry


def attention_by_text(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    packed_runs: Runs,
    packed_offsets: Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **unused: Any,
) -> tuple[Tensor, None]:
    """Attention within each text, in the form that Transformers' registry asks for.

    query (1, heads, tokens, width); key, value (1, key heads, tokens, width); the result (1, tokens, heads, width).
    ``softcap`` bounds the scores by softcap · tanh(score / softcap) (Gemma Team 2024, section 2).
    """
    settings: Any = module.config
    causal = bool(getattr(module, "is_causal", True)) and getattr(settings, "is_causal", None) is not False
    if softcap is None and not dropout and varlen.computes(query[0].transpose(0, 1)):
        reach = None if sliding_window is None else sliding_window - 1
        q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))  # each (tokens, heads, width)
        longest = max(length for _, length in packed_runs)
        after = 0 if causal else reach
        return varlen.attention(q, k, v, packed_offsets, longest, reach, after, scaling)[None], None
    mixed, start = [], 0
    for texts, length in packed_runs:
        run = slice(start, start + texts * length)
        inputs = [tensor[0, :, run].unflatten(1, (texts, length)).transpose(0, 1) for tensor in (query, key, value)]
        allowed = _within_window(length, sliding_window, causal, query.device)
        if allowed is not None or softcap is not None:  # with a mask, CUDA's quick kernels want a key for each head
            shared = inputs[0].shape[1] // inputs[1].shape[1]  # heads to a key and value (Ainslie et al. 2023)
            inputs[1:] = [tensor.repeat_interleave(shared, 1) for tensor in inputs[1:]]
        q, k, v = inputs  # each (texts, heads, length, width)
        if softcap is None:
            text = F.scaled_dot_product_attention(
                q, k, v, allowed, dropout, causal and allowed is None, scale=scaling, enable_gqa=allowed is None
            )
        else:
            scores = _capped(q @ k.mT, softcap, q.shape[-1] ** -0.5 if scaling is None else scaling)
            if allowed is None and causal:
                allowed = torch.ones(length, length, dtype=torch.bool, device=q.device).tril()
            if allowed is not None:
                scores = scores.masked_fill(~allowed, -torch.inf)
            text = F.dropout(scores.softmax(-1), dropout).to(v.dtype) @ v
        mixed.append(text.transpose(1, 2).flatten(0, 1))  # (texts * length, heads, width)
        start = run.stop
    return torch.cat(mixed)[None], None


def _within_window(length: int, window: int | None, causal: bool, device: torch.device) -> Tensor | None:
    """(length, length): which keys each query sees; none where that is every one, or every earlier one."""
    if window is None or length <= window:
        return None
    places = torch.arange(length, device=device)
    distance = places[:, None] - places
    return (distance >= 0) & (distance < window) if causal else distance.abs() < window


def _capped(scores: Tensor, softcap: float, scaling: float) -> Tensor:
    return softcap * torch.tanh(scores.float() * scaling / softcap)
