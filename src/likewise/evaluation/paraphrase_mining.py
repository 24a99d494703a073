"""Paraphrase mining: how well the pairs that are alike are found among all pairs of many texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.evaluation.columns import checked_texts
from likewise.evaluation.evaluator import SentenceEvaluator
from likewise.evaluation.ranking import average_precision
from likewise.evaluation.thresholds import best_f1
from likewise.search.paraphrases import paraphrase_mining

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class ParaphraseMiningEvaluator(SentenceEvaluator):
    """Average precision of mined pairs, and the best F1 with its precision, recall and threshold.

    ``sentences_map`` maps ids to texts; ``duplicates_list`` holds pairs of ids that mean the same, or
    ``duplicates_dict`` says True at [id][id]. With ``add_transitive_closure`` texts that are linked by several such
    pairs are alike too. Pairs are mined as by paraphrase_mining, whose arguments the others are. The keys are
    "average_precision", "f1", "precision", "recall" and "threshold".

    Raises:
        ValueError: There are fewer than 2 texts.
    """

    def __init__(
        self,
        sentences_map: Mapping[Any, str],
        duplicates_list: Iterable[tuple[Any, Any]] | None = None,
        duplicates_dict: Mapping[Any, Mapping[Any, bool]] | None = None,
        add_transitive_closure: bool = False,
        query_chunk_size: int = 5000,
        corpus_chunk_size: int = 100_000,
        max_pairs: int = 500_000,
        top_k: int = 100,
        show_progress_bar: bool | None = False,
        batch_size: int | None = None,
        name: str = "",
        write_csv: bool = True,
        truncate_dim: int | None = None,
    ):
        self.ids = list(sentences_map)
        (self.sentences,) = checked_texts(2, sentences_map=sentences_map.values())
        pairs = [*(duplicates_list or ())]
        pairs += [(one, other) for one, row in (duplicates_dict or {}).items() for other, alike in row.items() if alike]
        if add_transitive_closure:
            pairs = _closed(pairs)
        places = {identifier: place for place, identifier in enumerate(self.ids)}
        self.duplicates = {
            frozenset((places[one], places[other]))
            for one, other in pairs
            if one in places and other in places and one != other
        }
        self.mining: dict[str, Any] = {
            "query_chunk_size": query_chunk_size,
            "corpus_chunk_size": corpus_chunk_size,
            "max_pairs": max_pairs,
            "top_k": top_k,
            "show_progress_bar": show_progress_bar,
            "batch_size": batch_size,
            "truncate_dim": truncate_dim,
        }
        self.has_closure = add_transitive_closure
        self.name = name
        self.write_csv = write_csv
        self.csv_file = f"paraphrase_mining_evaluation{'_' * bool(name)}{name}_results.csv"
        self.primary_metric = self.key("average_precision")

    def measure(self, model: SentenceTransformer) -> dict[str, float]:
        """The scores of the pairs that are mined."""
        pairs = paraphrase_mining(model, self.sentences, **self.mining)
        scores = np.array([score for score, _, _ in pairs], dtype=np.float64)
        labels = np.array([frozenset((i, j)) in self.duplicates for _, i, j in pairs], dtype=bool)
        f1, precision, recall, threshold = best_f1(scores, labels, len(self.duplicates))
        return {
            "average_precision": average_precision(labels, scores, len(self.duplicates)),
            "f1": f1,
            "precision": precision,
            "recall": recall,
            "threshold": threshold,
        }

    def columns(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """As the keys, in another order."""
        return {key: metrics[key] for key in ("precision", "recall", "f1", "threshold", "average_precision")}

    def get_config_dict(self) -> dict[str, Any]:
        """What changes the scores."""
        settings = {"add_transitive_closure": self.has_closure}
        settings |= {key: self.mining[key] for key in ("max_pairs", "top_k", "truncate_dim")}
        return {key: value for key, value in settings.items() if value is not None}


def _closed(pairs: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """All pairs of ids that are linked by ``pairs``, directly or by way of others."""
    neighbours: dict[Any, list[Any]] = {}
    for one, other in pairs:
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    closed, seen = [], set()
    for start in neighbours:
        group, waiting = [], [start]
        while waiting:
            identifier = waiting.pop()
            if identifier not in seen:
                seen.add(identifier)
                group.append(identifier)
                waiting += neighbours[identifier]
        closed += [(one, other) for place, one in enumerate(group) for other in group[place + 1 :]]
    return closed
