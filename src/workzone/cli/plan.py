"""`workzone plan`: what a promise costs before anyone labels a picture."""

from __future__ import annotations

from typing import Annotated

import typer

from workzone.cli.console import emit_json, out

app = typer.Typer(help="Plan ahead.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Plan ahead."""


@app.command()
def certificate(
    alpha: Annotated[float, typer.Option(help="Largest miss rate promised, in (0, 1).")] = 0.02,
    delta: Annotated[float, typer.Option(help="One minus the confidence, in (0, 1).")] = 0.05,
    expected_miss: Annotated[
        float, typer.Option(help="Miss rate that you expect of the model, below alpha.")
    ] = 0.005,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """How many labelled positive groups a certificate takes."""
    from dataclasses import asdict

    from rich.table import Table

    from workzone.calibration.plan import plan_certificate

    plan = plan_certificate(alpha, delta, expected_miss)
    if json:
        emit_json(asdict(plan))
        return
    table = Table(title=f"To certify a miss rate of at most {alpha:g} with confidence {1 - delta:g}")
    for heading in ("misses", "answered positive groups needed", "chance of no more misses"):
        table.add_column(heading, justify="right")
    for row in plan.rows:
        table.add_row(str(row.misses), str(row.groups_needed), f"{row.power:.0%}")
    out.print(table)
    out.print(
        f"A model that misses {expected_miss:g} of the positives it answers is certified with a chance of "
        f"{plan.power:.0%} by {plan.groups_for_power} answered positive groups. Groups that it defers do "
        "not count: label more by that share."
    )
