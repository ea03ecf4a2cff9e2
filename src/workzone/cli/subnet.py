"""`workzone subnet`: what a bundle would earn on Bittensor subnet 72, and where it should decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workzone.cli.console import ConsoleObserver, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.engine.predictor import Predictor
    from workzone.phases.subnet_point import PointFit
    from workzone.subnet.profiles import Profile

app = typer.Typer(
    help="A bundle as a miner's model on subnet 72: does the subnet pay (state), what would the bundle earn (score), "
    "where does it decide (point); a miner tried without a chain (rehearsal, ask); its public model (card, publish) "
    "and that model's registration (register).",
    no_args_is_help=True,
)

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory of the bundle.")]
ProfileName = Annotated[
    str,
    typer.Option(
        "--profile",
        "-p",
        metavar="NAME",
        help="Which of the subnet's challenges: 2026-01, 2026-04 or 2026-05. (Under halted, none are sent.)",
    ),
]
Challenges = Annotated[
    int,
    typer.Option(
        min=200,
        max=1_000_000,
        help="To put to the bundle, and as many to fit the threshold; each is made anew.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of the challenges, and of the resamples.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
PLOT_FORMATS = (".png", ".svg", ".pdf")


@app.command()
def score(
    bundle: BundlePath,
    dataset: Annotated[Path, typer.Argument(help="Labelled data set; what the bundle has seen is left out.")],
    profile: ProfileName,
    challenges: Challenges = 4000,
    seed: Seed = 0,
    resamples: Annotated[int, typer.Option(min=1, max=100_000, help="Of groups, for the intervals.")] = 2000,
    abstain: Annotated[
        bool,
        typer.Option(
            "--abstain", help="Also say what no answer (-1) to unsure challenges would earn; mine never does."
        ),
    ] = False,
    out_file: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write all numbers to this JSON file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw rewards and windows into this .png, .svg or .pdf.")
    ] = None,
    json: Json = False,
) -> None:
    """Replay a profile's challenges on pictures that the bundle has never seen, and say what its answers would earn.

    The reward is the mean per challenge, in [0, 1], of a miner that has been asked for long; its interval resamples the
    groups of pictures. Beside the bundle's own probabilities, decided at 0.5, stands the map that puts a better
    threshold at 0.5: the bundle's operating point for this profile, or one fitted on its own pictures of `select`.
    """
    from workzone.cli.subnet_tables import print_score, score_document
    from workzone.data.dataset import open_dataset
    from workzone.phases.build import ledger_of
    from workzone.phases.subnet_asking import ReplaySettings
    from workzone.phases.subnet_score import score_on_subnet
    from workzone.storage.atomic import write_json

    chosen = _profile(profile)
    _check_plot(plot)
    predictor = _opened(bundle)
    data = open_dataset(dataset)
    with ConsoleObserver(quiet=json) as observer:
        found = score_on_subnet(
            predictor,
            data,
            chosen,
            settings=ReplaySettings(challenges, seed, resamples),
            abstaining=abstain,
            ledger=ledger_of(data),
            observer=observer,
        )
    document = {"bundle": str(bundle), "profile_state": _state(chosen), **score_document(found)}
    if out_file is not None:
        write_json(out_file, document)
    if plot is not None:
        from workzone.cli.subnet_plot import draw_score

        draw_score(found, plot)
    if json:
        emit_json(document)
        return
    _print_state(chosen)
    print_score(found)
    for written in (out_file, plot):
        if written is not None:
            out.print(f"Written: {shown(written)}")


@app.command()
def point(
    bundle: BundlePath,
    dataset: Annotated[
        Path, typer.Argument(help="The data set that the bundle was made with, for its `select`.")
    ],
    profile: ProfileName,
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Directory of the new bundle.")],
    challenges: Challenges = 4000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write a copy of the bundle that has the operating point for a profile, fitted on the bundle's own `select`.

    Everything else of the bundle stays as it is, but for one line of its card; its digest changes. `mine` needs such a
    bundle.
    """
    from workzone.bundle.operating_point import check_target
    from workzone.data.dataset import open_dataset
    from workzone.evaluation.records import to_json
    from workzone.phases.build import ledger_of
    from workzone.phases.subnet_asking import ReplaySettings
    from workzone.phases.subnet_point import write_operating_point

    chosen = _profile(profile)
    check_target(bundle, out_dir)  # before a bundle is verified and its network loaded
    predictor = _opened(bundle)
    data = open_dataset(dataset)
    with ConsoleObserver(quiet=json) as observer:
        made, fit = write_operating_point(
            predictor,
            data,
            chosen,
            out_dir,
            settings=ReplaySettings(challenges, seed),
            ledger=ledger_of(data),
            observer=observer,
        )
    if json:
        emit_json(
            {
                "bundle": str(made.path),
                "digest": made.digest,
                "profile": chosen.name,
                "profile_state": _state(chosen),
                "fit": to_json(fit),
            }
        )
        return
    _print_state(chosen)
    _print_fit(fit)
    out.print(f"Bundle: {shown(made.path)}  digest {made.digest[:16]}")


def _opened(path: Path) -> Predictor:
    from workzone.bundle.cascade import is_cascade
    from workzone.core.errors import ConfigError
    from workzone.engine.predictor import open_predictor

    if is_cascade(path):
        raise ConfigError(
            f"'{path}' is a cascade. The subnet pays nothing for what a cascade saves, and an operating point belongs "
            "to one model: name the bundle of one stage."
        )
    return open_predictor(path)


def _profile(name: str) -> Profile:
    """Return the profile, which must send challenges: that is known before anything is opened."""
    from workzone.phases.subnet_asking import check_sends
    from workzone.subnet.profiles import profile

    found = profile(name)
    check_sends(found)
    return found


def _check_plot(plot: Path | None) -> None:
    """Refuse what cannot be drawn before minutes of asking."""
    from workzone.core.errors import ConfigError
    from workzone.core.lazy import check_installed

    if plot is None:
        return
    if plot.suffix.lower() not in PLOT_FORMATS:
        raise ConfigError(
            f"'{plot}' is no drawing that can be made; expected a name in {', '.join(PLOT_FORMATS)}."
        )
    check_installed("matplotlib", "report")


def _state(profile: Profile) -> dict[str, Any]:
    from datetime import UTC, datetime

    from workzone.subnet.profiles import in_force

    now = in_force(datetime.now(UTC).date())
    return {
        "profile": profile.name,
        "first_day": profile.first_day.isoformat(),
        "last_seen": profile.last_seen.isoformat(),
        "note": profile.note,
        "now": now.name,
        "now_first_day": now.first_day.isoformat(),
        "now_last_seen": now.last_seen.isoformat(),
        "now_sends_challenges": now.sends,
        "now_note": now.note,
    }


def _print_state(profile: Profile) -> None:
    """Print what the profile is, and the last that is known of the subnet where that is another."""
    state = _state(profile)
    out.print(
        f"[bold]Profile {profile.name}[/bold], in force from {state['first_day']}, last seen {state['last_seen']}: "
        f"{profile.note}"
    )
    if state["now"] != profile.name:
        colour = "cyan" if state["now_sends_challenges"] else "yellow"
        out.print(
            f"[{colour}]The subnet now[/]: profile '{state['now']}' since {state['now_first_day']}, last seen "
            f"{state['now_last_seen']}: {state['now_note']} Look at the chain before you spend."
        )


def _print_fit(fit: PointFit) -> None:
    out.print(
        f"{fit.challenges:,} challenges of {fit.counts.n:,} pictures of `select`, of {fit.counts.n_groups:,} groups. "
        f"Cross-fitted, the reward there is {fit.cross_fitted_reward:.3f}, {fit.cross_fitted_gain:+.3f} against "
        "deciding at a probability of 0.5."
    )
    if fit.moved:
        out.print(f"Operating point: logit {fit.threshold:.4f}.")
    else:
        out.print(
            f"That is no gain, so the operating point stays at a probability of 0.5: logit {fit.threshold:.4f}."
        )
    out.print("`workzone subnet score` says what it earns on pictures that the bundle has never seen.")
