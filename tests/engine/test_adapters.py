"""LoRA adapters on a whole model: added, trained, saved, loaded, merged, and told where they cannot be."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import LoraConfig

from likewise import SentenceTransformer, models
from likewise.losses import CosineSimilarityLoss, DenoisingAutoEncoderLoss
from tests.tiny_checkpoints import tiny_encoder

TEXTS = ["the kettle boils .", "it was late , and the train was not in the station", "tea"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("base"))


@pytest.fixture
def model(base: Path) -> SentenceTransformer:
    """An encoder, a Dense layer with weights that no checkpoint has, and unit vectors."""
    torch.manual_seed(1)
    modules: list[models.Module] = [models.Transformer(base), models.Pooling(32), models.Dense(32, 8)]
    return SentenceTransformer(modules=[*modules, models.Normalize()], device="cpu", dtype="float32")


@pytest.fixture
def trained(model: SentenceTransformer) -> SentenceTransformer:
    """The same with an adapter, after a few steps that move it and the Dense layer."""
    model.add_adapter(LoraConfig(r=4, target_modules=["query", "dense"], lora_dropout=0.1))
    train(model)
    return model


def train(model: SentenceTransformer) -> None:
    loss = CosineSimilarityLoss(model)
    optimizer = torch.optim.AdamW([p for p in loss.parameters() if p.requires_grad], lr=0.02)
    model.train()
    for _ in range(3):
        optimizer.zero_grad()
        loss([TEXTS, TEXTS[::-1]], [1.0, 0.0, 0.5]).backward()
        optimizer.step()
    model.eval()


def encoded(model: SentenceTransformer) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = model.encode(TEXTS)
    return vectors


def load(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(folder, device="cpu", dtype="float32")


def test_training_moves_the_adapter_and_the_heads_alone(model: SentenceTransformer) -> None:
    loss = CosineSimilarityLoss(model)  # made before: it sees the adapter all the same
    model.add_adapter(LoraConfig(r=4, target_modules=["query", "dense"]))
    before = {name: weight.clone() for name, weight in loss.state_dict().items()}
    train(model)
    moved = {name for name, weight in loss.state_dict().items() if not torch.equal(weight, before[name])}
    assert moved == {name for name in before if "lora_" in name or "heads" in name}
    assert len(moved) == 2 * 2 * 4 + 2  # two matrices for each of four layers in each of two; the Dense layer's two
    assert moved == {name for name, weight in loss.named_parameters() if weight.requires_grad}


def test_the_names_are_the_same_each_time(model: SentenceTransformer, base: Path) -> None:
    other = SentenceTransformer(
        modules=[models.Transformer(base), models.Pooling(32), models.Dense(32, 8)], device="cpu", dtype="float32"
    )
    for one in (model, other):
        one.add_adapter(LoraConfig(r=4, target_modules="all-linear"))
    assert list(model.network.state_dict()) == list(other.network.state_dict())
    other.network.load_state_dict(model.network.state_dict())


def test_a_saved_adapter_is_loaded_in_another_process(trained: SentenceTransformer, tmp_path: Path) -> None:
    trained.save_pretrained(tmp_path / "saved")
    files = {str(file.relative_to(tmp_path / "saved")) for file in (tmp_path / "saved").rglob("*.*") if file.is_file()}
    assert {"adapter_config.json", "adapter_model.safetensors", "2_Dense/model.safetensors"} <= files
    assert not {"config.json", "model.safetensors"} & files
    code = f"""
import sys
sys.modules["peft"] = None  # a plain load needs none
import numpy as np
from likewise import SentenceTransformer
model = SentenceTransformer({str(tmp_path / "saved")!r}, device="cpu", dtype="float32")
np.save({str(tmp_path / "vectors.npy")!r}, model.encode({TEXTS!r}))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), encoded(trained), atol=1e-6)


def test_a_loaded_adapter_goes_on_learning(trained: SentenceTransformer, tmp_path: Path) -> None:
    vectors = encoded(trained)
    trained.save_pretrained(tmp_path / "saved")
    for has_network in (False, True):
        model = load(tmp_path / "saved")
        if has_network:
            _ = model.network
        model.load_adapter(tmp_path / "saved", is_trainable=True)
        np.testing.assert_array_equal(encoded(model), vectors)
        names = [name for name, weight in trained.network.named_parameters() if weight.requires_grad]
        assert [name for name, weight in model.network.named_parameters() if weight.requires_grad] == names
        train(model)
        assert np.abs(encoded(model) - vectors).max() > 1e-3
        model.save_pretrained(tmp_path / "again")
        np.testing.assert_allclose(encoded(load(tmp_path / "again")), encoded(model), atol=1e-6)


def test_a_loaded_adapter_does_not_learn_unasked(trained: SentenceTransformer, base: Path, tmp_path: Path) -> None:
    trained.save_pretrained(tmp_path / "saved")
    model = load(base)
    model.load_adapter(tmp_path / "saved", "river")
    assert model.active_adapters() == ["river"]
    assert model.active_adapter() == "river"
    assert not [name for name, weight in model.network.named_parameters() if weight.requires_grad]
    own, theirs = model.get_adapter_state_dict(), trained.get_adapter_state_dict()
    assert own.keys() == theirs.keys()
    assert all(torch.equal(own[name], theirs[name]) for name in own)


def test_a_merged_model_is_a_plain_one(trained: SentenceTransformer, base: Path, tmp_path: Path) -> None:
    vectors = encoded(trained)
    trained.save_pretrained(tmp_path / "saved")
    trained.merge_adapters()
    np.testing.assert_allclose(encoded(trained), vectors, atol=1e-6)
    assert all(weight.requires_grad for weight in trained.parameters())
    trained.save_pretrained(tmp_path / "saved")  # over the adapter, which must be gone
    assert (tmp_path / "saved" / "model.safetensors").is_file()
    assert not list((tmp_path / "saved").glob("adapter_*"))
    np.testing.assert_allclose(encoded(load(tmp_path / "saved")), encoded(trained), atol=1e-6)
    with pytest.raises(ValueError, match="the model has no adapter; call add_adapter"):
        trained.merge_adapters()


def test_an_adapter_takes_the_place_of_a_plain_model(trained: SentenceTransformer, tmp_path: Path, base: Path) -> None:
    folder = tmp_path / "saved"
    load(base).save_pretrained(folder)
    (folder / "notes.txt").write_text("keep", encoding="utf-8")
    trained.save_pretrained(folder)
    assert not (folder / "config.json").exists()  # Transformers would take the folder for the base model
    assert (folder / "notes.txt").exists()
    np.testing.assert_allclose(encoded(load(folder)), encoded(trained), atol=1e-6)


def test_several_adapters(model: SentenceTransformer, tmp_path: Path) -> None:
    before = encoded(model)
    vectors = {}
    for name in ("tea", "rain"):
        model.add_adapter(LoraConfig(r=4, target_modules=["query", "value"]), name)
        assert model.active_adapters() == [name]
        for parameter in model.get_adapter_state_dict(name).values():
            torch.nn.init.normal_(parameter, std=0.2)
        vectors[name] = encoded(model)
    model.disable_adapters()
    np.testing.assert_array_equal(encoded(model), before)
    with pytest.raises(ValueError, match="the adapters are disabled"):
        model.merge_adapters()
    model.enable_adapters()
    model.set_adapter("tea")
    np.testing.assert_array_equal(encoded(model), vectors["tea"])
    model.save_pretrained(tmp_path / "tea")
    np.testing.assert_allclose(encoded(load(tmp_path / "tea")), vectors["tea"], atol=1e-6)
    model.set_adapter(["tea", "rain"])
    with pytest.raises(ValueError, match="one adapter can be saved, but 'tea', 'rain' are active"):
        model.save_pretrained(tmp_path / "both")
    model.delete_adapter("tea")
    np.testing.assert_array_equal(encoded(model), vectors["rain"])
    with pytest.raises(ValueError, match="no adapter called 'tea'; it has 'rain'"):
        model.set_adapter("tea")
    model.delete_adapter("rain")
    np.testing.assert_array_equal(encoded(model), before)


def test_what_an_adapter_rests_on_must_be_saved(model: SentenceTransformer, base: Path, tmp_path: Path) -> None:
    train(model)
    with pytest.raises(ValueError, match=r"not those in .*save_pretrained\(\), load it again"):
        model.add_adapter(LoraConfig())
    model.save_pretrained(tmp_path / "trained")
    model = load(tmp_path / "trained")
    model.add_adapter(LoraConfig())
    with pytest.raises(ValueError, match="is the base model that the adapter needs"):
        model.save_pretrained(tmp_path / "trained")
    norm = model.network.get_parameter("encoder.embeddings.norm.weight").requires_grad_(True)
    with pytest.raises(ValueError, match=r"'embeddings.LayerNorm.weight' learn beside the adapter.*modules_to_save"):
        model.save_pretrained(tmp_path / "adapter")
    norm.requires_grad_(False)
    model.save_pretrained(tmp_path / "adapter")
    settings = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert settings["base_model_name_or_path"] == str((tmp_path / "trained").resolve())
    merged = load(tmp_path / "adapter")
    with pytest.raises(ValueError, match="so an adapter would be lost when saved alone"):
        merged.add_adapter(LoraConfig(), "another")


def test_a_model_of_the_hub_is_named_by_its_repository(minilm_folder: Path, tmp_path: Path) -> None:
    model = SentenceTransformer("all-MiniLM-L6-v2", device="cpu")
    model.add_adapter(LoraConfig(r=2))
    model.save_pretrained(tmp_path / "adapter")
    settings = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert settings["base_model_name_or_path"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert settings["target_modules"] == ["query", "value"]
    np.testing.assert_allclose(load(tmp_path / "adapter").encode("tea"), load(minilm_folder).encode("tea"), atol=1e-6)


def test_it_computes_in_bfloat16(trained: SentenceTransformer) -> None:
    vectors = encoded(trained)
    rounded = encoded(trained.bfloat16())
    assert 0 < np.abs(rounded - vectors).max() < 0.05


def test_the_routes_of_a_router_share_an_adapter(base: Path, tmp_path: Path) -> None:
    router = models.Router({"query": [models.Dense(32, 8)], "document": [models.Dense(32, 8)]})
    model = SentenceTransformer(
        modules=[models.Transformer(base), models.Pooling(32), router], device="cpu", dtype="float32"
    )
    before = model.encode_query(TEXTS), model.encode_document(TEXTS)
    model.add_adapter(LoraConfig(r=4, target_modules=["query"]))
    for parameter in model.get_adapter_state_dict().values():
        torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path / "saved")
    again = load(tmp_path / "saved")
    for encode, unchanged in zip(("encode_query", "encode_document"), before, strict=True):
        vectors = getattr(model, encode)(TEXTS)
        assert np.abs(vectors - unchanged).max() > 1e-2
        np.testing.assert_allclose(getattr(again, encode)(TEXTS), vectors, atol=1e-5)


def test_a_decoder_does_not_share_what_is_adapted(base: Path) -> None:
    model = load(base)
    loss = DenoisingAutoEncoderLoss(model)
    model.add_adapter(LoraConfig())
    for share in (lambda: loss([TEXTS, TEXTS]), lambda: DenoisingAutoEncoderLoss(model)):
        with pytest.raises(ValueError, match="cannot share the weights of an encoder that has adapters"):
            share()


def test_a_model_without_one_transformer_is_told(base: Path) -> None:
    table = models.StaticEmbedding(models.Transformer(base).tokenizer, embedding_dim=4)
    with pytest.raises(ValueError, match="one Transformer, but this one, made of 'StaticEmbedding', has none"):
        SentenceTransformer(modules=[table], device="cpu").add_adapter(LoraConfig())
    routes = {route: [models.Transformer(base), models.Pooling(32)] for route in ("query", "document")}
    model = SentenceTransformer(modules=[models.Router(routes)], device="cpu")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has 2"):
        model.add_adapter(LoraConfig())


def test_no_adapter_no_peft_and_no_place_are_told(
    model: SentenceTransformer, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in ("active_adapters", "active_adapter", "enable_adapters", "disable_adapters", "get_adapter_state_dict"):
        with pytest.raises(ValueError, match="the model has no adapter; call add_adapter"):
            getattr(model, call)()
    with pytest.raises(FileNotFoundError, match=r"holds no adapter: adapter_config\.json is not in it"):
        model.load_adapter(base)
    model.add_adapter(LoraConfig(r=2))
    model.save_pretrained(tmp_path / "saved")
    other = load(tiny_encoder(tmp_path / "narrow", hidden_size=16))
    with pytest.raises(ValueError, match=r"saved: .*has the shape \(2, 32\), but the encoder needs \(2, 16\)"):
        other.load_adapter(tmp_path / "saved")
    with pytest.raises(ValueError, match="the model has no adapter"):  # it is as it was
        other.active_adapters()
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError, match=r"needs the package 'peft'; install .*likewise\[lora\]"):
        other.add_adapter(None)
    with pytest.raises(ImportError, match=r"needs the package 'peft'; install .*likewise\[lora\]"):
        other.load_adapter(tmp_path / "saved")
