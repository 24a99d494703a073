"""Distillation from a cross-encoder: a bi-encoder shall prefer one passage to another by as much as it does.

    python recipes/cross_encoder_distillation.py
    python recipes/cross_encoder_distillation.py --data FOLDER --model all-MiniLM-L6-v2 --rows 2000

DistilBERT with mean pooling and dot products, on the triplets of MS MARCO; the labels are the margins of the
cross-encoder, MarginMSE (Hofstätter et al. 2020). MRR@10 x 100:

    published: 37.25 on MS MARCO's development set, among 8.8 million passages (msmarco-distilbert-dot-v5, sbert.net;
        it learnt from harder negatives of several models)
    ours: see recipes/README.md; 1,000 queries that were held out, among their 2,000 passages
"""

from collections.abc import Sequence

import numpy as np
from data_sets import Columns, arguments, ms_marco_evaluator, ms_marco_triplets
from numpy.typing import NDArray
from torch import nn

from likewise import (
    CrossEncoder,
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
    models,
)
from likewise.losses import MarginMSELoss


def margins(teacher: CrossEncoder, triplets: Columns) -> NDArray[np.float32]:
    """By how much the teacher prefers each positive to its negative, in logits: (triplets,)."""
    positive, negative = (
        teacher.predict(
            list(zip(triplets["query"], triplets[side], strict=True)),
            activation_fn=nn.Identity(),
            show_progress_bar=True,
        )
        for side in ("positive", "negative")
    )
    return positive - negative


def main(given: Sequence[str] | None = None) -> dict[str, float]:
    """Train, and evaluate on the test set."""
    student, teacher = "distilbert/distilbert-base-uncased", "cross-encoder/ms-marco-MiniLM-L6-v2"
    options = arguments(__doc__, given, student, 1, "output/cross_encoder_distillation", cross_encoder=teacher)
    triplets = ms_marco_triplets(options.data, "train", options.rows)
    encoder = models.Transformer(options.model)
    pooling = models.Pooling(encoder.get_embedding_dimension(), "mean")
    # No vector is normalised: the margins of cosines could never be as large as the teacher's.
    model = SentenceTransformer(modules=[encoder, pooling], similarity_fn_name="dot")
    settings = SentenceTransformerTrainingArguments(
        output_dir=options.output,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=32,
        learning_rate=2e-5,
        warmup_ratio=0.1,
        bf16=options.bf16,
        eval_strategy="steps",
        eval_steps=0.1,  # after each tenth of the run
        save_strategy="best",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="ms-marco-dev_dot_mrr@10",
    )
    trainer = SentenceTransformerTrainer(
        model,
        settings,
        {"MS MARCO": {**triplets, "score": margins(CrossEncoder(options.cross_encoder), triplets)}},
        loss=MarginMSELoss(model),
        evaluator=ms_marco_evaluator(options.data, "dev"),
    )
    trainer.train()
    trainer.evaluator = ms_marco_evaluator(options.data, "test")
    scores = trainer.evaluate()  # the model card tells these
    trainer.save_model()
    print(f"MS MARCO, MRR@10 of held-out queries: {100 * scores['eval_ms-marco-test_dot_mrr@10']:.2f}")
    return scores


if __name__ == "__main__":
    main()
