"""A cross-encoder's head: from the vector of a pair to a score for each label."""

import torch
from torch import Tensor, nn

from likewise.checkpoint.classification import HeadSettings
from likewise.network.dropout import Dropout
from likewise.network.heads import activation_function


class ClassificationHead(nn.Module):
    """Two linear layers on the vector of a pair (Devlin et al. 2019, section 4.1; the first is BERT's pooler)."""

    def __init__(self, settings: HeadSettings):
        super().__init__()
        hidden = settings.hidden
        self.first_dropout = Dropout(settings.first_dropout)
        self.dense = nn.Linear(hidden, hidden, settings.has_bias)
        self.activation = activation_function(settings.activation)
        self.norm = nn.LayerNorm(hidden, settings.norm_epsilon, bias=settings.norm_bias) if settings.has_norm else None
        self.dropout = Dropout(settings.dropout)
        self.out = nn.Linear(hidden, settings.labels)

    def forward(self, vectors: Tensor) -> Tensor:
        """(pairs, hidden) → (pairs, labels), under autocast in the dtype of the weights.

        In bfloat16 scores near 10 would be steps of 1/16 and good documents tie; on one vector a pair it saves nothing.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            vectors = self.first_dropout(vectors.to(self.out.weight.dtype))
            vectors = self.activation(self.dense(vectors))
            if self.norm is not None:
                vectors = self.norm(vectors)
            scores: Tensor = self.out(self.dropout(vectors))
        return scores
