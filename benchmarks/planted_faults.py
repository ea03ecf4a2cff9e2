"""Does `data check` find what is planted, and leave the rest alone? 2,000 rendered pictures, faults of every kind.

Faults of a whole set (class balance, what predicts the label, one picture over and over) are planted in small sets of
their own, beside clean twins: `benchmarks.planted_sets`. Flipped labels are those that the rest of the set is surest
of: how many of *any* flipped labels are found is what `benchmarks/suspects.py` measures.

Knows what was planted; the checks do not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.planted_sets import SetRow, judged_sets
from benchmarks.planting import PLANTERS, Field, Picture, written
from workzone.core.types import Label, Role, Status
from workzone.data.checks.check import CHECKS, DataCheck, check_dataset
from workzone.data.checks.suspects import label_suspects
from workzone.data.dataset import DataSet, open_dataset
from workzone.data.facts import measure_dataset
from workzone.data.render import render_dataset
from workzone.data.rewrite import stored_samples
from workzone.data.scenes.world import WorldSpec
from workzone.data.tables import strings

RESULT = Path(__file__).parent / "results" / "planted_faults.json"
_ROLES = (Role.TRAIN,) * 5 + (Role.SELECT,) + (Role.CALIB,) * 2 + (Role.TEST,) * 2
_WHOLE_SET = ("class_balance", "shortcuts")
_START = datetime(2025, 3, 1, 8, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: counts of planted faults, of those found, and of clean pictures that were named."""

    check: str
    planted: int
    found: int
    false_alarms: int
    of_clean: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run gives."""

    rows: tuple[Row, ...]
    """Of the checks that name pictures."""
    sets: tuple[SetRow, ...]
    """Of those of a whole set."""
    pictures: int
    clean: int
    clean_named: int
    """Clean pictures that any check named."""
    on_clean_set: tuple[str, ...]
    """Checks of a whole set that were not PASS on this one, where nothing of theirs was planted."""


def prepared(dataset: DataSet) -> list[list[Picture]]:
    """Return the sequences of a rendered data set, with places, times and captions by the rule."""
    groups: dict[str, list[Picture]] = {}
    for sample in stored_samples(dataset):
        number = int((sample.group or "").rsplit("-", 1)[-1])
        known = replace(
            sample,
            caption=sample.caption if sample.label == Label.ROADWORK else None,
            lat=40 + 0.02 * (number // 50),
            lon=-80 + 0.03 * (number % 50),
            captured_at=_START + timedelta(hours=number),
        )
        role = str(_ROLES[number // 2 % len(_ROLES)])
        groups.setdefault(sample.group or "", []).append(Picture(known, role))
    return [groups[name] for name in sorted(groups)]


def flip_surest(field: Field, losses: Mapping[int, float], each: int) -> None:
    """Flip the labels that the rest of the set is surest of, in as many sequences; `losses` are by picture."""
    pictures = field.pictures()
    group_of = {id(picture): group for group in field.groups for picture in group}
    flipped = 0
    for at in sorted(losses, key=losses.__getitem__):
        picture = pictures[at]
        if flipped == each:
            return
        if picture.touched:
            continue
        for other in group_of[id(picture)]:
            other.touched = True
        label = Label.NONE if picture.sample.label == Label.ROADWORK else Label.ROADWORK
        caption = "Cones along the kerb." if label == Label.ROADWORK else None
        picture.sample = replace(picture.sample, label=label, caption=caption)
        picture.fault = "label_suspects"
        flipped += 1


def run(
    *,
    sequences: int = 1000,
    each: int = 5,
    draws: int = 5,
    seed: int = 0,
    spec: WorldSpec | None = None,
    flips: bool = True,
    clean: Path | None = None,
    workers: int = 1,
) -> Outcome:
    """Render, plant `each` faults of every kind, check, and compare.

    Args:
        sequences: Of two pictures each.
        each: Faults of a kind.
        draws: Small sets with each fault of a whole set, and as many twins.
        seed: Of the pictures and of where faults are planted.
        spec: The world that is rendered.
        flips: Whether labels are flipped, too.
        clean: A rendered data set of two frames a sequence to plant in, instead of rendering one.
        workers: Processes that render.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if clean is None:
            rendered = render_dataset(
                root / "clean", sequences=sequences, frames=2, seed=seed, spec=spec, workers=workers
            )
        else:
            rendered = open_dataset(clean)
        sets = judged_sets(prepared(rendered), root / "sets", draws=draws)
        field = Field(prepared(rendered), np.random.default_rng(seed))
        for plant in PLANTERS.values():
            for i in range(each):
                plant(field, i)
        if flips:
            flip_surest(field, _losses(root / "before", field), each)
        pictures = field.pictures()
        dataset, split, ids = written(root / "planted", pictures)
        checked = check_dataset(dataset, split=split)
        return _outcome(checked, pictures, ids, sets)


def _losses(directory: Path, field: Field) -> dict[int, float]:
    """Return the out-of-fold loss of each clean picture's label before any label is flipped."""
    pictures = field.pictures()
    dataset, _, ids = written(directory, pictures)
    facts = measure_dataset(dataset)
    samples = dataset.samples
    labels, groups = samples["label"].to_numpy().astype(np.int8), strings(samples, "group")
    features = np.where(facts.decoded[:, None], facts.descriptor, np.float32(np.nan))
    found = label_suspects(features, labels, groups)
    loss = dict(zip(samples["id"].to_pylist(), found.loss.tolist(), strict=True))
    return {
        at: loss[sample_id]
        for at, (sample_id, picture) in enumerate(zip(ids, pictures, strict=True))
        if not picture.touched
    }


def _outcome(checked: DataCheck, pictures: list[Picture], ids: list[str], sets: list[SetRow]) -> Outcome:
    clean = {sample_id for sample_id, picture in zip(ids, pictures, strict=True) if not picture.touched}
    rows: list[Row] = []
    named: set[str] = set()
    for check in CHECKS:
        if check in _WHOLE_SET:
            continue
        flagged = set(checked.result(check).samples)
        planted = {i for i, picture in zip(ids, pictures, strict=True) if picture.fault == check}
        rows.append(Row(check, len(planted), len(planted & flagged), len(flagged & clean), len(clean)))
        named |= flagged & clean
    before = tuple(name for name in _WHOLE_SET if checked.result(name).status is not Status.PASS)
    return Outcome(tuple(rows), tuple(sets), len(pictures), len(clean), len(named), before)


def as_markdown(outcome: Outcome) -> str:
    """Return the table."""
    lines = ["| check | planted | found | false alarms |", "|---|---:|---:|---:|"]
    lines += [f"| `{row.check}` | {row.planted} | {row.found} | {row.false_alarms} |" for row in outcome.rows]
    lines += [
        f"| `{one.check}`: {one.fault} | {one.planted} sets | {one.found} | {one.false_alarms} of {one.planted} twins |"
        for one in outcome.sets
    ]
    share = 100 * outcome.clean_named / max(1, outcome.clean)
    lines.append(
        f"\n{outcome.pictures:,} pictures, {outcome.clean:,} of them clean; {outcome.clean_named} clean ones were "
        f"named by some check ({share:.2f} %)."
    )
    if outcome.on_clean_set:
        lines.append(
            f"Of the set as a whole, not PASS though nothing was planted: {', '.join(outcome.on_clean_set)}."
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted_faults")
    parser.add_argument("--sequences", type=int, default=1000, help="of two pictures each")
    parser.add_argument("--each", type=int, default=10, help="faults of every kind of a picture")
    parser.add_argument("--draws", type=int, default=5, help="small sets with each fault of a whole set")
    parser.add_argument("--clean", type=Path, help="a rendered data set to plant in, two frames a sequence")
    parser.add_argument("--workers", type=int, default=2, help="processes that render")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    outcome = run(
        sequences=arguments.sequences,
        each=arguments.each,
        draws=arguments.draws,
        clean=arguments.clean,
        workers=arguments.workers,
    )
    print(as_markdown(outcome))
    document = {
        "pictures": outcome.pictures,
        "clean": outcome.clean,
        "clean_named": outcome.clean_named,
        "on_clean_set": list(outcome.on_clean_set),
        "rows": [
            {"check": r.check, "planted": r.planted, "found": r.found, "false_alarms": r.false_alarms}
            for r in outcome.rows
        ],
        "sets": [asdict(one) for one in outcome.sets],
    }
    arguments.out.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
