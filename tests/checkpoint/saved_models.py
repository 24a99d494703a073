"""Small saved models of every make, each as file name → content, for tests that damage them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from likewise import SentenceTransformer, models
from likewise.models.router import RouteKey
from likewise.models.word_tokenizers import WhitespaceTokenizer
from tests.tiny_checkpoints import WORDS, save_tokenizer, tiny_encoder, vocabulary

Files = dict[str, bytes]
TEXTS = ["the kettle is late", "rain", "Music on paper, and 3 small green trains: ☃!"]


def bert(folder: Path) -> None:
    _pooled_bert(folder, "legacy")


def bert_in_layout_6(folder: Path) -> None:
    _pooled_bert(folder, "6")


def roberta(folder: Path) -> None:
    """A plain encoder with vocab.json and merges.txt."""
    encoder = tiny_encoder(folder, "roberta")
    (encoder / "tokenizer.json").unlink()
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyz", "Ġ", "th", "the", "Ġt"]
    (encoder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    (encoder / "merges.txt").write_text("#version: 0.2\nt h\nth e\nĠ t\n")


def distilbert(folder: Path) -> None:
    """Arrays in pytorch_model.bin, tokens in vocab.txt, settings in the oldest places."""
    tiny_encoder(folder, "distilbert")
    arrays = load_file(folder / "model.safetensors")
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(vocabulary("distilbert")))
    (folder / "sentence_distilbert_config.json").write_text(json.dumps({"max_seq_length": 20, "do_lower_case": True}))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    rows = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.DistilBERT"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (folder / "modules.json").write_text(json.dumps(rows))


def sharded(folder: Path) -> None:
    """Arrays in two files and an index."""
    tiny_encoder(folder, "xlm-roberta")
    arrays = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    weight_map = {name: shards[index % 2] for index, name in enumerate(arrays)}
    for shard in shards:
        save_file({n: a for n, a in arrays.items() if weight_map[n] == shard}, folder / shard, {"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def mpnet(folder: Path) -> None:
    tiny_encoder(folder, "mpnet")


def modernbert(folder: Path) -> None:
    tiny_encoder(folder, "modernbert")


def albert(folder: Path) -> None:
    """An encoder that Transformers computes."""
    from transformers import AlbertConfig, AlbertModel

    sizes = {"hidden_size": 16, "embedding_size": 8, "num_attention_heads": 2, "intermediate_size": 24}
    tokens = len(vocabulary())
    AlbertModel(AlbertConfig(vocab_size=tokens, num_hidden_layers=2, **sizes)).save_pretrained(folder)
    save_tokenizer(folder)


def static(folder: Path) -> None:
    table = np.random.default_rng(0).normal(size=(len(WORDS) + 1, 12)).astype(np.float16)
    dense = models.Dense(12, 8, activation_function="torch.nn.modules.activation.ReLU")
    SentenceTransformer(modules=[models.StaticEmbedding(_words(), table), dense, models.Normalize()]).save(folder)


def model2vec(folder: Path) -> None:
    """A folder as model2vec writes it, with a vocabulary that was folded together."""
    draw = np.random.default_rng(0)
    arrays = {
        "embeddings": draw.normal(size=(9, 12)).astype(np.float32),
        "mapping": draw.integers(0, 9, len(WORDS) + 1),
        "weights": draw.uniform(size=len(WORDS) + 1),
    }
    folder.mkdir()
    save_file(arrays, folder / "model.safetensors")
    _words().save(str(folder / "tokenizer.json"))
    settings = {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True, "hidden_dim": 12}
    (folder / "config.json").write_text(json.dumps(settings))


def router(folder: Path) -> None:
    """A transformer for documents, a table for queries."""
    encoder = models.Transformer(tiny_encoder(folder.with_name("router_encoder")))
    table = np.random.default_rng(0).normal(size=(len(WORDS) + 1, 32)).astype(np.float32)
    routes: dict[str, list[models.Module]] = {
        "query": [models.StaticEmbedding(_words(), table)],
        "document": [encoder, models.Pooling(32)],
    }
    mappings: dict[RouteKey, str] = {("search", "text"): "query"}
    whole = models.Router(routes, default_route="document", route_mappings=mappings)
    SentenceTransformer(modules=[whole, models.Normalize()]).save(folder)


def word_vectors(folder: Path) -> None:
    table = np.random.default_rng(0).normal(size=(len(WORDS), 12)).astype(np.float32)
    modules: list[models.Module] = [
        models.WordEmbeddings(WhitespaceTokenizer(WORDS, ["of"], True), table, max_seq_length=50),
        models.WordWeights(WORDS, {"rain": 2.5, "tea": 0.5}, 1),
        models.CNN(12, 4, (1, 3)),
        models.LSTM(8, 5, dropout=0.1),
        models.Pooling(10, ("mean", "max")),
    ]
    SentenceTransformer(modules=modules).save(folder)


def bag_of_words(folder: Path) -> None:
    modules: list[models.Module] = [
        models.BoW(WORDS, {"rain": 2.5}, 1, False),
        models.Dense(len(WORDS), 6),
        models.LayerNorm(6),
    ]
    SentenceTransformer(modules=modules).save(folder, layout="6")


def weighted_layers(folder: Path) -> None:
    encoder = models.Transformer(
        tiny_encoder(folder.with_name("weighted_encoder"), "electra", output_hidden_states=True)
    )
    on_tokens = models.Dense(32, 16, module_input_name="token_embeddings")
    modules: list[models.Module] = [
        encoder,
        models.WeightedLayerPooling(32, 2, 1),
        on_tokens,
        models.Pooling(16, include_prompt=False),
    ]
    SentenceTransformer(modules=modules, prompts={"query": "tea "}, default_prompt_name="query").save(folder)


MAKERS: dict[str, Callable[[Path], None]] = {
    maker.__name__: maker
    for maker in (
        *(bert, bert_in_layout_6, roberta, distilbert, sharded, mpnet, modernbert, albert),
        *(static, model2vec, router, word_vectors, bag_of_words, weighted_layers),
    )
}


def saved_model(name: str, folder: Path) -> Files:
    """The files of the model called ``name``, made in the empty ``folder``."""
    MAKERS[name](folder / name)
    files = (file for file in sorted((folder / name).rglob("*")) if file.is_file() and file.suffix != ".md")
    return {file.relative_to(folder / name).as_posix(): file.read_bytes() for file in files}


def _pooled_bert(folder: Path, layout: str) -> None:
    modules: list[models.Module] = [
        models.Transformer(tiny_encoder(folder.with_name(f"{folder.name}_encoder"))),
        models.Pooling(32, ("cls", "mean")),
        models.Dense(64, 16, use_residual=True),
        models.LayerNorm(16),
        models.Dropout(0.1),
        models.Normalize(),
    ]
    model = SentenceTransformer(modules=modules, prompts={"query": "tea: "}, similarity_fn_name="dot", truncate_dim=12)
    model.save(folder, layout=layout)  # type: ignore[arg-type]


def _words() -> Tokenizer:
    ids = {word: index for index, word in enumerate([*WORDS, "[UNK]"])}
    tokenizer = Tokenizer(WordLevel(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer
