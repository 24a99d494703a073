"""How good a model is: one evaluator in a file. Nothing here makes torch load before it computes with it."""

from likewise.evaluation.binary_classification import BinaryClassificationEvaluator
from likewise.evaluation.embedding_similarity import EmbeddingSimilarityEvaluator
from likewise.evaluation.evaluator import BaseEvaluator, SentenceEvaluator
from likewise.evaluation.information_retrieval import InformationRetrievalEvaluator
from likewise.evaluation.label_accuracy import LabelAccuracyEvaluator
from likewise.evaluation.mse import MSEEvaluator
from likewise.evaluation.paraphrase_mining import ParaphraseMiningEvaluator
from likewise.evaluation.reranking import RerankingEvaluator
from likewise.evaluation.sequential import SequentialEvaluator
from likewise.evaluation.translation import TranslationEvaluator
from likewise.evaluation.triplet import TripletEvaluator
from likewise.similarity import SimilarityFunction

__all__ = [
    "BaseEvaluator",
    "BinaryClassificationEvaluator",
    "EmbeddingSimilarityEvaluator",
    "InformationRetrievalEvaluator",
    "LabelAccuracyEvaluator",
    "MSEEvaluator",
    "ParaphraseMiningEvaluator",
    "RerankingEvaluator",
    "SentenceEvaluator",
    "SequentialEvaluator",
    "SimilarityFunction",
    "TranslationEvaluator",
    "TripletEvaluator",
]
