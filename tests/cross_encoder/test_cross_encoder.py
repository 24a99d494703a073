"""The cross-encoder against Transformers, pair by pair, and what a user does with it."""

import json
import logging
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from likewise import CrossEncoder, SentenceTransformer
from tests.other_checkpoints import VARIANTS
from tests.tiny_checkpoints import (
    BERT_TYPES,
    POSITIONS,
    WORDS,
    draw_weights,
    save_tokenizer,
    tiny_classifier,
    tiny_encoder,
    vocabulary,
)

OWN = (*BERT_TYPES, "modernbert")
OTHERS = ("albert", "deberta", "deberta-v2", "data2vec-text", "xlnet", "qwen2")  # computed by Transformers
TEXTS = st.lists(st.sampled_from((*WORDS, "kettles,", "(rain)", "unwatered", "é", "茶", "")), max_size=30).map(" ".join)
PAIRS = [
    ("the kettle is on", "tea is not late"),
    ("rain", "the river was in the garden, and the bridge was small"),
    ("", "music"),
    ("the train is late in winter, it was late to the station", ""),
    ("", ""),
    (" ".join(WORDS * 3), "a small green bridge"),
    ("a small green bridge", " ".join(WORDS * 4)),
    (" ".join(WORDS * 2), " ".join(WORDS * 5)),
]


def other_classifier(folder: Path, name: str, labels: int = 1) -> Path:
    """A tiny classifier that Transformers computes, with our tiny tokenizer."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    model_type, sizes = VARIANTS[name]
    config = AutoConfig.for_model(
        model_type, **(sizes | {"vocab_size": len(vocabulary()), "num_labels": labels, "pad_token_id": 0})
    )
    model = AutoModelForSequenceClassification.from_config(config)
    draw_weights(model, 0)
    model.save_pretrained(folder)
    save_tokenizer(folder, has_segments=True)
    return folder


def their_logits(folder: Path, pairs: list[tuple[str, str]]) -> np.ndarray:
    """(pairs, labels): each pair by itself, tokenised and cut by the tokenizers library."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    if model.config.pad_token_id is None:
        model.config.pad_token_id = 0
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    names = json.loads((folder / "tokenizer_config.json").read_text())["model_input_names"]
    tokenizer.enable_truncation(POSITIONS, strategy="longest_first")
    found = []
    for pair in pairs:
        encoding = tokenizer.encode(*pair)
        inputs = {"input_ids": torch.tensor([encoding.ids]), "attention_mask": torch.ones(1, len(encoding.ids))}
        if "token_type_ids" in names:
            inputs["token_type_ids"] = torch.tensor([encoding.type_ids])
        with torch.no_grad():
            found.append(model(**inputs).logits[0].numpy())
    return np.array(found)


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("model_type", OWN)
def test_scores_are_transformers_own(tmp_path: Path, model_type: str, labels: int) -> None:
    folder = tiny_classifier(tmp_path, model_type, labels)
    model = CrossEncoder(folder, dtype="float32", activation_fn=torch.nn.Identity())
    scores = model.predict(PAIRS)
    assert scores.dtype == np.float32
    expected = their_logits(folder, PAIRS)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(scores.reshape(len(PAIRS), labels), expected, atol=2e-5, rtol=0)


def test_modernberts_head_may_take_the_mean_and_have_biases(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "classifier_pooling": "mean",
        "classifier_bias": True,
        "norm_bias": True,
        "classifier_activation": "relu",
    }
    folder = tiny_classifier(tmp_path, "modernbert", 2, **changes)
    model = CrossEncoder(folder, dtype="float32")
    np.testing.assert_allclose(model.predict(PAIRS), their_logits(folder, PAIRS), atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", OTHERS)
def test_what_transformers_computes_scores_the_same(tmp_path: Path, name: str) -> None:
    folder = other_classifier(tmp_path, name, 2)
    model = CrossEncoder(folder, dtype="float32", max_length=POSITIONS)
    np.testing.assert_allclose(model.predict(PAIRS), their_logits(folder, PAIRS), atol=2e-5, rtol=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CrossEncoder:
    return CrossEncoder(tiny_classifier(tmp_path_factory.mktemp("classifier")), dtype="float32")


@settings(max_examples=30)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=12), st.integers(1, 200), st.randoms())
def test_neither_order_nor_batches_change_a_score(
    model: CrossEncoder, pairs: list[tuple[str, str]], budget: int, random: Any
) -> None:
    expected = [float(model.predict(pair)) for pair in pairs]
    order = list(range(len(pairs)))
    random.shuffle(order)
    scores = model.predict([pairs[place] for place in order], token_budget=budget, batch_size=5)
    np.testing.assert_allclose(scores, [expected[place] for place in order], atol=1e-6)


def test_every_shape_of_pairs_and_results(model: CrossEncoder) -> None:
    expected = model.predict(PAIRS)
    assert expected.shape == (len(PAIRS),)
    assert ((expected > 0) & (expected < 1)).all()  # the sigmoid
    for pairs in (list(map(list, PAIRS)), np.array(PAIRS), iter(PAIRS), tuple(PAIRS)):
        np.testing.assert_array_equal(model.predict(pairs), expected)
    one = model.predict(PAIRS[0])
    assert one == pytest.approx(expected[0])
    assert np.ndim(one) == 0
    assert model.predict([]).shape == (0,)
    tensor = model.predict(PAIRS, convert_to_tensor=True)
    assert torch.equal(tensor, torch.from_numpy(expected))
    assert [float(score) for score in model.predict(PAIRS, convert_to_numpy=False)] == expected.tolist()
    logits = model.predict(PAIRS, activation_fn=torch.nn.Identity())
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), expected, rtol=1e-5)
    older: Any = model
    np.testing.assert_array_equal(older.predict(sentences=PAIRS), expected)
    with pytest.raises(TypeError, match="give inputs once"):
        older.predict(sentences=PAIRS, inputs=PAIRS)


def test_the_arguments_of_older_versions_are_understood(tmp_path: Path) -> None:
    folder, kind = tiny_classifier(tmp_path), cast(Any, CrossEncoder)
    model = kind(
        model_name=str(folder),
        automodel_args={"torch_dtype": "float32"},
        tokenizer_args={"model_max_length": 20},
        default_activation_function=torch.nn.Tanh(),
        classifier_dropout=0.5,
    )
    assert (model.dtype, model.max_length, model.config["classifier_dropout"]) == ("float32", 20, 0.5)
    assert isinstance(model.default_activation_function, torch.nn.Tanh)
    scores = model.predict(PAIRS, activation_fct=torch.nn.Identity(), num_workers=2)
    np.testing.assert_allclose(np.tanh(scores), model.predict(PAIRS), atol=1e-6)


def test_softmax_makes_several_labels_sum_to_one(tmp_path: Path) -> None:
    model = CrossEncoder(tiny_classifier(tmp_path, labels=3), dtype="float32")
    scores, logits = model.predict(PAIRS, apply_softmax=True), model.predict(PAIRS)
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), scores, rtol=1e-5)
    assert model.predict(PAIRS[0]).shape == (3,)
    with pytest.raises(ValueError, match="3; use predict"):
        model.rank("tea", ["rain"])


def test_rank_of_several_queries_takes_what_rank_of_one_takes(model: CrossEncoder) -> None:
    documents = ["tea", "a late train", "kettle"]
    expected = model.rank(["tea", "train"], documents)
    assert model.rank(["tea", "train"], pandas.Series(documents, index=[5, 6, 7])) == expected
    assert model.rank(["tea", "train"], (text for text in documents)) == expected
    assert model.rank(["tea", "train"], (list(documents) for _ in range(2))) == expected
    assert model.rank([], documents) == []


def test_a_table_is_no_list_of_pairs(model: CrossEncoder) -> None:
    with pytest.raises(TypeError, match=r"a whole table \(DataFrame\); give two columns"):
        model.predict(pandas.DataFrame({"a": ["tea"], "b": ["kettle"]}))


def test_half_a_character_is_told_by_its_pair(model: CrossEncoder) -> None:
    with pytest.raises(ValueError, match="text 3 holds a lone surrogate"):
        model.predict([("q", "a"), ("q", "b"), ("q", "c"), ("q", "x\ud800")])


def test_rank_sorts_documents_for_one_query_and_for_many(model: CrossEncoder) -> None:
    documents = list(dict.fromkeys(second for _, second in PAIRS))  # equal ones could come in any order
    scores = model.predict([("tea", text) for text in documents])
    found = model.rank("tea", documents, return_documents=True)
    assert [row["corpus_id"] for row in found] == np.argsort(-scores, kind="stable").tolist()
    for row in found:
        assert row["score"] == pytest.approx(scores[row["corpus_id"]], abs=1e-6)
        assert row["text"] == documents[row["corpus_id"]]
    assert [row["corpus_id"] for row in model.rank("tea", documents, top_k=2)] == [r["corpus_id"] for r in found[:2]]
    assert model.rank("tea", []) == []
    queries = ["tea", "rain and music"]
    shared = model.rank(queries, documents)
    own = model.rank(queries, [documents, documents[:3]])
    for query, of_all, of_some, texts in zip(queries, shared, own, (documents, documents[:3]), strict=True):
        for rows, given_texts in ((of_all, documents), (of_some, texts)):
            alone = model.rank(query, given_texts)
            assert [row["corpus_id"] for row in rows] == [row["corpus_id"] for row in alone]
            np.testing.assert_allclose([r["score"] for r in rows], [r["score"] for r in alone], atol=1e-6)
    with pytest.raises(ValueError, match="2 queries, but 1 lists"):
        model.rank(queries, [documents])


def test_a_prompt_is_put_before_the_first_text(tmp_path: Path) -> None:
    model = CrossEncoder(tiny_classifier(tmp_path), dtype="float32", prompts={"question": "it is: "})
    expected = model.predict([("it is: " + first, second) for first, second in PAIRS])
    np.testing.assert_array_equal(model.predict(PAIRS, prompt="it is: "), expected)
    np.testing.assert_array_equal(model.predict(PAIRS, prompt_name="question"), expected)
    assert not np.allclose(model.predict(PAIRS), expected)


def test_what_was_cut_is_told(model: CrossEncoder, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model.predict(PAIRS[:2])
        assert not caplog.records
        model.predict(PAIRS)
    tokens = model.tokenize(PAIRS)
    lost = int((tokens.full_lengths - tokens.lengths).sum())
    assert [record.getMessage() for record in caplog.records] == [
        f"3 of {len(PAIRS)} pairs were longer than {POSITIONS} tokens and lost {lost} tokens in all"
    ]


@pytest.mark.parametrize("wrong", ["tea", ["tea"], [("tea", "rain"), ("tea",)], [("tea", None)], 3, None, [3]])
def test_what_is_no_pair_is_told(model: CrossEncoder, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"pair"):
        model.predict(wrong)


def test_limits_and_arguments_are_checked(model: CrossEncoder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_size must be a whole number"):
        model.predict(PAIRS, batch_size=0)
    with pytest.raises(ValueError, match="between 1 and 80"):
        model.max_length = 1000
    short = CrossEncoder(tiny_classifier(tmp_path), max_length=3)
    with pytest.raises(ValueError, match="3 special tokens"):
        short.predict(PAIRS)


def test_an_encoder_gets_a_new_head_that_a_seed_decides(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    assert CrossEncoder(folder).num_labels == 1

    def scores(seed: int) -> Any:
        torch.manual_seed(seed)
        return CrossEncoder(folder, num_labels=4, dtype="float32").predict(PAIRS)

    assert scores(1).shape == (len(PAIRS), 4)
    np.testing.assert_array_equal(scores(1), scores(1))
    assert not np.allclose(scores(1), scores(2))


def test_another_number_of_labels_begins_the_last_layer_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tiny_classifier(tmp_path, labels=3)
    with caplog.at_level(logging.WARNING):
        model = CrossEncoder(folder, num_labels=1)
    assert "scores 3 labels, not 1" in caplog.text
    assert model.num_labels == 1
    kept = CrossEncoder(folder).network.state_dict()
    for name, values in model.network.state_dict().items():
        if ".out." not in name:
            assert torch.equal(values, kept[name]), name


def test_a_bi_encoder_becomes_a_cross_encoder(tmp_path: Path) -> None:
    SentenceTransformer(tiny_encoder(tmp_path / "plain")).save_pretrained(tmp_path / "saved")
    model = CrossEncoder(tmp_path / "saved")
    assert (model.num_labels, model.predict(PAIRS).shape) == (1, (len(PAIRS),))


ACTIVATIONS: dict[str, dict[str, Any]] = {
    "config_sentence_transformers.json": {
        "model_type": "CrossEncoder",
        "activation_fn": "torch.nn.modules.activation.Tanh",
    },
    "since 4": {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.ReLU", "version": "4.1.0"}},
    "before 4": {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
}


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ((), torch.nn.Sigmoid),
        (("before 4",), torch.nn.Identity),
        (("before 4", "since 4"), torch.nn.ReLU),
        (("before 4", "since 4", "config_sentence_transformers.json"), torch.nn.Tanh),
    ],
)
def test_the_activation_is_the_newest_that_the_checkpoint_names(
    tmp_path: Path, places: tuple[str, ...], expected: type
) -> None:
    folder = tiny_classifier(tmp_path)
    for place in places:
        file = folder / (place if place.endswith(".json") else "config.json")
        known = json.loads(file.read_text()) if file.is_file() else {}
        file.write_text(json.dumps(known | ACTIVATIONS[place]))
    assert type(CrossEncoder(folder).activation_fn) is expected
    assert isinstance(CrossEncoder(folder, activation_fn=torch.nn.SiLU()).activation_fn, torch.nn.SiLU)


def test_an_activation_of_unknown_origin_is_not_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tiny_classifier(tmp_path)
    file = folder / "config.json"
    for name in ("os.system", "torch.load", "torch.nn.functional.relu"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"sbert_ce_default_activation_function": name}))
        with caplog.at_level(logging.WARNING):
            assert isinstance(CrossEncoder(folder).activation_fn, torch.nn.Sigmoid)
        assert name in caplog.text


@pytest.mark.parametrize("model_type", [*OWN, *OTHERS])
def test_saved_it_scores_the_same_and_transformers_reads_it(tmp_path: Path, model_type: str) -> None:
    made = other_classifier if model_type in OTHERS else tiny_classifier
    folder = made(tmp_path / "made", model_type, labels=2)
    model = CrossEncoder(folder, dtype="float32", max_length=POSITIONS, activation_fn=torch.nn.Tanh())
    model.prompts["question"] = "q: "
    expected = model.predict(PAIRS)
    model.save_pretrained(tmp_path / "saved")
    _ = model.network  # from here on the network is the model
    model.save_pretrained(tmp_path / "network")
    for saved in (tmp_path / "saved", tmp_path / "network"):
        again = CrossEncoder(saved, dtype="float32")
        assert again.prompts["question"] == "q: "
        np.testing.assert_allclose(again.predict(PAIRS), expected, atol=1e-6)
        np.testing.assert_allclose(np.tanh(their_logits(saved, PAIRS)), expected, atol=2e-5)
        for file, name in (("config_sentence_transformers.json", None), ("config.json", "sentence_transformers")):
            settings_ = json.loads((saved / file).read_text())
            assert (settings_[name] if name else settings_)["activation_fn"] == "torch.nn.modules.activation.Tanh"
        config = json.loads((saved / "config.json").read_text())
        assert config["sbert_ce_default_activation_function"] == "torch.nn.modules.activation.Tanh"
        assert "text-classification" in (saved / "README.md").read_text()


def test_a_new_head_is_saved_with_its_labels(tmp_path: Path) -> None:
    model = CrossEncoder(tiny_encoder(tmp_path / "encoder"), num_labels=3, dtype="float32")
    model.save_pretrained(tmp_path / "saved")
    np.testing.assert_allclose(their_logits(tmp_path / "saved", PAIRS), model.predict(PAIRS), atol=2e-5)


def test_a_function_of_ones_own_cannot_be_saved(tmp_path: Path) -> None:
    model = CrossEncoder(tiny_classifier(tmp_path / "made"), activation_fn=lambda logits: logits)
    with pytest.raises(ValueError, match=r"only those of torch\.nn"):
        model.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_the_network_is_the_model_once_it_is_asked_for(tmp_path: Path) -> None:
    model = CrossEncoder(tiny_classifier(tmp_path), dtype="float32")
    before = model.predict(PAIRS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    assert not np.allclose(model.predict(PAIRS), before)
    logits = model.network(model.tokenize(PAIRS))
    np.testing.assert_allclose(torch.sigmoid(logits)[:, 0].detach().numpy(), model.predict(PAIRS), atol=1e-6)


def test_language_models_that_are_computed_here_are_refused_in_words(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"architectures": ["BertForCausalLM"]}))
    with pytest.raises(ValueError, match="by the next token of the architecture 'bert' is not supported"):
        CrossEncoder(folder)


def test_the_true_weights_know_berlin(ms_marco_folder: Path) -> None:
    model = CrossEncoder(ms_marco_folder, dtype="float32")
    population = "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers."
    museums = "Berlin is well known for its museums."
    scores = model.predict([("How many people live in Berlin?", text) for text in (population, museums)])
    np.testing.assert_allclose(scores, [9.085, -3.934], atol=0.01)
