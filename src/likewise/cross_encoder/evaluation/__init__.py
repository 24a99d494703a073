"""How good a cross-encoder is: one evaluator in a file. Nothing here makes torch load before it computes with it."""

from likewise.cross_encoder.evaluation.classification import (
    CEBinaryAccuracyEvaluator,
    CEBinaryClassificationEvaluator,
    CEF1Evaluator,
    CESoftmaxAccuracyEvaluator,
    CrossEncoderClassificationEvaluator,
)
from likewise.cross_encoder.evaluation.correlation import CECorrelationEvaluator, CrossEncoderCorrelationEvaluator
from likewise.cross_encoder.evaluation.reranking import CERerankingEvaluator, CrossEncoderRerankingEvaluator

__all__ = [
    "CEBinaryAccuracyEvaluator",
    "CEBinaryClassificationEvaluator",
    "CECorrelationEvaluator",
    "CEF1Evaluator",
    "CERerankingEvaluator",
    "CESoftmaxAccuracyEvaluator",
    "CrossEncoderClassificationEvaluator",
    "CrossEncoderCorrelationEvaluator",
    "CrossEncoderRerankingEvaluator",
]
