"""Unsupervised SimCSE: the same sentence twice, and only dropout makes the two vectors differ.

    python recipes/unsupervised_simcse.py
    python recipes/unsupervised_simcse.py --data FOLDER --model all-MiniLM-L6-v2 --rows 10000

bert-base on a million sentences of Wikipedia without any label, one epoch; with --data on the sentences of NLI. Each
sentence shall find itself among the 64 of the batch. Spearman's correlation x 100 on STSb's test set:

    published: 76.85 (Gao et al. 2021, Table 5: https://arxiv.org/abs/2104.08821); they have one more layer behind the
        pooling in training
    ours: see recipes/README.md
"""

from collections.abc import Sequence

from data_sets import arguments, stsb_evaluator, wikipedia_sentences

from likewise import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments, models
from likewise.losses import MultipleNegativesRankingLoss


def main(given: Sequence[str] | None = None) -> dict[str, float]:
    """Train, and evaluate on the test set."""
    options = arguments(__doc__, given, "google-bert/bert-base-uncased", epochs=1, output="output/unsupervised_simcse")
    encoder = models.Transformer(options.model, max_seq_length=32)
    model = SentenceTransformer(modules=[encoder, models.Pooling(encoder.get_embedding_dimension(), "cls")])
    sentences = wikipedia_sentences(options.data, options.rows)
    settings = SentenceTransformerTrainingArguments(
        output_dir=options.output,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=64,
        learning_rate=3e-5,
        bf16=options.bf16,
        eval_strategy="steps",
        eval_steps=0.01,  # often: the best model may come early
        save_strategy="best",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="sts-dev_spearman_cosine",
    )
    trainer = SentenceTransformerTrainer(
        model,
        settings,
        {"sentences": {"sentence": sentences, "same": sentences}},
        loss=MultipleNegativesRankingLoss(model, scale=20),  # a temperature of 1 / 20
        evaluator=stsb_evaluator(options.data, "dev"),
    )
    trainer.train()
    trainer.evaluator = stsb_evaluator(options.data, "test")
    scores = trainer.evaluate()  # the model card tells these
    trainer.save_model()
    print(f"STSb test: {100 * scores['eval_sts-test_spearman_cosine']:.2f}; the model is in {options.output}")
    return scores


if __name__ == "__main__":
    main()
