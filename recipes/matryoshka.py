"""Matryoshka: embeddings whose first dimensions are embeddings too.

    python recipes/matryoshka.py
    python recipes/matryoshka.py --data FOLDER --model all-MiniLM-L6-v2 --rows 10000

mpnet-base on NLI triplets with in-batch negatives, at five widths at once, one epoch. Spearman's correlation x 100 on
STSb's test set at each width, and what part of it the narrowest keeps:

    published: 64 of 768 dimensions keep 98.37 % of the correlation; of a model trained at its full width alone, 96.46 %
        (sbert.net, Matryoshka Embeddings)
    ours: see recipes/README.md
"""

from collections.abc import Sequence

from data_sets import arguments, nli_triplets, stsb_evaluator

from likewise import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from likewise.losses import MatryoshkaLoss, MultipleNegativesRankingLoss


def main(given: Sequence[str] | None = None) -> dict[str, float]:
    """Train, and evaluate on the test set at each width."""
    options = arguments(__doc__, given, "microsoft/mpnet-base", epochs=1, output="output/matryoshka")
    model = SentenceTransformer(options.model)
    model.max_seq_length = 75
    width = model.get_embedding_dimension()
    dims = [width // divisor for divisor in (1, 2, 4, 8, 12)]  # 768, 384, 192, 96, 64
    settings = SentenceTransformerTrainingArguments(
        output_dir=options.output,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=128,
        batch_sampler="no_duplicates",  # a text that is there twice would be its own negative
        learning_rate=2e-5,
        warmup_ratio=0.1,
        bf16=options.bf16,
        eval_strategy="steps",
        eval_steps=0.1,  # after each tenth of the run
        save_strategy="best",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="sts-dev_spearman_cosine",
    )
    trainer = SentenceTransformerTrainer(
        model,
        settings,
        {"SNLI and MultiNLI": nli_triplets(options.data, options.rows)},
        loss=MatryoshkaLoss(model, MultipleNegativesRankingLoss(model), matryoshka_dims=dims),
        evaluator=stsb_evaluator(options.data, "dev"),
    )
    trainer.train()
    trainer.evaluator = [stsb_evaluator(options.data, "test", truncate_dim=dim) for dim in dims]
    scores = trainer.evaluate()  # the model card tells these
    trainer.save_model()
    found = {dim: 100 * scores[f"eval_sts-test-{dim}_spearman_cosine"] for dim in dims}
    for dim, score in found.items():
        print(f"STSb test, {dim} dimensions: {score:.2f}, {score / found[width]:.2%}")
    print(f"The model is in {options.output}; SentenceTransformer({options.output!r}, truncate_dim={dims[-1]}) cuts it")
    return scores


if __name__ == "__main__":
    main()
