"""`workzone matrix`: train on each of several data sets, test on all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workzone.cli.console import ConsoleObserver, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.evaluation.matrix import Matrix
    from workzone.evaluation.records import Measure


def matrix(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="A B ...", help="Directories of data sets, at least two; and key=value as for run."
        ),
    ],
    out_dir: Annotated[
        Path, typer.Option("--out", "-o", help="Directory of the runs and of the page.")
    ] = Path("runs/matrix"),
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="Name of a shipped recipe, or a YAML file; for every run.")
    ] = "matrix",
    force: Annotated[
        bool, typer.Option("--force", help="Go on where data sets are known to share pictures.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Train on each data set by one recipe, and test every bundle on the test part of every data set.

    After a kill the same command goes on. Pictures that a bundle has learned from are left out and counted.
    """
    from datetime import UTC, datetime

    from workzone.evaluation.records import to_json
    from workzone.phases.matrix import HTML_NAME, JSON_NAME, run_matrix
    from workzone.phases.recipe import load_recipe

    settings = [word for word in words if "=" in word]
    datasets = [Path(word) for word in words if "=" not in word]
    with ConsoleObserver(quiet=json) as observer:
        found = run_matrix(
            load_recipe(recipe, settings),
            datasets,
            out_dir,
            force=force,
            observer=observer,
            clock=lambda: datetime.now(UTC),
        )
    if json:
        emit_json({"matrix": str(out_dir / JSON_NAME), "page": str(out_dir / HTML_NAME), **to_json(found)})
        return
    _print(found)
    out.print(f"Page: {shown(out_dir / HTML_NAME)}")


def _print(found: Matrix) -> None:
    from rich.table import Table

    from workzone.evaluation.matrix import MEASURES, transfer_sentences

    table = Table("trained on", "tested on", "pictures", "left out", *MEASURES)
    for column in table.columns[:2]:
        column.overflow = "fold"  # names that differ at their ends only must not be cut
    for cell in found.cells:
        measures = [_number(cell.measure(name)) for name in MEASURES]
        left_out = str(cell.n_in_seen_groups + cell.n_undecided)
        table.add_row(shown(cell.trained_on), shown(cell.tested_on), str(cell.n), left_out, *measures)
    out.print(table)
    for sentence in transfer_sentences(found):
        out.print(sentence, markup=False)


def _number(measure: Measure | None) -> str:
    if measure is None:
        return "–"
    if measure.estimate is None:
        return str(measure.reason or "–")
    if measure.low is None or measure.high is None:
        return f"{measure.estimate:.3f}"
    return f"{measure.estimate:.3f}\n{measure.low:.3f} to {measure.high:.3f}"
