"""`workzone bundle cascade`, and what `bundle show` and `bundle verify` say of a cascade."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workzone.cli.console import ConsoleObserver, ExitCode, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.bundle.cascade import CascadeBundle
    from workzone.phases.cascade import CascadePlan, MadeCascade


def cascade(
    bundles: Annotated[
        list[Path],
        typer.Argument(metavar="BUNDLE BUNDLE...", help="Two or more, in the order in which to ask."),
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DATASET", help="Labelled, new to every stage.")],
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Directory of the new cascade.")],
    alpha: Annotated[
        float, typer.Option(help="The most road work that may be missed, of what is answered.")
    ] = 0.02,
    delta: Annotated[float, typer.Option(help="One minus the confidence, in (0, 1).")] = 0.05,
    deadline_ms: Annotated[
        list[float] | None,
        typer.Option(help="A stage is late after this; once, or once a stage. [default: 5000]"),
    ] = None,
    cost: Annotated[
        list[float] | None,
        typer.Option(
            help="Of asking a stage about a picture, in any unit; once, or once a stage. [default: 1]"
        ),
    ] = None,
    stage: Annotated[
        list[str] | None, typer.Option(help="A stage's name, once a stage; by default its bundle's.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the cascade; by default its stages' names.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, score and write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Join bundles to a cascade: the next is asked what the one before defers. Certified on DATASET as a whole.

    The bundles are copied into the directory. Each way through the cascade has a certificate of its own, or may
    only defer.

    Exits with 3 where not even all stages together can be certified; the cascade is written all the same, and
    defers every picture.
    """
    from workzone.calibration.cascade import CascadeSettings
    from workzone.data.dataset import open_dataset
    from workzone.engine.predictor import open_predictor
    from workzone.phases.build import ledger_of
    from workzone.phases.cascade import make_cascade, plan_cascade, plan_stages
    from workzone.policy.risks import Risk
    from workzone.policy.settings import RiskLimit

    settings = CascadeSettings((RiskLimit(Risk.SELECTIVE_FNR, alpha),), delta)
    predictors = [open_predictor(bundle) for bundle in bundles]
    stages = plan_stages(predictors, names=stage or (), costs=cost or (), deadlines_ms=deadline_ms or ())
    dataset = open_dataset(data)
    with ConsoleObserver(quiet=json) as observer:
        plan = plan_cascade(
            predictors, dataset, out_dir, name=name, stages=stages, settings=settings, observer=observer
        )
        if dry_run:
            _say_plan(plan, json=json)
            return
        made = make_cascade(
            predictors,
            dataset,
            out_dir,
            plan,
            ledger=ledger_of(dataset),
            created=datetime.now(UTC),
            observer=observer,
        )
    _say_made(made, json=json)
    if not made.cascade.paths[-1].certified:
        raise typer.Exit(ExitCode.GATE_NOT_MET)


def show_cascade(path: Path, *, json: bool) -> None:
    """Print what a cascade is and what it promises."""
    from workzone.bundle.cascade import open_cascade

    opened = open_cascade(path)
    if json:
        emit_json(cascade_summary(opened))
    else:
        _print_cascade(opened)


def verify_cascade(path: Path, *, json: bool) -> None:
    """Check digests, certificates and every stage's golden pictures."""
    from workzone.bundle.cascade import open_cascade
    from workzone.engine.predictor import open_predictor

    opened = open_cascade(path)
    for bundle in opened.stages:
        open_predictor(bundle.path)
    if json:
        stages = {s.name: s.digest for s in opened.manifest.stages}
        emit_json({"cascade": str(path), "verified": True, "digest": opened.digest, "stages": stages})
        return
    out.print(f"[green]verified[/green] {shown(path)}  digest {opened.digest[:16]}")
    for stage, bundle in zip(opened.manifest.stages, opened.stages, strict=True):
        out.print(
            f"stage {shown(stage.name)}: {len(bundle.manifest.files)} files, {len(bundle.golden.pictures)} golden "
            f"pictures answered as sealed, digest {stage.digest[:16]}"
        )
    certified = sum(each.certified for each in opened.paths)
    out.print(
        f"{certified} of {len(opened.paths)} paths have a certificate; its numbers follow from its counts."
    )
    out.print("This shows that nothing was changed, not who made it.")


def cascade_summary(opened: CascadeBundle) -> dict[str, Any]:
    """Return what is said of a cascade, for machines."""
    from workzone.policy.cascade import PATH_ASSUMPTION

    manifest, reach = opened.manifest, opened.manifest.reach
    return {
        "name": manifest.name,
        "created": manifest.created.isoformat(),
        "digest": opened.digest,
        "policy": "cascade",
        "certified": opened.paths[-1].certified,
        "stages": [
            {
                "name": stage.name,
                "digest": stage.digest,
                "rule": bundle.policy.rule,
                "cost": stage.cost,
                "deadline_ms": stage.deadline_ms,
                "fallback": stage.fallback,
                "asked_per_1000": 1000 * reach.asked[i] / reach.asked[0],
            }
            for i, (stage, bundle) in enumerate(zip(manifest.stages, opened.stages, strict=True))
        ],
        "cost_per_1000": _costs(opened),
        "calibration_pictures": reach.asked[0],
        "paths": [_path_summary(opened, number) for number in range(len(opened.paths))],
        "assumptions": [a for a in (_assumption(opened), PATH_ASSUMPTION) if a],
    }


def _path_summary(opened: CascadeBundle, number: int) -> dict[str, Any]:
    path = opened.paths[number]
    certificate = path.certificate
    return {
        "stages": [stage.name for stage in opened.manifest.stages[: path.n_stages]],
        "certified": path.certified,
        "statement": certificate.statement if certificate else path.refusal,
        "false_alarm_rate": certificate.false_alarms.rate if certificate else None,
        "false_alarm_bound": certificate.false_alarms.bound if certificate else None,
        "coverage": certificate.coverage.overall if certificate else None,
    }


def _assumption(opened: CascadeBundle) -> str | None:
    certificate = opened.paths[-1].certificate
    return certificate.assumption if certificate else None


def _costs(opened: CascadeBundle) -> dict[str, float | None]:
    """Return the expected cost of 1,000 pictures: mixed as they were certified on, and of either label alone."""
    from workzone.policy.cascade import expected_price

    reach, prices = opened.manifest.reach, [stage.cost for stage in opened.manifest.stages]
    kinds = {"as_calibrated": reach.asked, "with_roadwork": reach.roadwork, "without_roadwork": reach.none}
    return {kind: 1000 * expected_price(n, prices) if n[0] else None for kind, n in kinds.items()}


def _say_plan(plan: CascadePlan, *, json: bool) -> None:
    if json:
        emit_json(
            {
                "name": plan.name,
                "dry_run": True,
                "stages": [stage.name for stage in plan.stages],
                "pictures": plan.n_pictures,
                "roadwork_groups": plan.roadwork_groups,
                "least_groups": plan.least_groups,
            }
        )
        return
    out.print(f"Nothing was scored or written. The cascade '{shown(plan.name)}' would be certified on "
              f"{plan.n_pictures} pictures that are new to every stage.")  # fmt: skip
    out.print(
        f"At most {plan.roadwork_groups} groups with road work can count; at least {plan.least_groups} must be "
        "answered, and more with every miss."
    )


def _say_made(made: MadeCascade, *, json: bool) -> None:
    if json:
        emit_json(
            {
                "cascade": str(made.cascade.path),
                **cascade_summary(made.cascade),
                "certifications": made.certifications,
            }
        )
        return
    _print_cascade(made.cascade)
    out.print(f"Cascade: {shown(made.cascade.path)}")
    out.print(f"Runs that have opened calibration pictures of this data set: {made.certifications}.")
    if made.certifications > 1:
        out.print("Each certificate holds by itself; the one that pleases most of several does not.")


def _print_cascade(opened: CascadeBundle) -> None:
    from rich.table import Table

    said = cascade_summary(opened)
    out.print(f"[bold]{shown(said['name'])}[/bold]  created {said['created']}  digest {opened.digest[:16]}")
    table = Table("stage", "bundle", "cost", "deadline", "asked of 1,000 pictures", "rule")
    for one in said["stages"]:
        table.add_row(
            shown(one["name"]),
            one["digest"][:12],
            f"{one['cost']:g}",
            f"{one['deadline_ms']:g} ms",
            f"{one['asked_per_1000']:.0f}",
            shown(one["rule"]),
        )
    out.print(table)
    costs = said["cost_per_1000"]
    out.print(f"Expected cost of 1,000 pictures: {_cost(costs['as_calibrated'])} as in the "
              f"{said['calibration_pictures']} that it was certified on; {_cost(costs['with_roadwork'])} if all had "
              f"road work, {_cost(costs['without_roadwork'])} if none had.")  # fmt: skip
    _print_paths(said["paths"])
    for assumption in said["assumptions"]:
        out.print(f"Assumed: {assumption}.", markup=False)


def _print_paths(paths: Sequence[dict[str, Any]]) -> None:
    for number, path in enumerate(paths, 1):
        names = ", then ".join(path["stages"])
        who = "All stages" if number == len(paths) else "While a later stage is out"
        verdict = "[green]certified[/green]" if path["certified"] else "[red]only defers[/red]"
        out.print(f"{who} ({shown(names)}): {verdict}. {shown(path['statement'])}")
        if path["certified"]:
            out.print(
                f"  It answers {path['coverage']:.1%} of the pictures; false alarms {path['false_alarm_rate']:.1%}, "
                f"at most {path['false_alarm_bound']:.1%}."
            )


def _cost(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.6g}"
