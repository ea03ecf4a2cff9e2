"""`workzone plan`: what a promise costs before anyone labels a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workzone.cli.console import emit_json, out
from workzone.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from workzone.calibration.plan import CertificatePlan
    from workzone.policy.risks import Risk

app = typer.Typer(help="Plan ahead.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Plan ahead."""


@app.command()
def certificate(
    alpha: Annotated[float, typer.Option(help="Largest risk promised, in (0, 1).")] = 0.02,
    delta: Annotated[float, typer.Option(help="One minus the confidence, in (0, 1).")] = 0.05,
    expected_miss: Annotated[
        float, typer.Option(help="The risk that you expect of the policy, below alpha.")
    ] = 0.005,
    chosen: Annotated[
        str | None,
        typer.Option(
            "--risk", help="What is promised; by default selective_fnr, on average committed_miss_rate."
        ),
    ] = None,
    average: Annotated[
        bool, typer.Option("--average", help="A promise of the mean (conformal), not with confidence.")
    ] = False,
    all_frames: Annotated[
        bool, typer.Option("--all-frames", help="All frames of a group count (betting test).")
    ] = False,
    power: Annotated[float, typer.Option(help="Wanted chance of being certified, in (0, 1).")] = 0.8,
    answered: Annotated[float, typer.Option(help="Share of the groups that will count, in (0, 1].")] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """How many labelled groups a certificate takes."""
    from dataclasses import asdict

    from workzone.calibration.plan import plan_certificate
    from workzone.policy.risks import RISKS, Risk, risk_title
    from workzone.policy.settings import Counting

    if chosen is not None and chosen not in list(Risk):
        raise ConfigError(f"There is no risk '{chosen}'.{nearest(chosen, list(Risk))}")
    risk = Risk(chosen or ("committed_miss_rate" if average else "selective_fnr"))
    if average and not RISKS[risk].fixed_denominator:
        raise ConfigError(
            f"The {risk_title(risk)} is a ratio whose denominator moves with the policy: there is no promise of "
            "its mean. Plan it without --average, or take committed_miss_rate or false_alarm_rate."
        )
    plan = plan_certificate(
        alpha,
        delta,
        expected_miss,
        power=power,
        kind="average" if average else "pac",
        counting=Counting.ALL_FRAMES if all_frames else Counting.ONE_PER_GROUP,
        answered=answered,
    )
    if json:
        emit_json({"risk": risk, **asdict(plan)})
        return
    _print_plan(plan, risk, all_frames=all_frames)


def _print_plan(plan: CertificatePlan, risk: Risk, *, all_frames: bool) -> None:
    from rich.table import Table

    from workzone.policy.risks import RISKS, risk_title

    average, title, definition = plan.kind == "average", risk_title(risk), RISKS[risk]
    how = "on average" if average else f"with confidence {1 - plan.delta:g}"
    table = Table(title=f"To certify a {title} of at most {plan.alpha:g} {how}")
    headings = ("groups in error", "groups that must count", "chance of no more errors")
    for heading in (*headings, "chance of a rule above alpha") if average else headings:
        table.add_column(heading, justify="right")
    for row in plan.rows:
        above = () if row.exceedance is None else (f"{row.exceedance:.0%}",)
        table.add_row(str(row.misses), str(row.groups_needed), f"{row.power:.0%}", *above)
    out.print(table)
    out.print(
        f"Counted are groups with a {definition.population_words}, {definition.counted_words.removeprefix('of ')}."
    )
    if average:
        out.print(
            f"From {plan.groups_for_power} counted groups on there is a promise of the mean: its threshold adapts "
            "to the errors. The last column is how often a draw gives a worse rule."
        )
    else:
        out.print(
            f"A policy whose {title} is {plan.expected_miss:g} is certified with a chance of {plan.power:.0%} by "
            f"{plan.groups_for_power} counted groups."
        )
    if plan.answered < 1.0:
        out.print(f"Where {plan.answered:.0%} of the groups will count, label {plan.groups_to_label}.")
    if all_frames:
        out.print(
            "Planned for groups that are wholly right or wholly in error; groups in part in error cost less."
        )
    out.print(
        "Two promises at once: plan each, with --power (1 + p) / 2 for a chance of p that both are certified, and "
        "take the larger number."
    )
