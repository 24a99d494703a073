"""Augmented SBERT: a cross-encoder learns a few scored pairs, and scores more of them for the bi-encoder.

    python recipes/augmented_sbert.py
    python recipes/augmented_sbert.py --data FOLDER --model all-MiniLM-L6-v2 --cross-encoder ms-marco-MiniLM-L12-v2

BERT-base as bi-encoder and as cross-encoder, 1,000 pairs of STSb's training set, or --rows; the new pairs are each
sentence with the three nearest to it by BM25. Spearman's correlation x 100 on STSb's test set:

    published: none for 1,000 pairs of STSb; on four other tasks up to 6 points more than without the new pairs (Thakur
        et al. 2021, abstract)
    ours: see recipes/README.md
"""

from collections.abc import Sequence

from data_sets import arguments, stsb, stsb_evaluator

from likewise import CrossEncoder, SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from likewise.augment import Learning, gold_pairs, labelled, lexical_neighbours, new_pairs, train_cross_encoder
from likewise.cross_encoder.evaluation import CrossEncoderCorrelationEvaluator
from likewise.losses import CosineSimilarityLoss


def main(given: Sequence[str] | None = None) -> dict[str, float]:
    """Train, and evaluate on the test set."""
    bert = "google-bert/bert-base-uncased"
    options = arguments(__doc__, given, bert, epochs=1, output="output/augmented_sbert", cross_encoder=bert)
    gold = gold_pairs(stsb(options.data, "train", options.rows or 1000))

    cross_encoder = CrossEncoder(options.cross_encoder)
    train_cross_encoder(cross_encoder, gold, Learning(options.epochs, bf16=options.bf16, shows_progress=True))
    pairs = new_pairs(gold, [lexical_neighbours(gold.texts, top_k=3)])
    silver = labelled(cross_encoder, pairs, shows_progress=True)

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
        {"STSb, gold and silver": gold.and_also(silver).columns()},
        loss=CosineSimilarityLoss(model),
        evaluator=stsb_evaluator(options.data, "dev"),
    )
    trainer.train()
    trainer.evaluator = stsb_evaluator(options.data, "test")
    scores = trainer.evaluate()  # the model card tells these
    trainer.save_model()
    test = gold_pairs(stsb(options.data, "test"))
    teacher = CrossEncoderCorrelationEvaluator(test.pairs, test.scores)(cross_encoder)["spearman"]
    student = scores["eval_sts-test_spearman_cosine"]
    told = f"cross-encoder {100 * teacher:.2f}, bi-encoder {100 * student:.2f}"
    print(f"STSb test, with {len(gold):,} gold and {len(silver):,} silver pairs: {told}")
    return scores


if __name__ == "__main__":
    main()
