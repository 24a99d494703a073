"""MPNet: BERT's layers, with a bias of the attention by the distance of two tokens (Song et al. 2020)."""

import numpy as np
import torch
from torch import Tensor

from likewise.checkpoint.distance_buckets import distance_buckets
from likewise.checkpoint.encoder_settings import BertSettings
from likewise.network.bert import BertEncoder
from likewise.network.encoder import table
from likewise.network.packed import on_device


class MPNetEncoder(BertEncoder):
    """BERT, and one table of biases for all of its layers."""

    def __init__(self, settings: BertSettings):
        super().__init__(settings)
        self.relative_bias = table(settings.relative_buckets, settings.heads)

    def attention_bias(self, length: int) -> Tensor:
        """What is added to the attention's scores, (heads, length, length)."""
        device = self.relative_bias.weight.device
        buckets = distance_buckets(np.arange(1 - length, length), self.settings.relative_buckets)
        by_distance: Tensor = self.relative_bias(on_device(buckets, device))  # (2 * length - 1, heads)
        places = torch.arange(length, device=device)
        return by_distance[places[None] - places[:, None] + length - 1].permute(2, 0, 1)
