"""A reranker that is a language model: how much likelier it finds one token than another behind a pair of texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.checkpoint.arrays import NamedArrays
from likewise.checkpoint.other_settings import OtherSettings
from likewise.network.packed import PackedTokens
from likewise.network.transformers import (
    ONE_TOKEN,
    TransformersEncoder,
    check_computes,
    check_weights,
    read_backbone,
)


class TokenRows(nn.Module):
    """Those rows of a language model's head that give the logits of a few tokens: all others would be thrown away.

    They are no weights of the network: those of a head of its own do not learn, and the checkpoint keeps it whole;
    where the head is the table of the input's tokens, ``is_tied``, they are that table's and change with it.
    """

    weight: Tensor  # (tokens, hidden)
    bias: Tensor | None

    def __init__(self, head: nn.Linear, tokens: Sequence[int], is_tied: bool):
        super().__init__()
        self.tokens = list(tokens)
        self.table = [head.weight] if is_tied else []  # in a list it is no second parameter
        self.register_buffer("weight", head.weight.detach()[self.tokens], persistent=False)
        self.register_buffer("bias", None if head.bias is None else head.bias.detach()[self.tokens], persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, hidden) → (…, tokens), in float32 under autocast too: in bfloat16 logits near 20 are steps of 1/8."""
        weight = self.table[0][self.tokens] if self.table else self.weight
        with torch.autocast(hidden.device.type, enabled=False):
            return F.linear(hidden.float(), weight, self.bias)


class TransformersLogitScorer(TransformersEncoder):
    """Packed tokens of pairs → a score each, from the next token's logits by a language model of Transformers."""

    def __init__(self, settings: OtherSettings, backbone: nn.Module, tokens: Sequence[int]):
        super().__init__(settings, backbone)
        head = self.backbone.get_output_embeddings()
        if not isinstance(head, nn.Linear):
            raise ValueError(f"the head of a {settings.model_type} is no linear layer: scoring by it is not supported")
        self.head = next(name for name, module in self.backbone.named_modules() if module is head)
        is_tied = head.weight is self.backbone.get_input_embeddings().weight
        self.backbone.set_submodule(self.head, TokenRows(head, tokens, is_tied))

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (pairs, 1), float32: the logit of the first token, less that of the second; 0 for no tokens."""
        logits = super().forward(tokens)  # (tokens, 1 or 2)
        if not len(logits):
            return logits.new_zeros(len(tokens.lengths), 1)
        last = logits[(tokens.offsets[1:] - 1).clamp(min=0)]  # (pairs, 1 or 2)
        scores = last[:, :1] - last[:, 1:] if last.shape[1] == 2 else last
        return scores.masked_fill((tokens.lengths == 0)[:, None], 0)

    def _computed(self, inputs: dict[str, Any], all_layers: bool) -> list[Tensor]:
        return [self._outputs(inputs).logits.float()]


def read_logit_scorer(
    settings: OtherSettings, arrays: NamedArrays, config: Mapping[str, Any], tokens: Sequence[int]
) -> TransformersLogitScorer:
    """The language model that ``config``, its config.json, describes, which scores by one or two ``tokens``.

    Raises:
        ImportError: Transformers is not installed.
        ValueError: Transformers knows no such language model, or weights are missing or of other shapes.
    """
    backbone, report = read_backbone(settings, arrays, config, _language_model_class)
    check_weights(report, str(arrays.origin))
    scorer = TransformersLogitScorer(settings, backbone, tokens)
    check_computes(scorer, ONE_TOKEN, arrays.origin)
    return scorer


def _language_model_class(config: Any) -> Any:
    """The class of Transformers that continues texts."""
    import transformers

    return transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
