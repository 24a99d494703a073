"""Natural language inference with the classification objective: the paper's main recipe.

    python recipes/nli_classification.py
    python recipes/nli_classification.py --data FOLDER --model all-MiniLM-L6-v2 --rows 10000

bert-base on SNLI and MultiNLI, one epoch; never trained on similarity. Spearman's correlation x 100 on STSb's test set:

    published: 77.03 (Reimers & Gurevych 2019, Table 2); trained anew by others, 74.7 to 77.2
    ours: see recipes/README.md
"""

from collections.abc import Sequence

from data_sets import arguments, nli_pairs, stsb_evaluator

from likewise import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from likewise.losses import SoftmaxLoss


def main(given: Sequence[str] | None = None) -> dict[str, float]:
    """Train, and evaluate on the test set."""
    options = arguments(__doc__, given, "google-bert/bert-base-uncased", epochs=1, output="output/nli_classification")
    model = SentenceTransformer(options.model)
    settings = SentenceTransformerTrainingArguments(
        output_dir=options.output,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=16,
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
        {"SNLI and MultiNLI": nli_pairs(options.data, options.rows)},
        loss=SoftmaxLoss(model, num_labels=3),
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
