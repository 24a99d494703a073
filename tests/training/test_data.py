"""Training data from all that holds rows: the same columns and labels, and nothing trained on that is none."""

import math
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.training.data import TrainingData, training_data
from likewise.training.examples import InputExample
from tests.training.conftest import scored_pairs

PAIRS = {"first": ["a kettle", "the train"], "second": ["tea", "a river, not small"], "score": [0.25, 1.0]}
ROWS = [dict(zip(PAIRS, values, strict=True)) for values in zip(*PAIRS.values(), strict=True)]


def data_set(columns: dict[str, Any]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(columns)


def pandas_frame(columns: dict[str, Any]) -> Any:
    import pandas

    return pandas.DataFrame(columns)


def polars_frame(columns: dict[str, Any]) -> Any:
    import polars

    return polars.DataFrame(columns)


def arrow_table(columns: dict[str, Any]) -> Any:
    import pyarrow

    return pyarrow.table(columns)


KINDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "dict": dict,
    "dict of arrays": lambda columns: {name: np.array(values) for name, values in columns.items()},
    "dict of Series": lambda columns: {name: pandas_frame(columns)[name] for name in columns},
    "dict of Arrow arrays": lambda columns: {name: arrow_table(columns)[name] for name in columns},
    "dict of dataset columns": lambda columns: {name: data_set(columns)[name] for name in columns},
    "list of dicts": lambda columns: ROWS,
    "generator of dicts": lambda columns: (row for row in ROWS),
    "datasets": data_set,
    "datasets, chosen rows": lambda columns: data_set(columns).select([1, 0]).select([1, 0]),
    "datasets, as torch": lambda columns: data_set(columns).with_format("torch"),
    "pandas": pandas_frame,
    "polars": polars_frame,
    "pyarrow": arrow_table,
}


def check(data: TrainingData, first: str = "first", second: str = "second", label: str = "score") -> None:
    assert {name: list(texts) for name, texts in data.columns.items()} == {
        first: PAIRS["first"],
        second: PAIRS["second"],
    }
    assert data.labels is not None
    assert data.labels.tolist() == [0.25, 1.0]
    assert (str(data.labels.dtype), data.label_name, data.classes, data.skipped, len(data)) == (
        "float32",
        label,
        (),
        0,
        2,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_columns_from(kind: str) -> None:
    check(training_data(KINDS[kind](PAIRS)))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("as_text", [True, False])
def test_columns_from_a_file(suffix: str, as_text: bool, tmp_path: Path) -> None:
    path = tmp_path / f"pairs{suffix}"
    frame = pandas_frame(PAIRS)
    if suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="," if suffix == ".csv" else "\t", index=False)
    check(training_data(str(path) if as_text else path))


def test_a_file_of_lines(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("a kettle\ntea\n", encoding="utf-8")
    data = training_data(tmp_path / "texts.txt")
    assert (data.columns, data.labels) == ({"text": ["a kettle", "tea"]}, None)


def test_rows_without_names() -> None:
    tuples = [("a kettle", "tea", 0.25), ("the train", "a river, not small", 1)]
    examples = [InputExample(texts=list(row[:2]), label=row[2]) for row in tuples]
    for rows in (tuples, [list(row) for row in tuples], examples):
        check(training_data(rows), "sentence_0", "sentence_1", "label")
    data = training_data([("tea", "a kettle", "rain"), ("late", "train", "river")])
    assert list(data.columns) == ["sentence_0", "sentence_1", "sentence_2"]
    assert data.labels is None
    assert training_data(["tea", "rain"]).columns == {"text": ["tea", "rain"]}
    by_name = training_data([("tea", "alike"), ("rain", "other")], label="sentence_1")
    assert by_name.classes == ("alike", "other")
    with pytest.raises(ValueError, match="1 of 2 rows has no text or no label"):
        training_data([("tea", "rain"), ("tea", math.nan)])


def test_data_that_was_read_is_passed_on() -> None:
    data = training_data({"a": ["tea", "rain", ""], "label": ["no", "yes", "no"]}, missing="skip")
    assert training_data(data) is data
    assert training_data(data, classes=["no", "yes"]) is data
    turned = training_data(data, classes=["yes", "no"])
    assert turned.labels is not None
    assert (turned.labels.tolist(), turned.classes, turned.skipped) == ([1, 0], ("yes", "no"), 1)
    assert list(training_data({"a": ["tea"], "b": ["rain"]}, columns=["b", "a"]).columns) == ["b", "a"]
    assert list(training_data(training_data({"a": ["tea"], "b": ["rain"]}), columns=["b"]).columns) == ["b"]


# Columns by name


@pytest.mark.parametrize("name", ["label", "labels", "score", "scores"])
def test_the_columns_of_labels(name: str) -> None:
    data = training_data({"a": ["tea"], name: [1], "b": ["rain"]})
    assert (list(data.columns), data.label_name) == (["a", "b"], name)


def test_columns_chosen_by_name() -> None:
    source = {"id": [1], "a": ["tea"], "b": ["rain"], "label": [1], "kind": ["x"]}
    data = training_data(source, columns=["b", "a"])
    assert (list(data.columns), data.label_name) == (["b", "a"], "label")
    data = training_data(source, columns=["a"], label="kind")
    assert (list(data.columns), data.classes) == (["a"], ("x",))
    data = training_data(source, columns=["kind", "b"], label="id")
    assert (list(data.columns), data.label_name) == (["kind", "b"], "id")
    assert training_data({"label": ["tea"], "b": ["rain"]}, columns=["label"]).labels is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": ["a", "x"]}, "the training data has no column 'x'; its columns: 'a', 'b', 'label'"),
        ({"label": "gold", "name": "the data set 'nli'"}, "the data set 'nli' has no column 'gold'; its columns: 'a'"),
        ({"columns": "a"}, "columns must be a list, such as ['a'], not a text"),
        ({"columns": ["a", "label"], "label": "label"}, "the column 'label' cannot be the label and a text"),
        ({"columns": ["a", "a"]}, "columns must be different, not 'a', 'a'"),
        ({"columns": []}, "the training data has no column of text; its columns: 'a', 'b', 'label'"),
    ],
)
def test_columns_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        training_data({"a": ["tea"], "b": ["rain"], "label": [1]}, **settings)


@pytest.mark.parametrize(
    "columns",
    [("positive", "anchor"), ("anchor", "negative", "positive"), ("answer", "question"), ("response", "query")],
)
def test_an_unusual_order_is_told(columns: tuple[str, ...]) -> None:
    with pytest.warns(UserWarning, match=f"has the columns {', '.join(map(repr, columns))} in this order"):
        training_data({name: ["tea"] for name in columns})


def test_columns_of_identifiers_are_told() -> None:
    with pytest.warns(UserWarning, match="'pair_id' looks like no text, but is trained on as one"):
        training_data({"pair_id": ["x-1"], "a": ["tea"]})


# What is none


@pytest.mark.parametrize("value", [None, math.nan, "", " \n"])
@pytest.mark.parametrize("kind", ["dict", "list of dicts", "datasets", "pandas", "polars", "tuples"])
def test_missing_texts(value: Any, kind: str) -> None:
    if kind in ("datasets", "polars") and value is not None and not isinstance(value, str):
        pytest.skip("has no NaN among texts")
    texts = ["tea", value, "rain", "river"]
    source: Any = {"a": texts, "b": ["x", "y", "z", "u"], "label": [0, 1, 0, 1]}
    if kind == "list of dicts":
        source = [dict(zip(source, row, strict=True)) for row in zip(*source.values(), strict=True)]
    elif kind == "tuples":
        source = list(zip(*source.values(), strict=True))
    elif kind != "dict":
        source = KINDS[kind](source)
    with pytest.raises(ValueError, match=r"1 of 4 rows has no text or no label: row 1 \('(a|sentence_0)' is .*skip"):
        training_data(source)
    data = training_data(source, missing="skip")
    assert [list(column) for column in data.columns.values()] == [["tea", "rain", "river"], ["x", "z", "u"]]
    assert data.labels is not None
    assert (data.labels.tolist(), str(data.labels.dtype), data.skipped) == ([0, 0, 1], "int64", 1)


def test_a_row_that_lacks_a_column() -> None:
    with pytest.raises(ValueError, match=r"row 0 \('b' is None\)"):
        training_data([{"a": "tea"}, {"a": "rain", "b": "x"}])


def test_pandas_marks_of_missing_values() -> None:
    import pandas

    texts = pandas.Series(["tea", pandas.NA, "rain"], dtype="string")
    labels = pandas.Series([1, 0, pandas.NA], dtype="Int64")
    data = training_data(pandas.DataFrame({"a": texts, "label": labels}), missing="skip")
    assert data.labels is not None
    assert (list(data.columns["a"]), data.labels.tolist(), data.skipped) == (["tea"], [1], 2)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, "", "-", "nan"])
def test_missing_labels(value: Any) -> None:
    others = ["0.5", "1"] if isinstance(value, str) else [0.5, 1]
    source = {"a": ["tea", "rain", "river"], "score": [others[0], value, others[1]]}
    with pytest.raises(ValueError, match=r"1 of 3 rows has no text or no label: row 1 \('score' is "):
        training_data(source)
    data = training_data(source, missing="skip")
    assert data.labels is not None
    assert (data.labels.tolist(), list(data.columns["a"]), data.skipped) == ([0.5, 1.0], ["tea", "river"], 1)


def test_no_gold_label() -> None:
    source = {"a": ["x", "y", "z"], "label": ["neutral", "-", "entailment"]}
    with pytest.raises(ValueError, match="'label' is '-'"):
        training_data(source)
    data = training_data(source, missing="skip")
    assert data.labels is not None
    assert (data.labels.tolist(), data.classes) == ([1, 0], ("entailment", "neutral"))


@pytest.mark.parametrize("labels", [[0, 2, -1], ["0", "2", "-1"]])
def test_minus_one_among_classes_is_none(labels: list[Any]) -> None:
    texts = ["tea", "rain", "river"]
    with pytest.raises(ValueError, match=r"row 2 \('label' is .*where -1 is a number .* give the labels as floats"):
        training_data({"a": texts, "label": labels})
    for numbers, name in (
        ([1, -1, 1], "label"),
        ([-1, 0, 1], "score"),
        ([-2, -1, 0], "label"),
        ([-1.0, 0.0, 2.0], "label"),
    ):
        data = training_data({"a": texts, name: numbers})
        assert data.labels is not None
        assert data.labels.tolist() == numbers


def test_where_the_missing_rows_are() -> None:
    texts = ["" if row % 3 == 0 else "tea" for row in range(3000)]
    with pytest.raises(
        ValueError, match=re.escape("1,000 of 3,000 rows have no text or no label: row 0 ('a' is '')")
    ) as e:
        training_data({"a": texts})
    assert "row 12 ('a' is ''), …; mend them" in str(e.value)
    assert "row 15" not in str(e.value)


def test_a_missing_row_of_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text('a,b\n"tea\nand more",rain\n,river\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"1 of 2 rows has no text or no label: line 4 \('a' is ''\)"):
        training_data(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7, "row 1: the column 'a' holds 7 (int), which is not text; choose the columns of text with"),
        (b"tea", "row 1: the column 'a' holds b'tea' (bytes), which is not text; decode it first"),
        (["tea"], "row 1: the column 'a' holds ['tea'] (list), which is not text; give each of several texts a column"),
    ],
)
def test_cells_that_are_no_text(value: Any, message: str) -> None:
    for missing in ("error", "skip"):
        with pytest.raises(ValueError, match=re.escape(message)):
            training_data({"a": ["tea", value], "b": ["x", "y"]}, missing=missing)


# Labels


@pytest.mark.parametrize(
    ("labels", "expected", "kind"),
    [
        ([0, 2, 1], [0, 2, 1], "int64"),
        ([True, False, True], [1, 0, 1], "int64"),
        ([np.int32(3), np.int8(1), 0], [3, 1, 0], "int64"),
        ([0, 0.5, 1], [0, 0.5, 1], "float32"),
        (np.array([0.0, 1.0, 2.0]), [0, 1, 2], "float32"),
        (["0", " 2", "1"], [0, 2, 1], "int64"),
        (["0", "0.5", "1e1"], [0, 0.5, 10], "float32"),
        ([[0, 1], [1, 2], (3, 4)], [[0, 1], [1, 2], [3, 4]], "float32"),
        (np.eye(3), np.eye(3).tolist(), "float32"),
    ],
)
def test_numbers_as_labels(labels: Any, expected: list[Any], kind: str) -> None:
    data = training_data({"a": ["x", "y", "z"], "label": labels})
    assert data.labels is not None
    assert (data.labels.tolist(), str(data.labels.dtype), data.classes) == (expected, kind, ())


def test_names_of_classes() -> None:
    names = ["entailment", "neutral", "contradiction", "neutral "]
    texts = {"a": ["w", "x", "y", "z"]}
    data = training_data(texts | {"label": names})
    assert data.labels is not None
    assert data.classes == ("contradiction", "entailment", "neutral")  # the paper's order
    assert data.labels.tolist() == [1, 2, 0, 2]
    held_out = training_data({"a": ["x"], "label": ["neutral"]}, classes=data.classes)
    assert held_out.labels is not None
    assert (held_out.labels.tolist(), held_out.classes) == ([2], data.classes)
    numbered = training_data({"a": ["x"], "label": [2]}, classes=data.classes)
    assert numbered.labels is not None
    assert (numbered.labels.tolist(), numbered.classes) == ([2], data.classes)
    digits = training_data({"a": ["x", "y"], "label": ["1", "0"]}, classes=["1", "0"])
    assert digits.labels is not None
    assert digits.labels.tolist() == [0, 1]


def test_classes_of_a_dataset() -> None:
    from datasets import ClassLabel, Features, Value

    def made(names: list[str], labels: list[int]) -> Any:
        features = Features({"a": Value("string"), "label": ClassLabel(names=names)})
        return data_set({"a": ["x"] * len(labels), "label": labels}).cast(features)

    train = training_data(made(["yes", "no"], [1, 0]))
    assert train.labels is not None
    assert (train.labels.tolist(), train.classes) == ([1, 0], ("yes", "no"))
    other = training_data(made(["no", "maybe", "yes"], [2, 0]), classes=train.classes)
    assert other.labels is not None
    assert other.labels.tolist() == [0, 1]
    with pytest.raises(ValueError, match="'maybe' is none of the classes 'yes', 'no'"):
        training_data(made(["no", "maybe", "yes"], [1, 0]), classes=train.classes)
    with pytest.raises(ValueError, match=r"row 1 \('label' is -1\)"):
        training_data(made(["yes", "no"], [1, -1]))


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (["yes", "maybe"], {"classes": ["no", "yes"]}, "column 'label': 'maybe' is none of the classes 'no', 'yes'"),
        ([0, 2], {"classes": ["no", "yes"]}, "column 'label': 2 is none of the classes 0 to 1: 'no', 'yes'"),
        (["1", "yes"], {}, "column 'label': labels are numbers and words, such as '1' and 'yes'"),
        ([1, "yes"], {}, "column 'label': labels must be of one kind, but there are 'yes' and 1"),
        ([1, [1, 2]], {}, "column 'label': labels must be of one kind, but there are [1, 2] and 1"),
        ([[1, 2], [1]], {}, "column 'label': labels must all hold 2 numbers, as the first, but one holds 1"),
        ([[1, 2], [1, "x"]], {}, "column 'label': [1, 'x'] is no label; it must hold numbers"),
        ([{"a": 1}, {"a": 1}], {}, "column 'label': {'a': 1} is no label"),
        ([None, None], {}, "2 of 2 rows have no text or no label"),
        ([None, None], {"missing": "skip"}, "the training data has no rows: 2 of 2 rows have no text or no label"),
    ],
)
def test_labels_that_cannot_be(labels: list[Any], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        training_data({"a": ["x", "y"], "label": labels}, **settings)


def test_several_numbers_of_which_one_is_none() -> None:
    source = {"a": ["x", "y", "z", "u"], "label": [[1, 2], [1, None], [math.inf, 1], None]}
    data = training_data(source, missing="skip")
    assert data.labels is not None
    assert (data.labels.tolist(), data.skipped) == ([[1, 2]], 3)


def test_vectors_in_an_array_stay_arrays() -> None:
    """A million vectors of a teacher, as lists of Python's numbers, would need ten times their memory."""
    vectors = np.random.default_rng(0).normal(size=(2000, 64)).astype(np.float32)
    vectors[7, 3] = math.nan
    columns = {"text": [f"tea {row}" for row in range(2000)], "label": vectors}
    tracemalloc.start()
    data = training_data(columns, missing="skip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert data.labels is not None
    np.testing.assert_array_equal(data.labels, np.delete(vectors, 7, axis=0))
    assert (str(data.labels.dtype), data.skipped) == ("float32", 1)
    assert peak < 5 * vectors.nbytes


CELLS = st.sampled_from(["tea", "rain", "", " ", None])
LABELS = st.sampled_from([0, 1, 2, None, math.nan])


@given(rows=st.lists(st.tuples(CELLS, CELLS, LABELS), min_size=1, max_size=20))
def test_what_is_kept_is_what_is_whole(rows: list[tuple[Any, Any, Any]]) -> None:
    whole = [row for row in rows if all(isinstance(c, str) and c.strip() for c in row[:2]) and row[2] in (0, 1, 2)]
    source = dict(zip(("a", "b", "label"), map(list, zip(*rows, strict=True)), strict=True))
    if not whole:
        with pytest.raises(ValueError, match="has no rows"):
            training_data(source, missing="skip")
        return
    data = training_data(source, missing="skip")
    assert data.labels is not None
    found = list(zip(data.columns["a"], data.columns["b"], data.labels.tolist(), strict=True))
    assert (found, data.skipped) == (whole, len(rows) - len(whole))
    if len(whole) == len(rows):
        assert training_data(source).skipped == 0
    else:
        with pytest.raises(ValueError, match=f"{data.skipped} of {len(rows)}"):
            training_data(source)


# Sources that are none


def test_sources_that_cannot_be() -> None:
    import polars
    from datasets import DatasetDict

    rows = data_set(PAIRS)
    with pytest.raises(ValueError, match="holds several data sets, 'train', 'test'; give one of them"):
        training_data(DatasetDict({"train": rows, "test": rows}))
    with pytest.raises(TypeError, match="is of type IterableDataset; give a"):
        training_data(rows.to_iterable_dataset())
    with pytest.raises(TypeError, match="the training data is of type int"):
        training_data(3)
    with pytest.raises(TypeError, match=r"LazyFrame has no rows yet; call its method collect\(\)"):
        training_data(polars.LazyFrame(PAIRS))
    with pytest.raises(TypeError, match="a column must be a list of values, not 'tea'"):
        training_data({"a": "tea"})
    with pytest.raises(ValueError, match="all columns must be equally long, but 'a' has 1, 'b' has 2"):
        training_data({"a": ["tea"], "b": ["tea", "rain"]})
    with pytest.raises(ValueError, match="row 1 is a int, 3; rows must all be"):
        training_data([("tea", "rain"), 3])
    with pytest.raises(ValueError, match="row 1 has 1 entries, but row 0 has 2"):
        training_data([("tea", "rain"), ("tea",)])
    with pytest.raises(ValueError, match="has no column of text, and no rows"):
        training_data([])
    with pytest.raises(ValueError, match="the training data has no rows"):
        training_data({"a": []})
    with pytest.raises(FileNotFoundError, match=r"cannot read 'nowhere.csv'"):
        training_data("nowhere.csv")


def test_the_numbers_of_texts() -> None:
    data = training_data(scored_pairs(30))
    texts = list(data.texts)
    assert len(set(texts)) == len(texts)
    for column, ids in zip(data.columns.values(), data.text_ids, strict=True):
        assert [texts[number] for number in ids] == list(column)


def test_true_nli(shared_data: Path) -> None:
    data = training_data(shared_data / "nli" / "snli_dev.parquet", columns=["premise", "hypothesis"])
    assert data.labels is not None
    assert (len(data), str(data.labels.dtype), set(data.labels.tolist())) == (9842, "int64", {0, 1, 2})
