"""``likewise train``: a model and labelled texts → a better model."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.output import is_first_process, on_terminal, one_line, print_records, warnings_in_a_line

if TYPE_CHECKING:
    from likewise.training.configuration import Configuration
    from likewise.training.trainer import SentenceTransformerTrainer

Scores = list[tuple[str, float | None, float]]  # metric, before the training, after it


def train(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="A TOML file that describes the run; flags come before it.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="A folder, or a name on the Hub.")] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="A .csv, .tsv, .jsonl or .parquet file, or a data set on the Hub."),
    ] = None,
    loss: Annotated[
        str | None, typer.Option(metavar="NAME", help="The objective: CosineSimilarityLoss, for example.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="The model, checkpoints and curves.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B", help="The columns of text, as the loss takes them; otherwise all.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="The label's column; otherwise label, labels, score or scores.")
    ] = None,
    label_scale: Annotated[
        float | None, typer.Option(metavar="N", help="Divide the labels by N: 5 for scores from 0 to 5.")
    ] = None,
    evaluate: Annotated[
        str | None, typer.Option(metavar="DATA", help="Evaluate on this, with the same columns and label.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(metavar="N", help="Passes through the data; otherwise 3.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Rows that the loss sees together; otherwise 8.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(metavar="N", help="At its highest; otherwise 5e-5.")] = None,
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16, and keep the weights in float32.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in the output.")] = False,
) -> None:
    """Train a model on your own texts.

    CONFIG says all of it: model and output; a table [[data]] for each data set, with path, columns, label, label_scale,
    name, loss and loss_arguments; tables [evaluation], with path, columns, label and name; and in [arguments] any of
    SentenceTransformerTrainingArguments. Or flags do, for one data set. Paths are seen from the working folder.

    Pairs with scores, pairs that are alike (1) or not (0), and triplets can be evaluated: before the first step and
    after each tenth of the run. The best model stays; without an evaluation, the last. It is in OUTPUT/final, the
    curves are in OUTPUT/curves.png. Ctrl-C keeps a checkpoint, from which --resume goes on.

    Example: likewise train run.toml

    Example: likewise train --model base --data sts.csv --loss CoSENTLoss -o out

    To a pipe or a file: one score a line, with its value before and after; then steps, seconds, model and curves.
    """
    from likewise.training.configuration import configuration_of, read_configuration

    arguments = {
        "num_train_epochs": epochs,
        "per_device_train_batch_size": batch_size,
        "learning_rate": learning_rate,
        "bf16": bf16 or None,
    }
    flags: dict[str, Any] = _given({"model": model, "output": None if output is None else str(output)})
    flags["arguments"] = _given(arguments)
    source = _given({"columns": columns.split(",") if columns else None, "label": label})
    tables = _given({"--data": data, "--loss": loss, "--label-scale": label_scale, "--evaluate": evaluate})
    if config is not None:
        if tables or source:
            names = [*tables, *(f"--{name}" for name in source)]
            raise typer.BadParameter(f"{', '.join(names)} and CONFIG: write it in CONFIG", param_hint="CONFIG")
        configuration = read_configuration(config, flags)
    else:
        needed = {"--model": model, "--data": data, "--loss": loss, "--output": output}
        if lacking := [name for name, value in needed.items() if value is None]:
            raise typer.BadParameter(f"without a CONFIG, give {', '.join(lacking)}", param_hint="CONFIG")
        flags["data"] = [_given({"path": data, "loss": loss, "label_scale": label_scale, **source})]
        flags["evaluation"] = [] if evaluate is None else [{"path": evaluate, **source}]
        configuration = configuration_of(flags)
    _check_output(configuration, resume)
    with warnings_in_a_line():
        _run(configuration, resume)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _check_output(configuration: "Configuration", resume: bool) -> None:
    """Refuse, before hours of work, an output folder that cannot be made or in which another run is."""
    from likewise.extras import extra
    from likewise.training.checkpoints import checkpoints_in

    Path(configuration.output).mkdir(parents=True, exist_ok=True)
    kept = checkpoints_in(configuration.output)
    if resume and not kept:
        raise ValueError(f"there is no checkpoint in {configuration.output} to go on from; leave out --resume")
    if kept and not resume:
        raise ValueError(
            f"{configuration.output} holds {kept[-1].name} of an earlier run: go on from it with --resume, remove it, "
            "or give another output"
        )
    with extra("train", "Training"):
        import matplotlib  # noqa: F401  # the curves are drawn last


def _run(configuration: "Configuration", resume: bool) -> None:
    from likewise.training.configured import trainer_of
    from likewise.training.curves import plot_curves
    from likewise.training.interruption import Interruption
    from likewise.training.reports import ProgressCallback

    interruption = Interruption()
    trainer = trainer_of(configuration, [interruption])
    is_alone = trainer.accelerator.num_processes == 1  # several cannot agree where to stop; their last checkpoint stays
    try:
        with interruption if is_alone else nullcontext():
            trainer.train(resume_from_checkpoint=resume or None)
    except FloatingPointError as error:
        raise ValueError(str(error)) from error
    except KeyboardInterrupt:
        stopped = True
    else:
        stopped = False
    finally:
        for callback in trainer.callbacks:
            if isinstance(callback, ProgressCallback):
                callback.close()
    if stopped:
        if is_first_process():
            print(f"likewise: {_how_to_go_on(trainer)}", file=sys.stderr)
        raise typer.Exit(130)
    final, curves = Path(configuration.output, "final"), Path(configuration.output, "curves.png")
    trainer.save_model(str(final))
    if not is_first_process():
        return
    is_drawn = plot_curves(trainer.state.log_history, curves)
    _print_summary(trainer, final, curves if is_drawn else None)


def _how_to_go_on(trainer: "SentenceTransformerTrainer") -> str:
    from likewise.training.checkpoints import checkpoints_in

    kept = checkpoints_in(str(trainer.args.output_dir))
    if not kept:
        return "stopped before the first checkpoint; nothing is kept"
    advice = "the same command with --resume goes on from it"
    if trainer.args.save_only_model:
        advice = "it holds the model only (save_only_model)"
    return (
        f"stopped after step {trainer.state.global_step:,} of {trainer.state.max_steps:,}; {kept[-1]} is kept: {advice}"
    )


def _scores(trainer: "SentenceTransformerTrainer") -> Scores:
    """What was evaluated of the model that is kept, and of the one that the run began with."""
    from likewise.training.reports import UNTOLD

    evaluations = [entry for entry in trainer.state.log_history if "eval_runtime" in entry]
    before = next((entry for entry in evaluations if entry["step"] == 0), {})
    best = trainer.state.best_global_step if trainer.args.load_best_model_at_end else None
    after: dict[str, Any] = next((entry for entry in reversed(evaluations) if best in (None, entry["step"])), {})
    return [
        (name.removeprefix("eval_"), before.get(name), value)
        for name, value in after.items()
        if name.startswith("eval_") and not name.endswith(UNTOLD)
    ]


def _print_summary(trainer: "SentenceTransformerTrainer", final: Path, curves: Path | None) -> None:
    scores, log = _scores(trainer), trainer.state.log_history[-1]
    seconds = float(log["train_runtime"])
    steps = round(seconds * log["train_steps_per_second"])  # of a run that was resumed, those since then
    places = {"model": final} | ({} if curves is None else {"curves": curves})
    if not on_terminal():
        rows = [(name, "" if before is None else before, after) for name, before, after in scores]
        print_records([*rows, ("steps", steps), ("seconds", seconds), *places.items()])
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if scores:
        table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
        table.add_column("evaluation", overflow="fold")
        table.add_column("before", justify="right", no_wrap=True)
        table.add_column("after", justify="right", no_wrap=True, style="bold")
        for name, before, after in scores:
            table.add_row(Text(one_line(name)), "" if before is None else f"{before:.4f}", f"{after:.4f}")
        console.print(table)
    best = trainer.state.best_global_step
    is_best = trainer.args.load_best_model_at_end and best is not None
    chosen = f"; the best evaluation was after step {best:,}" if is_best else ""
    console.print(Text(f"{steps:,} steps in {seconds:,.1f} seconds{chosen}"), soft_wrap=True)
    for name, place in places.items():
        console.print(Text.assemble((name.ljust(8), "bold"), one_line(str(place))), soft_wrap=True)
