"""Training objectives of the cross-encoder, under the field's names: one in a file."""

import likewise.needs_torch  # noqa: F401
from likewise.cross_encoder.losses.adr_mse import ADRMSELoss
from likewise.cross_encoder.losses.binary_cross_entropy import BinaryCrossEntropyLoss
from likewise.cross_encoder.losses.cached_multiple_negatives_ranking import CachedMultipleNegativesRankingLoss
from likewise.cross_encoder.losses.cross_entropy import CrossEntropyLoss
from likewise.cross_encoder.losses.lambda_loss import LambdaLoss
from likewise.cross_encoder.losses.list_mle import ListMLELoss
from likewise.cross_encoder.losses.list_net import ListNetLoss
from likewise.cross_encoder.losses.loss import CrossEncoderLoss
from likewise.cross_encoder.losses.margin_mse import MarginMSELoss
from likewise.cross_encoder.losses.mse import MSELoss
from likewise.cross_encoder.losses.multiple_negatives_ranking import MultipleNegativesRankingLoss
from likewise.cross_encoder.losses.plist_mle import PListMLELambdaWeight, PListMLELoss
from likewise.cross_encoder.losses.rank_net import RankNetLoss
from likewise.cross_encoder.losses.weighting_schemes import (
    LambdaRankScheme,
    NDCGLoss1Scheme,
    NDCGLoss2PPScheme,
    NDCGLoss2Scheme,
    NoWeightingScheme,
)

__all__ = [
    "ADRMSELoss",
    "BinaryCrossEntropyLoss",
    "CachedMultipleNegativesRankingLoss",
    "CrossEncoderLoss",
    "CrossEntropyLoss",
    "LambdaLoss",
    "LambdaRankScheme",
    "ListMLELoss",
    "ListNetLoss",
    "MSELoss",
    "MarginMSELoss",
    "MultipleNegativesRankingLoss",
    "NDCGLoss1Scheme",
    "NDCGLoss2PPScheme",
    "NDCGLoss2Scheme",
    "NoWeightingScheme",
    "PListMLELambdaWeight",
    "PListMLELoss",
    "RankNetLoss",
]
