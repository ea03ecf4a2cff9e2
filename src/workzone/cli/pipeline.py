"""`workzone demo`, `run` and `report`: the pipeline, from pictures to a bundle."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workzone.cli.console import ConsoleObserver, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.phases.recipe import Recipe
    from workzone.pipeline.plan import PlannedPhase

Json = Annotated[bool, typer.Option("--json", help="For machines.")]


def run(
    phase: Annotated[str, typer.Argument(help="Up to which phase; by default all.")] = "",
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, such as train.epochs=5.")] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="Name of a shipped recipe, or a YAML file.")
    ] = "demo",
    out_dir: Annotated[
        Path | None, typer.Option("--out", "-o", help="Directory of the run; by default runs/RECIPE.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which phases would run, and why.")
    ] = False,
    json: Json = False,
) -> None:
    """Run the pipeline up to PHASE. What is up to date is skipped; after a kill the same command goes on."""
    from workzone.phases.recipe import load_recipe

    words = [word for word in (phase, *(overrides or ())) if word]
    settings = [word for word in words if "=" in word]
    targets = [word for word in words if "=" not in word]
    loaded = load_recipe(recipe, settings)
    target = out_dir or Path("runs") / loaded.name
    planned = _run(loaded, target, targets[0] if targets else None, dry_run=dry_run, quiet=json)
    if json:
        emit_json({"run": str(target), "dry_run": dry_run, "phases": [_phase_json(p) for p in planned]})
    elif dry_run:
        _print_plan(planned)
    else:
        done = sum(p.runs for p in planned)
        out.print(f"{done} phases run, {len(planned) - done} were up to date.")
        _print_products(target)


def demo(
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Directory of the run.")] = Path("runs/demo"),
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, as for run.")] = None,
    json: Json = False,
) -> None:
    """The whole way on the embedded data set: render, train, certify, pack, report, and one answer."""
    from workzone.phases.recipe import load_recipe

    recipe = load_recipe("demo", overrides or ())
    data = out_dir / "data"
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"path": data})})
    _render_once(recipe, data, quiet=json)
    _run(recipe, out_dir, None, dry_run=False, quiet=json)
    from workzone.engine.predictor import open_predictor

    predictor = open_predictor(out_dir / "bundle")
    picture = sorted((data / "images").rglob("*.jpg"))[0]
    answer = predictor.predict(picture)
    policy = predictor.bundle.policy
    statement = policy.certificate.statement if policy.certificate else str(policy.refusal)
    if json:
        emit_json(
            {
                "bundle": str(out_dir / "bundle"),
                "report": str(out_dir / "report" / "report.html"),
                "certified": policy.certified,
                "statement": statement,
                "example": {
                    "image": str(picture),
                    "probability": answer.probability,
                    "verdict": answer.verdict,
                },
            }
        )
        return
    out.print(statement)
    _print_products(out_dir)
    out.print(
        f"{shown(picture)}  probability {answer.probability:.3f}  {answer.verdict}  {answer.latency_ms:.0f} ms"
    )


def report(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Directory of the run.")],
    json: Json = False,
) -> None:
    """Print the measures of a run, and where its page is."""
    from workzone.cli.tables import print_measures
    from workzone.evaluation.report_json import read_report
    from workzone.storage.artifacts import ArtifactStore

    directory, _ = ArtifactStore(run_dir).open("report")
    document = read_report(directory / "report.json")
    if json:
        emit_json(document)
        return
    print_measures(document)
    out.print(f"Page: {shown(directory / 'report.html')}")


def _render_once(recipe: Recipe, data: Path, *, quiet: bool) -> None:
    """Render the recipe's data set, unless just that one is there."""
    from workzone.core.errors import ConfigError
    from workzone.data.dataset import open_dataset
    from workzone.data.render import render_dataset, rendered_revision

    if recipe.render is None:
        raise ConfigError(f"Recipe '{recipe.name}' has no section 'render'; the demo renders its data set.")
    if data.exists():
        found = open_dataset(data).revision
        expected = rendered_revision(recipe.render.seed, recipe.render.sequences, recipe.render.frames)
        if found != expected:
            raise ConfigError(
                f"'{data}' is revision '{found}', the recipe renders '{expected}'. Remove it, or use another "
                "--out."
            )
        return
    with ConsoleObserver(quiet=quiet) as observer:
        render_dataset(
            data,
            sequences=recipe.render.sequences,
            frames=recipe.render.frames,
            seed=recipe.render.seed,
            workers=2,
            observer=observer,
        )


def _run(
    recipe: Recipe, target: Path, phase: str | None, *, dry_run: bool, quiet: bool
) -> list[PlannedPhase]:
    from workzone.phases.build import build_run, check_extras

    with ConsoleObserver(quiet=quiet) as observer:
        runner, phases = build_run(recipe, target, observer, clock=lambda: datetime.now(UTC))
        planned = runner.plan(phases, phase)
        if dry_run:
            return planned
        check_extras(p.name for p in planned if p.runs)
        return runner.run(phases, phase)


def _phase_json(planned: PlannedPhase) -> dict[str, object]:
    return {"phase": planned.name, "runs": planned.runs, "reason": planned.reason}


def _print_plan(planned: list[PlannedPhase]) -> None:
    from rich.table import Table

    table = Table("phase", "", "why")
    for phase in planned:
        table.add_row(phase.name, "run" if phase.runs else "skip", phase.reason)
    out.print(table)


def _print_products(target: Path) -> None:
    for bundle in sorted(target.glob("bundle*/bundle.json")):
        out.print(f"Bundle: {shown(bundle.parent)}")
    for page in sorted(target.glob("report*/report.html")):
        out.print(f"Report: {shown(page)}")
