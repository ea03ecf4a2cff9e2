"""What `workzone subnet score` found, as tables for people and as a document for machines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from rich.table import Table

from workzone.cli.console import out, shown

if TYPE_CHECKING:
    from workzone.phases.subnet_score import Mapped, SubnetScore
    from workzone.subnet.simulator import Reward, SliceReward


def score_document(found: SubnetScore) -> dict[str, Any]:
    """Return all that was found, numbers in full; what is undefined, as an interval over one group, is null."""
    document = _plain(found)
    assert isinstance(document, dict)
    return document


def print_score(found: SubnetScore) -> None:
    """Print rewards by level and source, the map, and how windows spread."""
    _print_pictures(found)
    _print_rewards(found)
    out.print(f"Expected reward of a challenge: [bold]{_interval(found.plain)}[/bold] as the bundle answers.")
    if found.mapped is not None:
        _print_map(found.mapped, changes=map_changes(found))
    else:
        out.print(f"Without the map to 0.5: {found.no_map}", markup=False)
    _print_windows(found)
    if found.by_confidence:
        _print_confidences(found.by_confidence)
    out.print(
        f"Bundles and profiles that looked at these pictures as test, this one included: {found.test_openings} (kept "
        "in openings.jsonl in the data set)."
    )


def series_of(found: SubnetScore) -> list[tuple[str, Reward]]:
    """Return name and rewards of what is shown side by side: the map only where it changes anything."""
    series = [("as the bundle answers", found.plain)]
    if found.mapped is not None and map_changes(found):
        series.append(("mapped to 0.5", found.mapped.reward))
    return series


def map_changes(found: SubnetScore) -> bool:
    """Return whether the map decides any of the challenges otherwise, as far as rewards tell."""
    # As documents: an undefined number is equal to another one there.
    return found.mapped is not None and _plain(found.mapped.reward) != _plain(found.plain)


def rows_of(reward: Reward) -> tuple[SliceReward, ...]:
    """Return all, then each level and source that is not all of the challenges again."""
    parts = (*reward.by_level, *reward.by_source)
    return (reward.overall, *(row for row in parts if row.n != reward.overall.n))


def _print_pictures(found: SubnetScore) -> None:
    counts, left_out = found.scored, found.left_out
    out.print(
        f"{found.settings.challenges:,} challenges about {found.pictures_asked:,} pictures. Unseen in "
        f"'{shown(found.dataset_name)}': {counts.n:,} of {counts.n_groups:,} groups, {counts.n_roadwork:,} with road "
        "work."
    )
    parts = (
        (left_out.n_in_seen_groups, "in groups that the bundle has learned from"),
        (left_out.n_unknown, "without a label"),
        (left_out.n_ambiguous, "ambiguous"),
        (found.against_label_rule, "whose label and caption disagree"),
        (found.of_other_sources, "of sources that the profile does not use"),
    )
    if said := [f"{n:,} {why}" for n, why in parts if n]:
        out.print(f"Left out: {', '.join(said)}.")
    if found.plain.missing:
        labels = {0: "without", 1: "with"}
        lacking = ", ".join(f"{source} {labels[label]} road work" for label, source in found.plain.missing)
        out.print(
            f"[yellow]The data lack what validators send[/]: {lacking}. Nothing is known of these; their share went to "
            "the others."
        )
    if any(one.name == "synthetic" for one in found.plain.by_source):
        out.print("Synthetic are the data set's own; validators draw theirs with a diffusion model.")


def _print_rewards(found: SubnetScore) -> None:
    plain = found.plain
    mapped = found.mapped.reward if found.mapped and map_changes(found) else None
    table = Table("")
    headers = ["challenges", "recall, false alarms", "reward"]
    if mapped is not None:
        headers += ["mapped: recall, false alarms", "reward, mapped"]
    for header in headers:
        table.add_column(header, justify="right", no_wrap=header.startswith("reward"))
    rows = rows_of(plain)
    with_map = rows_of(mapped) if mapped is not None else ()
    for place, row in enumerate(rows):
        table.add_row(row.name, f"{row.n:,}", *_rates(row), *(_rates(with_map[place]) if with_map else ()))
    out.print(table)
    if again := [row.name for row in (*plain.by_level, *plain.by_source) if row not in rows]:
        out.print(f"All challenges are '{shown(' and '.join(again))}': the numbers are those of 'all'.")


def _rates(row: SliceReward) -> tuple[str, str]:
    return f"{_number(row.recall)}, {_number(row.false_alarm_rate)}", _interval(row)


def _print_map(mapped: Mapped, *, changes: bool) -> None:
    fit = mapped.fit
    if fit is None:
        origin = "the bundle's operating point"
    else:
        how = "fitted on" if fit.moved else "left where the probability is 0.5 after a trial on"
        origin = f"{how} {fit.challenges:,} challenges of {fit.counts.n:,} pictures of `select`"
    if not changes:
        why = " There, cross-fitted, no other threshold earned more." if fit and not fit.moved else ""
        out.print(
            f"The map to 0.5 (threshold at logit {mapped.threshold:.4f}, {origin}) changes none of these rewards, so "
            f"they are shown once.{why}"
        )
        return
    gain = mapped.gain
    out.print(
        f"With the map to 0.5: [bold]{_interval(mapped.reward)}[/bold]; threshold at logit {mapped.threshold:.4f}, "
        f"{origin}."
    )
    beyond_chance = gain.low > 0 or gain.high < 0
    out.print(
        f"Gain of the map, on the same challenges: {gain.estimate:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
        f"{'.' if beyond_chance else ', which is not shown to be other than none.'}"
    )


def _print_windows(found: SubnetScore) -> None:
    shares = [f"{share:.0%} below" for share, _ in found.plain.window_quantiles]
    table = Table("mean over 100 in a row", *shares, "first 100 of a new hotkey")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, reward in series_of(found):
        values = (*(value for _, value in reward.window_quantiles), reward.warm_up)
        table.add_row(name, *map(_number, values))
    out.print(table)
    if found.plain.score_after is not None:
        out.print(
            "A validator's score is a moving average of what it paid: a new hotkey's is at nine tenths of the reward "
            f"after {found.plain.score_after} of its challenges."
        )


def _print_confidences(rewards: Sequence[Reward]) -> None:
    table = Table("no answer below confidence", "answered", "reward")
    for row in rewards:
        table.add_row(f"{row.abstain_below:g}", f"{row.overall.answered:.1%}", _interval(row))
    out.print(table)
    out.print(
        "Leaving answers out is off by default, and `workzone mine` has no such option: on the wire nobody can tell a "
        "challenge from the task of a customer who pays for an answer. One chosen by this table is chosen on test."
    )


def _interval(reward: Reward | SliceReward) -> str:
    if math.isnan(reward.low) or math.isnan(reward.high):
        return _number(reward.mean)
    return f"{_number(reward.mean)} ({reward.low:.3f} to {reward.high:.3f})"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
