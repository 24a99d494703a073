"""The picture of a run: one panel for each kind of what was logged."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes

from likewise.training.curves import plot_curves

LOG: list[dict[str, Any]] = [
    {"eval_dev_loss": 0.7, "eval_dev_ap": 0.2, "eval_runtime": 1.0, "eval_samples_per_second": 9.0, "step": 0},
    {"loss": 0.5, "grad_norm": 3.0, "learning_rate": 1e-5, "epoch": 0.5, "step": 10},
    {"loss": 0.4, "grad_norm": 2.0, "learning_rate": 2e-5, "epoch": 1.0, "step": 20},
    {"eval_dev_loss": 0.6, "eval_loss": 0.8, "eval_dev_ap": 0.3, "eval_runtime": 1.0, "step": 20},
    {"train_runtime": 7.0, "train_loss": 0.45, "step": 20},
]
Curve = tuple[str, list[float], list[float]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Curve]]:
    """The curves that were drawn, by the title of their panel."""
    found: dict[str, list[Curve]] = {}
    plot = Axes.plot

    def watched(axis: Axes, steps: Any, values: Any, *others: Any, **settings: Any) -> Any:
        found.setdefault(axis.get_title("left"), []).append((settings["label"], list(steps), list(values)))
        return plot(axis, steps, values, *others, **settings)

    monkeypatch.setattr(Axes, "plot", watched)
    return found


def test_each_kind_has_a_panel(drawn: dict[str, list[Curve]], tmp_path: Path) -> None:
    assert plot_curves(LOG, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert drawn == {
        "loss": [
            ("training", [10, 20], [0.5, 0.4]),
            ("evaluation of dev", [0, 20], [0.7, 0.6]),
            ("evaluation", [20], [0.8]),
        ],
        "learning rate": [("learning rate", [10, 20], [1e-5, 2e-5])],
        "evaluation": [("dev_ap", [0, 20], [0.2, 0.3])],
    }


def test_a_panel_without_curves_is_left_out(drawn: dict[str, list[Curve]], tmp_path: Path) -> None:
    assert plot_curves(LOG[:1], tmp_path / "curves.png")
    assert list(drawn) == ["loss", "evaluation"]


def test_of_many_scores_the_first_are_drawn(drawn: dict[str, list[Curve]], tmp_path: Path) -> None:
    assert plot_curves([{f"eval_score_{place}": 0.5 for place in range(9)} | {"step": 1}], tmp_path / "curves.png")
    assert [name for name, _, _ in drawn["evaluation"]] == [f"score_{place}" for place in range(6)]


def test_nothing_is_written_of_nothing(tmp_path: Path) -> None:
    assert not plot_curves(LOG[4:], tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []
