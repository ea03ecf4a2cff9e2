"""`workzone compare`: is bundle B better than bundle A?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workzone.cli.console import ConsoleObserver, ExitCode, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.evaluation.comparison_records import Comparison
    from workzone.evaluation.records import Measure
    from workzone.phases.compare import BundleComparison


def compare(
    bundle_a: Annotated[Path, typer.Argument(metavar="BUNDLE_A", help="The bundle that serves now.")],
    bundle_b: Annotated[Path, typer.Argument(metavar="BUNDLE_B", help="The one that would replace it.")],
    dataset: Annotated[Path, typer.Argument(help="Labelled data set that neither has learned from.")],
    unseen: Annotated[
        bool, typer.Option("--unseen", help="Leave out groups that hold pictures a bundle has learned from.")
    ] = False,
    resamples: Annotated[int, typer.Option(min=1, help="Of groups, for the intervals.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    out_file: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write all numbers to this JSON file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Compare two bundles on the same pictures: MCC, misses, false alarms and coverage, with paired intervals.

    "B is better" takes an MCC difference whose 95 % interval lies above 0, and that B is not shown to miss more of
    the road work it answers. Where both give every picture the same answer at probability 0.5, as bundles of one model
    do, their policies decide: B is better if it is shown better in selective FNR, false-alarm rate or coverage and in
    none of them worse. Exits with 0 when B is shown to be better, else with 3, for a trade of one against another too.
    """
    from workzone.data.dataset import open_dataset
    from workzone.engine.predictor import open_predictor
    from workzone.evaluation.comparison_records import Finding
    from workzone.evaluation.grouped import Sampling
    from workzone.phases.build import ledger_of
    from workzone.phases.compare import compare_bundles
    from workzone.storage.atomic import write_json

    first, second = open_predictor(bundle_a), open_predictor(bundle_b)
    data = open_dataset(dataset)
    with ConsoleObserver(quiet=json) as observer:
        found = compare_bundles(
            first,
            second,
            data,
            leave_out_seen=unseen,
            sampling=Sampling(n_resamples=resamples, confidence=0.95, seed=seed),
            ledger=ledger_of(data),
            observer=observer,
        )
    document = _document(found)
    if out_file is not None:
        write_json(out_file, document)
    if json:
        emit_json(document)
    else:
        _print(found)
        if out_file is not None:
            out.print(f"Written: {shown(out_file)}")
    if found.comparison.finding is not Finding.B_BETTER:
        raise typer.Exit(ExitCode.GATE_NOT_MET)


def _document(found: BundleComparison) -> dict[str, Any]:
    from workzone.evaluation.comparison_records import Finding
    from workzone.evaluation.records import to_json

    better = found.comparison.finding is Finding.B_BETTER
    return {"b_is_better": better, "statement": found.comparison.statement, **to_json(found)}


def _print(found: BundleComparison) -> None:
    comparison, left_out = found.comparison, found.left_out
    out.print(f"A: {shown(comparison.name_a)}   B: {shown(comparison.name_b)}")
    out.print(
        f"{comparison.n:,} pictures of {comparison.n_groups:,} groups of '{shown(found.dataset_name)}' "
        f"({comparison.n_positives:,} with road work, of {comparison.n_positive_groups:,} groups)."
    )
    if left_out.n_in_seen_groups:
        out.print(
            f"Left out: {left_out.n_in_seen_groups:,} pictures of {left_out.n_seen_groups:,} groups, because A has "
            f"learned from {left_out.n_seen_by_a:,} pictures and B from {left_out.n_seen_by_b:,}."
        )
    if left_out.n_unknown or left_out.n_ambiguous:
        out.print(
            f"Left out: {left_out.n_unknown:,} without a label, {left_out.n_ambiguous:,} ambiguous pictures."
        )
    _print_measures(comparison)
    _print_tests(comparison)
    out.print(f"Comparisons that looked at this data set, this one included: {found.test_openings}.")
    out.print(comparison.statement, markup=False, style="bold")


def _print_measures(comparison: Comparison) -> None:
    from rich.table import Table

    table = Table("", "A", "B", "B - A", f"{comparison.confidence:.0%} interval of B - A")
    for column in table.columns[1:4]:
        column.justify = "right"
    for measure in comparison.measures:
        a, b, d = measure.a, measure.b, measure.difference
        table.add_row(
            measure.name, _with_interval(a), _with_interval(b), _number(d.estimate, "+"), _interval(d, "+")
        )
    out.print(table)


def _print_tests(comparison: Comparison) -> None:
    from rich.table import Table

    table = Table("equally often right?", "pictures", "n", "only A right", "only B right", "p", "mid-p")
    for test in comparison.mcnemar:
        table.add_row(
            f"McNemar, {test.sampling}",
            test.pictures,
            str(test.n),
            str(test.only_a_right),
            str(test.only_b_right),
            _p(test.exact_p),
            _p(test.mid_p),
        )
    for swap in comparison.group_tests:
        name = f"whole groups swapped ({'all ways' if swap.exact else 'at random'})"
        table.add_row(name, swap.pictures, f"{swap.n_groups} groups", "", "", _p(swap.p), "")
    out.print(table)
    out.print(comparison.mcnemar[0].note, markup=False, style="dim")


def _with_interval(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return _number(measure.estimate)
    return f"{_number(measure.estimate)} ({measure.low:.3f} to {measure.high:.3f})"


def _interval(measure: Measure, sign: str = "") -> str:
    if measure.low is None or measure.high is None:
        return str(measure.reason or "")
    return f"{measure.low:{sign}.3f} to {measure.high:{sign}.3f}"


def _number(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.3f}"


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}" if value >= 1e-4 else f"{value:.1e}"
