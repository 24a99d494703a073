"""Triplets: an anchor shall be nearer to its positive than to its negative, by a margin of 1.

    python recipes/triplets.py
    python recipes/triplets.py --data FOLDER --model all-MiniLM-L6-v2 --rows 10000

bert-base on 1.8 million triplets of Wikipedia's sections (Dor et al. 2018), one epoch; with --data on triplets of NLI.
The share of the test triplets whose positive is the nearer one:

    published: 80.42 % (Reimers & Gurevych 2019, Table 4), of Wikipedia's sections
    ours: see recipes/README.md
"""

from collections.abc import Sequence

from data_sets import Columns, arguments, section_triplets

from likewise import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from likewise.evaluation import TripletEvaluator
from likewise.losses import TripletLoss


def evaluator(triplets: Columns, name: str) -> TripletEvaluator:
    """How many positives are nearer, by the distance of the loss."""
    anchors, positives, negatives = triplets["anchor"], triplets["positive"], triplets["negative"]
    return TripletEvaluator(anchors, positives, negatives, main_similarity_function="euclidean", name=name)


def main(given: Sequence[str] | None = None) -> dict[str, float]:
    """Train, and evaluate on the test set."""
    options = arguments(__doc__, given, "google-bert/bert-base-uncased", epochs=1, output="output/triplets")
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
        metric_for_best_model="dev_euclidean_accuracy",
    )
    trainer = SentenceTransformerTrainer(
        model,
        settings,
        {"triplets": section_triplets(options.data, "train", options.rows)},
        loss=TripletLoss(model, triplet_margin=1),  # the default is 5, as sentence-transformers has it
        evaluator=evaluator(section_triplets(options.data, "dev", 5000), "dev"),
    )
    trainer.train()
    trainer.evaluator = evaluator(section_triplets(options.data, "test"), "test")
    scores = trainer.evaluate()  # the model card tells these
    trainer.save_model()
    print(f"Test accuracy: {100 * scores['eval_test_euclidean_accuracy']:.2f} %; the model is in {options.output}")
    return scores


if __name__ == "__main__":
    main()
