"""However a checkpoint names, rounds, splits and packs its weights: the encoder they make is the same."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from likewise import SentenceTransformer
from likewise.checkpoint.names import our_names
from likewise.network.encoder import Encoder
from tests.network.batches import packed, random_texts
from tests.network.twins import load_ours, load_theirs, their_token_vectors, token_vectors
from tests.tiny_checkpoints import MODEL_TYPES, POSITIONS, draw_weights, tiny_encoder, vocabulary

Weights = dict[str, Tensor]
TEXTS = random_texts([11, 11, 3, 40], seed=0, ids=range(len(vocabulary())))


def vectors(encoder: Encoder) -> Tensor:
    with torch.no_grad():
        return torch.cat(token_vectors(encoder, packed(TEXTS)))


def assert_equals_transformers(folder: Path) -> None:
    theirs = load_theirs(folder)
    with torch.no_grad():
        expected = torch.cat([their_token_vectors(theirs, text) for text in TEXTS])
    torch.testing.assert_close(vectors(load_ours(folder)), expected, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("bert"))


def rewritten(folder: Path, target: Path, change: Callable[[Weights], Weights]) -> Path:
    """A copy of the model in ``folder`` with its weights changed."""
    shutil.copytree(folder, target)
    save_file(change(load_file(folder / "model.safetensors")), target / "model.safetensors", {"format": "pt"})
    return target


def under(prefix: str) -> Callable[[Weights], Weights]:
    return lambda weights: {prefix + name: weight for name, weight in weights.items()}


def without(missing: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: weight for name, weight in weights.items() if name != missing}


def with_first_names(weights: Weights) -> Weights:
    """As TensorFlow called the weights of norms, in the first BERT checkpoints."""
    old = {"weight": "gamma", "bias": "beta"}
    return {
        re.sub(r"(?<=LayerNorm\.)(weight|bias)$", lambda match: old[match[0]], name): weight
        for name, weight in weights.items()
    }


def beside_other_arrays(weights: Weights) -> Weights:
    """As pre-training leaves a checkpoint: with heads, and with a buffer that older versions saved."""
    return under("bert.")(with_first_names(weights)) | {
        "bert.embeddings.position_ids": torch.arange(80)[None],
        "cls.predictions.bias": torch.ones(122),
        "cls.predictions.transform.LayerNorm.gamma": torch.ones(32),
        "cls.predictions.transform.dense.weight": torch.ones(32, 32),
        "cls.predictions.decoder.weight": weights["embeddings.word_embeddings.weight"].clone(),
        "cls.seq_relationship.weight": torch.ones(2, 32),
    }


@pytest.mark.parametrize(
    "change",
    [
        *map(under, ("bert.", "roberta.", "model.", "0.auto_model.", "encoder.")),
        with_first_names,
        beside_other_arrays,
    ],
    ids=["bert.", "roberta.", "model.", "0.auto_model.", "encoder.", "gamma and beta", "with heads"],
)
def test_names_in_the_wild(bert_folder: Path, tmp_path: Path, change: Callable[[Weights], Weights]) -> None:
    folder = rewritten(bert_folder, tmp_path / "renamed", change)
    assert torch.equal(vectors(load_ours(folder)), vectors(load_ours(bert_folder)))


@pytest.mark.parametrize(
    "class_name",
    [
        "BertForPreTraining",
        "BertForSequenceClassification",
        "RobertaForMaskedLM",
        "XLMRobertaForMaskedLM",
        "CamembertForMaskedLM",
        "DistilBertForMaskedLM",
        "ElectraForPreTraining",
        "ElectraForMaskedLM",
    ],
)
def test_models_saved_with_a_head(tmp_path: Path, class_name: str) -> None:
    import transformers

    kind = getattr(transformers, class_name)
    model_type = kind.config_class.model_type
    tiny_encoder(tmp_path, model_type)
    model = kind.from_pretrained(tmp_path)
    draw_weights(model, seed=1)
    model.save_pretrained(tmp_path)
    assert not (tmp_path / "model.safetensors.index.json").exists()
    assert_equals_transformers(tmp_path)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_other_precisions(tmp_path: Path, model_type: str, dtype: torch.dtype) -> None:
    tiny_encoder(tmp_path, model_type)
    load_theirs(tmp_path).to(dtype).save_pretrained(tmp_path)
    assert {weight.dtype for weight in load_file(tmp_path / "model.safetensors").values()} == {dtype}
    assert_equals_transformers(tmp_path)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_sharded_safetensors(tmp_path: Path, model_type: str) -> None:
    tiny_encoder(tmp_path / "whole", model_type)
    load_theirs(tmp_path / "whole").save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    assert len(list((tmp_path / "sharded").glob("model-*.safetensors"))) > 2
    assert torch.equal(vectors(load_ours(tmp_path / "sharded")), vectors(load_ours(tmp_path / "whole")))


@pytest.mark.parametrize("zipped", [True, False], ids=["as torch saves today", "as torch saved before 1.6"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_pytorch_files(bert_folder: Path, tmp_path: Path, dtype: torch.dtype, zipped: bool) -> None:
    weights = {name: weight.to(dtype) for name, weight in load_file(bert_folder / "model.safetensors").items()}
    rounded = rewritten(bert_folder, tmp_path / "safetensors", lambda _: weights)
    folder = tmp_path / "pytorch"
    shutil.copytree(bert_folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(beside_other_arrays(weights), folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert torch.equal(vectors(load_ours(folder)), vectors(load_ours(rounded)))


def test_sharded_pytorch_files(bert_folder: Path, tmp_path: Path) -> None:
    weights = list(load_file(bert_folder / "model.safetensors").items())
    folder = tmp_path / "sharded"
    shutil.copytree(bert_folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    weight_map: dict[str, str] = {}
    for part in range(3):
        file = f"pytorch_model-0000{part + 1}-of-00003.bin"
        torch.save(dict(weights[part::3]), folder / file)
        weight_map |= {name: file for name, _ in weights[part::3]}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert torch.equal(vectors(load_ours(folder)), vectors(load_ours(bert_folder)))


def test_weights_that_were_saved_as_views(bert_folder: Path, tmp_path: Path) -> None:
    weights = load_file(bert_folder / "model.safetensors")
    views = {name: weight.t().contiguous().t() if weight.dim() == 2 else weight for name, weight in weights.items()}
    assert not all(view.is_contiguous() for view in views.values())
    folder = tmp_path / "views"
    shutil.copytree(bert_folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(views, folder / "pytorch_model.bin")
    assert torch.equal(vectors(load_ours(folder)), vectors(load_ours(bert_folder)))


def test_a_missing_array_is_named_with_its_file(bert_folder: Path, tmp_path: Path) -> None:
    folder = rewritten(bert_folder, tmp_path / "damaged", without("encoder.layer.1.output.dense.bias"))
    with pytest.raises(ValueError, match=r"model\.safetensors lacks 1 of the arrays .* layers\.1\.contract\.bias"):
        load_ours(folder)


@pytest.mark.parametrize("part", ["query", "key", "value"])
def test_a_missing_projection_is_named_with_its_file(bert_folder: Path, tmp_path: Path, part: str) -> None:
    folder = rewritten(bert_folder, tmp_path / "damaged", without(f"encoder.layer.1.attention.self.{part}.weight"))
    with pytest.raises(ValueError, match=rf"model\.safetensors.* layers\.1\.({part}|qkv)\.weight"):
        load_ours(folder)


@pytest.mark.parametrize(
    "name",
    [
        "embeddings.word_embeddings.weight",
        "encoder.layer.0.attention.self.value.bias",
        "encoder.layer.1.attention.self.query.weight",
        "encoder.layer.1.intermediate.dense.weight",
    ],
)
@pytest.mark.parametrize("axis", [0, -1])
def test_an_array_of_another_shape_is_named_with_its_file(
    bert_folder: Path, tmp_path: Path, name: str, axis: int
) -> None:
    def cut(weights: Weights) -> Weights:
        return weights | {name: weights[name].narrow(axis, 0, 30).contiguous()}

    folder = rewritten(bert_folder, tmp_path / "damaged", cut)
    ours = our_names("bert", load_file(folder / "model.safetensors"))[name]
    with pytest.raises(ValueError, match=rf"model\.safetensors: the array.* {re.escape(ours)}.* shape.*\b30\b"):
        load_ours(folder)


def test_nomic_by_the_names_of_its_own_code_and_of_transformers(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "older", "nomic_bert")  # saved by the names of its own code
    expected = vectors(load_ours(folder))
    newer = dict(load_theirs(folder).state_dict())
    assert "layers.0.self_attn.q_proj.weight" in newer
    assert "encoder.layers.0.attn.Wqkv.weight" in load_file(folder / "model.safetensors")
    rewritten(folder, tmp_path / "newer", lambda weights: newer)
    torch.testing.assert_close(vectors(load_ours(tmp_path / "newer")), expected, atol=1e-6, rtol=0)
    for name in ("older", "newer"):
        SentenceTransformer(tmp_path / name).save_pretrained(tmp_path / "saved")
        names = load_file(tmp_path / "saved" / "model.safetensors").keys()
        assert names == load_file(tmp_path / name / "model.safetensors").keys()
        torch.testing.assert_close(vectors(load_ours(tmp_path / "saved")), expected, atol=1e-6, rtol=0)


def test_the_configuration_of_nomics_own_code(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path, "nomic_bert")
    expected = vectors(load_ours(folder))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kept = {name: config[name] for name in ("model_type", "vocab_size", "type_vocab_size", "pad_token_id")}
    changes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 48, "activation_function": "swiglu"}
    changes |= {"rotary_emb_base": 1000, "layer_norm_epsilon": 1e-12, "n_positions": POSITIONS}
    (folder / "config.json").write_text(json.dumps(kept | changes), encoding="utf-8")
    torch.testing.assert_close(vectors(load_ours(folder)), expected, atol=0, rtol=0)
