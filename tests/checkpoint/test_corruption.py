"""Whatever is wrong with a model's files ends in one clear error or a correct load: nothing runs, hangs or leaks.

``pytest tests/checkpoint/test_corruption.py -rP`` shows how many cases ended in which way.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.checkpoint.damages import Damage, Damaged, changes_settings_only, damages, pickles
from tests.checkpoint.saved_models import MAKERS, Files, saved_model
from tests.checkpoint.watched import load, write

CASES = 150  # of each model
MANY_CASES = 1500


@dataclass(frozen=True)
class SavedModels:
    """What there is to be damaged."""

    files: dict[str, Files]  # by the model's name
    payloads: dict[str, bytes]  # malicious files called pytorch_model.bin
    marker: Path  # a file that is there once one of them has run

    def others(self, name: str) -> dict[str, list[bytes]]:
        """The files of the other models, by the last part of their names."""
        found: dict[str, list[bytes]] = {}
        for other, files in self.files.items():
            for file, content in files.items() if other != name else ():
                found.setdefault(Path(file).name, []).append(content)
        return found


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedModels:
    folder = tmp_path_factory.mktemp("saved")
    files = {name: saved_model(name, folder) for name in MAKERS}
    marker = folder / "this code has run"
    return SavedModels(files, pickles(marker, files["distilbert"]["pytorch_model.bin"]), marker)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tiny products: handing them to several threads takes longer than computing them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", MAKERS)
def test_a_whole_model_loads(name: str, saved: SavedModels, tmp_path: Path) -> None:
    write(tmp_path / "model", dict(saved.files[name]))
    vectors = load(tmp_path / "model")
    assert not isinstance(vectors, str), vectors
    assert np.isfinite(vectors).all()


def test_there_are_2000_cases() -> None:
    assert len(MAKERS) * CASES >= 2000
    assert len(MAKERS) * MANY_CASES >= 20_000


@pytest.mark.parametrize("name", MAKERS)
def test_a_damaged_model_gives_a_clear_error_or_vectors(name: str, saved: SavedModels, tmp_path: Path) -> None:
    run_cases(name, saved, tmp_path, settings(max_examples=CASES, derandomize=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_none_of_20000_damaged_models_ends_deep_inside(name: str, saved: SavedModels, tmp_path: Path) -> None:
    run_cases(name, saved, tmp_path, settings(max_examples=MANY_CASES, print_blob=True))


def run_cases(name: str, saved: SavedModels, tmp_path: Path, how_many: settings) -> None:
    """Load the model called ``name`` with one or two damages, as often as ``how_many`` says."""
    whole = saved.files[name]
    outcomes: Counter[str] = Counter()

    @settings(how_many, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(damages(whole, saved.others(name), saved.payloads), min_size=1, max_size=2))
    def case(wrong: list[Damage]) -> None:
        files: Damaged = dict(whole)
        for damage in wrong:
            damage.apply(files)
        write(tmp_path / "model", files)
        found = load(tmp_path / "model")
        assert not saved.marker.exists(), "code from the model has run"
        if not isinstance(found, str) and all(map(changes_settings_only, wrong)):
            assert np.isfinite(found).all(), "the model loads, but gives no numbers"
        outcomes["errors" if isinstance(found, str) else "loads"] += 1

    case()
    print(f"{name}: {outcomes.total()} cases, {dict(outcomes)}")
    assert outcomes.total() >= how_many.max_examples
