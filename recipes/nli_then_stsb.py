"""First NLI with the classification objective, then the STS benchmark with regression: the paper's best recipe.

    python recipes/nli_then_stsb.py
    python recipes/nli_then_stsb.py --data FOLDER --model all-MiniLM-L6-v2 --rows 10000

bert-base, one epoch of SNLI and MultiNLI, then --epochs of STSb. Spearman's correlation x 100 on STSb's test set:

    published: 85.35, standard deviation 0.17 over ten seeds (Reimers & Gurevych 2019, Table 2)
    ours: see recipes/README.md
"""

from collections.abc import Sequence

from data_sets import arguments, nli_pairs, stsb, stsb_evaluator

from likewise import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from likewise.losses import CosineSimilarityLoss, SoftmaxLoss


def main(given: Sequence[str] | None = None) -> dict[str, float]:
    """Train twice, and evaluate on the test set."""
    options = arguments(__doc__, given, "google-bert/bert-base-uncased", epochs=4, output="output/nli_then_stsb")
    model = SentenceTransformer(options.model)
    evaluator = stsb_evaluator(options.data, "dev")
    nli = SentenceTransformerTrainingArguments(
        output_dir=f"{options.output}/nli",
        num_train_epochs=1,
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
    data = {"SNLI and MultiNLI": nli_pairs(options.data, options.rows)}
    SentenceTransformerTrainer(model, nli, data, loss=SoftmaxLoss(model, num_labels=3), evaluator=evaluator).train()

    regression = SentenceTransformerTrainingArguments(
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
    data = {"STSb": stsb(options.data, "train", options.rows)}
    trainer = SentenceTransformerTrainer(model, regression, data, loss=CosineSimilarityLoss(model), evaluator=evaluator)
    trainer.train()
    trainer.evaluator = stsb_evaluator(options.data, "test")
    scores = trainer.evaluate()  # the model card tells these
    trainer.save_model()
    print(f"STSb test: {100 * scores['eval_sts-test_spearman_cosine']:.2f}; the model is in {options.output}")
    return scores


if __name__ == "__main__":
    main()
