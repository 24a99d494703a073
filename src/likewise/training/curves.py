"""The curves of a run as a picture: loss, learning rate, evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from likewise.extras import extra
from likewise.files import FilePath, whole_file
from likewise.training.reports import UNTOLD

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # told apart by colour-blind eyes
STYLES = ("-", "--", "-.", ":", "-", "--")  # and in print without colours
IN_THE_PANEL = 3  # the names of more curves stand beside it
Points = list[tuple[int, float]]  # step, value


def plot_curves(log_history: Sequence[Mapping[str, Any]], path: FilePath) -> bool:
    """Draw the loss, the learning rate and the evaluations in ``log_history`` over the steps, into a PNG file.

    Of many scores of an evaluation, the first six are drawn. Whether there was anything to draw; else no file is made.

    Raises:
        OSError: The file cannot be written.
        ImportError: matplotlib is not installed.
    """
    with extra("train", "Drawing the curves"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    panels = {title: curves for title, curves in _panels(log_history).items() if curves}
    if not panels:
        return False
    figure = Figure(figsize=(8, 0.6 + 2.3 * len(panels)), layout="constrained")  # inches
    FigureCanvasAgg(figure)  # draws without a display
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        axis.set_title(title, loc="left", fontsize=11, fontweight="bold")
        for colour, style, (name, points) in zip(COLOURS, STYLES, curves.items(), strict=False):  # the first six
            steps, values = zip(*points, strict=True)
            mark = "o" if len(points) <= 30 else None
            axis.plot(steps, values, style, color=colour, linewidth=1.6, marker=mark, markersize=3.5, label=name)
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True)
        if len(curves) > 1 or title == "evaluation":
            beside = (
                {"loc": "center left", "bbox_to_anchor": (1, 0.5)} if len(curves) > IN_THE_PANEL else {"loc": "best"}
            )
            axis.legend(frameon=False, fontsize=9, handlelength=3.5, **beside)
    last = max(1, *(entry["step"] for entry in log_history))
    axes[-1].set_xlim(-0.02 * last, 1.02 * last)
    axes[-1].set_xlabel("step")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    return True


def _panels(log_history: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Points]]:
    """The curves of each panel by their names."""
    losses: dict[str, Points] = {"training": []}
    rates: dict[str, Points] = {}
    scores: dict[str, Points] = {}
    for entry in log_history:
        for name, value in entry.items():
            point = (entry["step"], value)
            if name == "loss":
                losses.setdefault("training", []).append(point)
            elif name == "learning_rate":
                rates.setdefault("learning rate", []).append(point)
            elif name.startswith("eval_") and name.endswith("_loss"):
                data_set = name.removeprefix("eval_").removesuffix("loss").removesuffix("_")
                losses.setdefault(" of ".join(filter(None, ("evaluation", data_set))), []).append(point)
            elif name.startswith("eval_") and not name.endswith(UNTOLD):
                scores.setdefault(name.removeprefix("eval_"), []).append(point)
    losses = {name: points for name, points in losses.items() if points}
    return {"loss": losses, "learning rate": rates, "evaluation": scores}
