"""The import path of sentence_transformers.training_args."""
