"""MPNet: BERT's layers, with a bias of the attention by the distance of two tokens (Song et al. 2020)."""

import math

import torch
from torch import Tensor

from likewise.checkpoint.encoder_settings import BertSettings
from likewise.network.bert import BertEncoder
from likewise.network.encoder import table

FARTHEST = 128  # tokens that are farther apart than this share a bucket


class MPNetEncoder(BertEncoder):
    """BERT, and one table of biases for all of its layers."""

    def __init__(self, settings: BertSettings):
        super().__init__(settings)
        self.relative_bias = table(settings.relative_buckets, settings.heads)

    def attention_bias(self, length: int) -> Tensor:
        """What is added to the attention's scores, (heads, length, length)."""
        places = torch.arange(length, device=self.relative_bias.weight.device)
        buckets = distance_buckets(places[None] - places[:, None], self.settings.relative_buckets)
        bias: Tensor = self.relative_bias(buckets).permute(2, 0, 1)
        return bias


def distance_buckets(distances: Tensor, buckets: int) -> Tensor:
    """The row of the table for each distance between two tokens (Raffel et al. 2020, section 2.1).

    Half of the rows are for tokens that come later; of each half the first half is for one distance each, the other
    half for ever wider ranges up to FARTHEST.
    """
    half = buckets // 2
    exact = half // 2
    apart = distances.abs()
    # In float32, as Transformers computes it: the borders of the ranges depend on its rounding.
    ranges = torch.log(apart.float() / exact) / math.log(FARTHEST / exact) * (half - exact)
    wide = (exact + ranges.clamp(min=0).long()).clamp(max=half - 1)
    return torch.where(distances > 0, half, 0) + torch.where(apart < exact, apart, wide)
