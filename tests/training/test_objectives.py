"""Which data sets there are: one, or several by name, however each is given."""

from pathlib import Path

import pandas
import pytest

from likewise import InputExample
from likewise.training.data import training_data
from likewise.training.objectives import named_data_sets
from tests.training.conftest import scored_pairs

PAIRS = scored_pairs(3)
ONE = {
    "a mapping of columns": PAIRS,
    "a list of mappings": [{"a": "tea", "b": "rain"}],
    "a list of tuples": [("tea", "rain", 0.5)],
    "examples": [InputExample(texts=["tea", "rain"], label=0.5)],
    "a data frame": pandas.DataFrame(PAIRS),
    "a name of a file": "pairs.csv",
    "a path": Path("pairs.csv"),
    "data that was read": training_data(PAIRS),
}


@pytest.mark.parametrize("kind", ONE)
def test_one_data_set_by_itself_and_by_name(kind: str) -> None:
    source = ONE[kind]
    assert list(named_data_sets(source)) == [""]
    assert named_data_sets(source)[""] is source
    several = {"sts": source, "nli": source}
    assert named_data_sets(several) == several


def test_a_column_may_be_an_array() -> None:
    columns = {"text": pandas.Series(["tea", "rain"]), "vector": [[0.1, 0.2], [0.3, 0.4]]}
    assert list(named_data_sets(columns)) == [""]
