"""The import path of sentence_transformers.training_args."""

from likewise.training.arguments import SentenceTransformerTrainingArguments
from likewise.training.samplers import BatchSamplers, MultiDatasetBatchSamplers

__all__ = ["BatchSamplers", "MultiDatasetBatchSamplers", "SentenceTransformerTrainingArguments"]
