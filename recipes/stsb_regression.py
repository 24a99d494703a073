"""The STS benchmark with the regression objective: the cosine of two sentences shall be their score.

    python recipes/stsb_regression.py
    python recipes/stsb_regression.py --data FOLDER --model all-MiniLM-L6-v2 --epochs 1

bert-base on STSb's training set, four epochs. Spearman's correlation x 100 on STSb's test set:

    published: 84.67, standard deviation 0.19 over ten seeds (Reimers & Gurevych 2019, Table 2)
    ours: see recipes/README.md
"""

from collections.abc import Sequence

from data_sets import arguments, stsb, stsb_evaluator

from likewise import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from likewise.losses import CosineSimilarityLoss


def main(given: Sequence[str] | None = None) -> dict[str, float]:
    """Train, and evaluate on the test set."""
    options = arguments(__doc__, given, "google-bert/bert-base-uncased", epochs=4, output="output/stsb_regression")
    model = SentenceTransformer(options.model)
    settings = SentenceTransformerTrainingArguments(
        output_dir=options.output,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=16,
        learning_rate=2e-5,
        warmup_ratio=0.1,
        bf16=options.bf16,
        eval_strategy="epoch",
        save_strategy="best",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="sts-dev_spearman_cosine",
    )
    trainer = SentenceTransformerTrainer(
        model,
        settings,
        {"STSb": stsb(options.data, "train", options.rows)},
        loss=CosineSimilarityLoss(model),
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
