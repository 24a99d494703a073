"""Distillation: a model with half the layers shall give the vectors of the whole one.

    python recipes/distillation.py
    python recipes/distillation.py --data FOLDER --model all-MiniLM-L6-v2 --rows 10000

The teacher is --model, a model with mean pooling; the student is every second of its layers, trained on the teacher's
vectors of the sentences of NLI, one epoch. No label is needed. Spearman's correlation x 100 on STSb's test set:

    published: stsb-roberta-base 85.44, 6 of its 12 layers 85.23 (sbert.net, Model Distillation; there the sentences of
        Wikipedia help as well)
    ours: see recipes/README.md
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from data_sets import arguments, nli_sentences, stsb_evaluator

from likewise import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments, models
from likewise.losses import MSELoss


def with_every_second_layer(name: str, teacher: SentenceTransformer) -> SentenceTransformer:
    """The model ``name`` with the layers 0, 2, 4 … of the ``teacher`` that was loaded from it."""
    whole: Any = teacher.network
    kept = list(whole.encoder.layers)[::2]
    encoder = models.Transformer(name, config_kwargs={"num_hidden_layers": len(kept)})
    modules: list[models.Module] = [encoder, models.Pooling(encoder.get_embedding_dimension(), "mean")]
    if np.isclose(np.linalg.norm(teacher.encode("How long is a vector?")), 1, atol=1e-3):
        modules.append(models.Normalize())  # else the student would learn the length first
    student = SentenceTransformer(modules=modules)
    network: Any = student.network
    for place, layer in enumerate(kept):
        network.encoder.layers[place].load_state_dict(layer.state_dict())
    return student


def main(given: Sequence[str] | None = None) -> dict[str, float]:
    """Train, and evaluate on the test set."""
    options = arguments(__doc__, given, "sentence-transformers/stsb-roberta-base", 1, "output/distillation")
    teacher = SentenceTransformer(options.model, dtype="float32")
    student = with_every_second_layer(options.model, teacher)
    sentences = nli_sentences(options.data, options.rows)
    settings = SentenceTransformerTrainingArguments(
        output_dir=options.output,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=64,
        learning_rate=1e-4,
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
        student,
        settings,
        {"SNLI and MultiNLI": {"sentence": sentences, "label": teacher.encode(sentences, show_progress_bar=True)}},
        loss=MSELoss(student),
        evaluator=stsb_evaluator(options.data, "dev"),
    )
    trainer.train()
    trainer.evaluator = stsb_evaluator(options.data, "test")
    scores = trainer.evaluate()  # the model card tells these
    trainer.save_model()
    whole = stsb_evaluator(options.data, "test")(teacher)["sts-test_spearman_cosine"]
    print(f"STSb test: teacher {100 * whole:.2f}, student {100 * scores['eval_sts-test_spearman_cosine']:.2f}")
    return scores


if __name__ == "__main__":
    main()
