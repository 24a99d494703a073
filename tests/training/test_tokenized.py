"""The tokens of chosen rows are those of their texts tokenised afresh, from memory or from the cache."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise import SentenceTransformer, models
from likewise.encoding.embed import tokenize
from likewise.losses.columns import AnyColumn, Column, column_of
from likewise.tokens import TokenBatch
from likewise.training import tokenized
from likewise.training.data import TrainingData, training_data
from likewise.training.tokenized import TokenizedColumn, TokenizedData, tokenized_data
from tests.tiny_checkpoints import WORDS, tiny_encoder

PROMPTS: list[Any] = [None, "the river: ", {"left": "rain "}, {"right": "tea: ", "left": "rain "}, {"left": ""}]
TEXTS = [" ".join(WORDS[start : start + length]) for start in range(4) for length in (1, 2, 5, 12)]
ROWS = st.lists(st.tuples(st.sampled_from(TEXTS), st.sampled_from(TEXTS)), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def model_of(folder: Path, limit: int = 80, include_prompt: bool = True) -> SentenceTransformer:
    parts: list[Any] = [models.Transformer(folder, limit), models.Pooling(32, include_prompt=include_prompt)]
    return SentenceTransformer(modules=parts, device="cpu")


def pairs(rows: list[tuple[str, str]]) -> TrainingData:
    return training_data({"left": [left for left, _ in rows], "right": [right for _, right in rows]})


def check_batch(found: TokenBatch, expected: TokenBatch) -> None:
    for name in ("ids", "offsets", "full_lengths", "prompt_lengths"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs, err_msg=name)
            assert ours.dtype == theirs.dtype


def check(found: AnyColumn, expected: AnyColumn) -> None:
    assert isinstance(found, Column)
    assert isinstance(expected, Column)
    check_batch(found.tokens, expected.tokens)
    assert list(found.texts) == list(expected.texts)
    assert found.route == expected.route


def some_rows(data: TrainingData) -> np.ndarray:
    return np.array([*range(len(data)), 0, len(data) - 1, 0])


@given(
    rows=ROWS,
    prompts=st.sampled_from(PROMPTS),
    limit=st.sampled_from([5, 9, 80]),
    include_prompt=st.booleans(),
    chooser=st.randoms(use_true_random=False),
)
def test_columns_of_rows_are_those_tokenised_afresh(
    folder: Path, rows: list[tuple[str, str]], prompts: Any, limit: int, include_prompt: bool, chooser: Any
) -> None:
    model, data = model_of(folder, limit, include_prompt), pairs(rows)
    found = tokenized_data(model, data, prompts)
    chosen = np.array([chooser.randrange(len(rows)) for _ in range(chooser.randrange(1, 20))])
    for place, (column, ours) in enumerate(zip(data.columns, found.columns_of(chosen), strict=True)):
        prompt = prompts.get(column) if isinstance(prompts, dict) else prompts
        check(ours, column_of(model, [rows[row][place] for row in chosen], prompt))
    whole = found.columns_of(np.arange(len(data)))
    lengths = [
        sum(int(column.tokens.lengths[row]) for column in whole if isinstance(column, Column))
        for row in range(len(data))
    ]
    assert found.lengths.tolist() == lengths
    assert found.lengths.dtype == np.int32


@pytest.fixture
def tokenised(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The texts of each call of the tokenizer."""
    seen: list[list[str]] = []

    def watched(chain: models.Chain, texts: list[str], prompt: str) -> TokenBatch:
        seen.append(list(texts))
        return original(chain, texts, prompt)

    original = tokenize
    monkeypatch.setattr(tokenized, "tokenize", watched)
    return seen


def test_a_text_is_tokenised_once(folder: Path, tokenised: list[list[str]]) -> None:
    data = pairs([("tea", "rain"), ("tea", "tea"), ("rain", "kettle")])
    model = model_of(folder)
    tokenized_data(model, data)
    assert tokenised == [["tea", "rain", "kettle"]]
    tokenized_data(model, data, {"left": "the "})
    assert tokenised[1:] == [["tea", "rain"], ["tea", "rain", "kettle"]]


def test_a_bar_for_many_texts(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    model, data = model_of(folder, include_prompt=False), pairs([(f"tea {row}", f"rain {row}") for row in range(30)])
    expected = tokenized_data(model, data, "the ")
    assert "Tokenising" not in capfd.readouterr().err
    monkeypatch.setattr(tokenized, "TEXTS_WORTH_A_BAR", 20)
    monkeypatch.setattr(tokenized, "TEXTS_BETWEEN_TICKS", 7)
    found = tokenized_data(model, data, "the ")
    captured = capfd.readouterr()
    assert "Tokenising: 100%" in captured.err
    assert captured.out == ""
    same(found, expected, data)


def same(found: TokenizedData, expected: TokenizedData, data: TrainingData) -> None:
    for ours, theirs in zip(found.columns_of(some_rows(data)), expected.columns_of(some_rows(data)), strict=True):
        check(ours, theirs)
    np.testing.assert_array_equal(found.lengths, expected.lengths)


# The cache

DATA = pairs([("tea", "rain"), ("the kettle is late", "tea"), ("rain", "a small river")])


@pytest.mark.parametrize("include_prompt", [True, False])
def test_the_cache_gives_the_same(
    folder: Path, tmp_path: Path, tokenised: list[list[str]], include_prompt: bool
) -> None:
    model = model_of(folder, include_prompt=include_prompt)
    expected = tokenized_data(model, DATA, "the ")
    same(tokenized_data(model, DATA, "the ", cache=tmp_path / "cache"), expected, DATA)
    assert len(tokenised) == 2
    again = tokenized_data(model_of(folder, include_prompt=include_prompt), DATA, "the ", cache=str(tmp_path / "cache"))
    same(again, expected, DATA)
    assert len(tokenised) == 2
    first, second = again.columns
    assert isinstance(first, TokenizedColumn)
    assert isinstance(second, TokenizedColumn)
    ids = first.tokens.ids
    assert isinstance(ids, np.memmap)
    assert not ids.flags.writeable
    assert second.tokens is first.tokens


@pytest.mark.parametrize("change", ["texts", "order", "limit", "prompt", "marked prompt", "tokenizer", "boundaries"])
def test_another_key_for_other_tokens(folder: Path, tmp_path: Path, tokenised: list[list[str]], change: str) -> None:
    cache = tmp_path / "cache"
    data: TrainingData = training_data({"left": ["tea", "ra in"]})
    tokenized_data(model_of(folder), data, "the ", cache=cache)
    prompt, other_folder = "the ", folder
    settings: dict[str, Any] = {}
    if change == "texts":
        data = training_data({"left": ["tea", "ra on"]})
    elif change == "order":
        data = training_data({"left": ["ra in", "tea"]})
    elif change == "boundaries":
        data = training_data({"left": ["tea\x00ra in"]})
    elif change == "limit":
        settings["limit"] = 20
    elif change == "prompt":
        prompt = "the  "
    elif change == "marked prompt":
        settings["include_prompt"] = False
    else:
        other_folder = shutil.copytree(folder, tmp_path / "other")
        file = other_folder / "tokenizer.json"
        settings_of_tokenizer = json.loads(file.read_text(encoding="utf-8"))
        settings_of_tokenizer["normalizer"]["lowercase"] = False
        file.write_text(json.dumps(settings_of_tokenizer), encoding="utf-8")
    tokenized_data(model_of(other_folder, **settings), data, prompt, cache=cache)
    assert len(tokenised) == 2
    assert len(list(cache.iterdir())) == 2


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)


def other_header(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[0:12] = b"{" * 12
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def pickled(file: Path) -> None:
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize("damage", [cut, flip, other_header, empty, Path.unlink, pickled])
@pytest.mark.parametrize("name", ["ids.npy", "offsets.npy", "full_lengths.npy", "sums.json"])
def test_a_damaged_cache_is_made_anew(
    folder: Path, tmp_path: Path, tokenised: list[list[str]], damage: Callable[[Path], None], name: str
) -> None:
    if name == "sums.json" and damage is pickled:
        pytest.skip("no array")
    model = model_of(folder)
    expected = tokenized_data(model, DATA)
    tokenized_data(model, DATA, cache=tmp_path)
    tokenised.clear()
    (key,) = tmp_path.iterdir()
    damage(key / name)
    for _ in range(2):
        same(tokenized_data(model, DATA, cache=tmp_path), expected, DATA)
        assert len(tokenised) == 1
    assert [path.name for path in tmp_path.iterdir()] == [key.name]


def test_a_cache_is_whole_or_not_there(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any, **named: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)  # of the last file
    with pytest.raises(OSError, match="No space left"):
        tokenized_data(model_of(folder), DATA, cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_another_process_that_was_faster(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(folder)
    expected = tokenized_data(model, DATA)

    def late(folder: Path, tokens: TokenBatch) -> None:
        write(folder, tokens)
        raise OSError("Directory not empty")

    write = tokenized._write
    monkeypatch.setattr(tokenized, "_write", late)
    same(tokenized_data(model, DATA, cache=tmp_path), expected, DATA)


def test_models_of_words_need_no_cache(tmp_path: Path) -> None:
    model = SentenceTransformer(modules=[models.BoW(list(WORDS))], device="cpu")
    found = tokenized_data(model, DATA, cache=tmp_path)
    for ours, texts in zip(found.columns_of(some_rows(DATA)), DATA.columns.values(), strict=True):
        check(ours, column_of(model, [texts[row] for row in some_rows(DATA)]))
    assert not list(tmp_path.iterdir())


# Prompts and routes by column


@pytest.fixture(scope="module")
def routed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformer:
    def chain(limit: int) -> list[Any]:
        return [models.Transformer(folder, limit), models.Pooling(32)]

    router = models.Router({"query": chain(5), "document": chain(80)}, allow_empty_key=False)
    return SentenceTransformer(modules=[router], device="cpu")


def test_columns_take_their_routes(routed: SentenceTransformer, tmp_path: Path) -> None:
    tasks = {"left": "query", "right": "document"}
    for _ in range(2):
        found = tokenized_data(routed, DATA, "the ", tasks, cache=tmp_path)
        for ours, (name, texts) in zip(found.columns_of(some_rows(DATA)), DATA.columns.items(), strict=True):
            check(ours, column_of(routed, [texts[row] for row in some_rows(DATA)], "the ", tasks[name]))
    with pytest.raises(ValueError, match="document"):
        tokenized_data(routed, DATA, tasks={"left": "query"})
    with pytest.raises(ValueError, match="kettle"):
        tokenized_data(routed, DATA, tasks={"left": "kettle", "right": "document"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompts": {"query": "x: "}}, "prompts names 'query', but the columns are 'left', 'right'"),
        ({"tasks": {"query": "x"}}, "the router mapping names 'query', but the columns are 'left', 'right'"),
        ({"prompts": {"left": {"a": "b"}}}, "prompts must hold a text for the column 'left', not {'a': 'b'}"),
    ],
)
def test_names_that_are_no_columns(folder: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tokenized_data(model_of(folder), DATA, **settings)


def test_names_of_columns_of_other_data_sets(folder: Path) -> None:
    model = model_of(folder)
    same(tokenized_data(model, DATA, {"left": "x ", "query": "y "}), tokenized_data(model, DATA, {"left": "x "}), DATA)
