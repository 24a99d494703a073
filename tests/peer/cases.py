"""The models of the matrix, by name, as sentence-transformers puts them together: the same code for 3.4 to 6.x.

Only names can be read without sentence-transformers; it is imported where a model is made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.peer.sources import ENCODERS

Version = tuple[int, ...]
WIDTH = 32  # of every encoder
WORDS = ["PADDING", "the", "kettle", "tea", "train", "rain", "winter", "river", "late", "green", "paper", "water", "we"]
STOP_WORDS = ["the", "is"]
WEIGHTS = {"kettle": 2.0, "tea": 0.5, "rain": 1.5, "late": 0.25}
POOLINGS = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


@dataclass(frozen=True)
class Case:
    """One model."""

    modules: Callable[[Path], list[Any]]  # from the folder of sources
    settings: dict[str, Any] = field(default_factory=dict)  # arguments of SentenceTransformer
    routes: Sequence[str] = ()
    since: Version = (0,)  # the first version that knows it
    writable_before: Version = (99,)  # the first version that cannot write it any more
    lacks: str = ""  # what the other versions lack
    is_half: bool = False  # stored in float16
    is_pickled: bool = False  # stored in pytorch_model.bin

    def why_not_written(self, version: str) -> str:
        """Why that version cannot make the model; empty where it can."""
        return "" if self.since <= _numbers(version) < self.writable_before else self.lacks

    def why_not_read(self, version: str) -> str:
        """Why that version cannot read the model as it was made; empty where it can."""
        return "" if self.since <= _numbers(version) else self.lacks


def _numbers(version: str) -> Version:
    return tuple(int(number) for number in version.split(".")[:2])


def transformer(folder: Path, source: str = "bert", **settings: Any) -> Any:
    from sentence_transformers import models

    return models.Transformer(str(folder / source), **settings)


def pooling(*modes: str, width: int = WIDTH, **settings: Any) -> Any:
    from sentence_transformers import models

    keys = {mode: f"pooling_mode_{mode}" for mode in POOLINGS}
    keys |= {mode: f"pooling_mode_{mode}_tokens" for mode in ("max", "mean", "mean_sqrt_len", "weightedmean")}
    keys |= {"cls": "pooling_mode_cls_token", "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens"}
    chosen = modes or ("mean",)
    return models.Pooling(width, **{keys[mode]: mode in chosen for mode in POOLINGS}, **settings)


def dense(inputs: int = WIDTH, outputs: int = 12, activation: str = "Tanh", **settings: Any) -> Any:
    import torch
    from sentence_transformers import models

    return models.Dense(inputs, outputs, activation_function=getattr(torch.nn, activation)(), **settings)


def layer_norm(width: int = WIDTH) -> Any:
    import torch
    from sentence_transformers import models

    module = models.LayerNorm(width)
    with torch.no_grad():
        module.norm.weight.normal_(1, 0.3)
        module.norm.bias.normal_(0, 0.3)
    return module


def layers() -> Any:
    import torch
    from sentence_transformers import models

    weights = torch.nn.Parameter(torch.tensor([0.5, 2.0]))
    return models.WeightedLayerPooling(WIDTH, num_hidden_layers=2, layer_start=1, layer_weights=weights)


def words(width: int = 8) -> Any:
    import torch
    from sentence_transformers import models
    from sentence_transformers.models.tokenizer import WhitespaceTokenizer

    table = torch.randn(len(WORDS), width)
    table[0] = 0  # what texts are padded with, as in the files of word vectors that people load
    tokenizer = WhitespaceTokenizer(WORDS, stop_words=STOP_WORDS, do_lower_case=True)
    return models.WordEmbeddings(tokenizer, table)


def static(folder: Path, width: int = 16) -> Any:
    import torch
    from sentence_transformers import models
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "bert" / "tokenizer.json"))
    return models.StaticEmbedding(tokenizer, embedding_weights=torch.randn(tokenizer.get_vocab_size(), width))


def other(name: str, *arguments: Any, **settings: Any) -> Any:
    """A module by the name of its class."""
    from sentence_transformers import models

    return getattr(models, name)(*arguments, **settings)


def routes(**modules: list[Any]) -> Any:
    return other("Asym", modules)


def _cases() -> dict[str, Case]:
    def encoder(name: str) -> Case:
        mode = "lasttoken" if name == "qwen3" else "mean"
        older = {"since": (5, 0), "lacks": "its Transformers does not know nomic_bert"} if name == "nomic_bert" else {}
        return Case(lambda folder: [transformer(folder, name), pooling(mode)], **older)  # type: ignore[arg-type]

    def behind_bert(*makers: Callable[[], Any], **arguments: Any) -> Case:
        return Case(lambda folder: [transformer(folder), *(make() for make in makers)], **arguments)

    def behind_words(*makers: Callable[[], Any]) -> Case:
        return Case(lambda folder: [words(), *(make() for make in makers)])

    found = {f"{name}, {'lasttoken' if name == 'qwen3' else 'mean'}": encoder(name) for name in ENCODERS}
    for mode in POOLINGS:
        found[f"bert, {mode}"] = behind_bert(lambda mode=mode: pooling(mode))  # type: ignore[misc]
    found |= {
        "bert, all six poolings": behind_bert(lambda: pooling(*POOLINGS)),
        "bert, cls and mean": behind_bert(lambda: pooling("mean", "cls")),
        "bert, mean without the prompt": behind_bert(
            lambda: pooling(include_prompt=False), settings={"prompts": {"query": "a train: "}}
        ),
        "prompts": behind_bert(
            pooling,
            settings={
                "prompts": {"query": "we not: ", "document": "the paper: ", "other": "green "},
                "default_prompt_name": "other",
            },
        ),
        "similarity_fn_name": behind_bert(pooling, settings={"similarity_fn_name": "dot"}),
        "truncate_dim": behind_bert(
            pooling, settings={"truncate_dim": 10}, since=(5, 4), lacks="it does not save truncate_dim"
        ),
        "max_seq_length": Case(lambda folder: [transformer(folder, max_seq_length=9), pooling()]),
        "do_lower_case": Case(lambda folder: [transformer(folder, "bert-cased", do_lower_case=True), pooling()]),
        "capitals kept": Case(lambda folder: [transformer(folder, "bert-cased"), pooling()]),
        "float16 weights": behind_bert(pooling, dense, is_half=True),
        "pytorch_model.bin": behind_bert(
            *(pooling, dense),
            is_pickled=True,
            writable_before=(5, 0),
            lacks="its Transformers writes no pytorch_model.bin",
        ),
        "Normalize": behind_bert(pooling, lambda: other("Normalize")),
        "Dense, Tanh": behind_bert(pooling, dense),
        "Dense, Identity": behind_bert(pooling, lambda: dense(activation="Identity")),
        "Dense without bias": behind_bert(pooling, lambda: dense(bias=False), lambda: other("Normalize")),
        "Dense with residual": behind_bert(
            pooling, lambda: dense(use_residual=True), since=(6, 0), lacks="its Dense has no use_residual"
        ),
        "Dense on tokens": behind_bert(
            lambda: dense(module_input_name="token_embeddings", module_output_name="token_embeddings"),
            lambda: pooling(width=12),
            since=(5, 4),
            lacks="its Dense works on sentence vectors only",
        ),
        "LayerNorm": behind_bert(pooling, layer_norm),
        "Dropout": behind_bert(pooling, lambda: other("Dropout", 0.3), dense),
        "Dense, LayerNorm, Dropout, Dense, Normalize": behind_bert(
            *(lambda: pooling("cls", "mean"), lambda: dense(64, 24), lambda: layer_norm(24)),
            *(lambda: other("Dropout", 0.1), lambda: dense(24, 8, "GELU"), lambda: other("Normalize")),
        ),
        "WeightedLayerPooling": Case(lambda folder: [transformer(folder, "bert-hidden-states"), layers(), pooling()]),
        "WordEmbeddings": behind_words(lambda: pooling(width=8)),
        "WordEmbeddings, WordWeights": behind_words(
            lambda: other("WordWeights", WORDS, WEIGHTS, 0.75), lambda: pooling(width=8)
        ),
        "WordEmbeddings, CNN": behind_words(
            lambda: other("CNN", 8, out_channels=5, kernel_sizes=[1, 3, 5]), lambda: pooling(width=15)
        ),
        "WordEmbeddings, LSTM": behind_words(
            lambda: other("LSTM", 8, hidden_dim=6, num_layers=2), lambda: pooling(width=12)
        ),
        "WordEmbeddings, Dense": behind_words(
            lambda: pooling("mean", "mean_sqrt_len_tokens", width=8), lambda: dense(16, 6)
        ),
        "BoW": Case(lambda folder: [other("BoW", WORDS[1:], WEIGHTS)]),
        "BoW, each word once, Dense": Case(
            lambda folder: [
                other("BoW", WORDS[1:], WEIGHTS, unknown_word_weight=0.5, cumulative_term_frequency=False),
                dense(len(WORDS) - 1, 6),
            ]
        ),
        "StaticEmbedding": Case(lambda folder: [static(folder)]),
        "StaticEmbedding, Normalize": Case(lambda folder: [static(folder), other("Normalize")]),
        "StaticEmbedding, float16": Case(lambda folder: [static(folder)], is_half=True),
        "Asym after the pooling": behind_bert(
            *(pooling, lambda: routes(query=[dense()], document=[dense()]), lambda: other("Normalize")),
            routes=("query", "document"),
        ),
        "Asym with other names": behind_bert(
            pooling, lambda: routes(question=[dense()], reply=[dense(), dense(12, 12)]), routes=("question", "reply")
        ),
        "Router, two encoders": Case(
            lambda folder: [
                routes(
                    query=[transformer(folder, "distilbert"), pooling("cls")], document=[transformer(folder), pooling()]
                )
            ],
            routes=("query", "document"),
        ),
        "Router, StaticEmbedding and encoder": Case(
            lambda folder: [
                routes(query=[static(folder, WIDTH)], document=[transformer(folder), pooling()]),
                other("Normalize"),
            ],
            routes=("query", "document"),
            since=(5, 0),
            lacks="its Asym does not give StaticEmbedding the texts",
        ),
    }
    return found


CASES = _cases()
