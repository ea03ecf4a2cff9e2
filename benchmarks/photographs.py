"""Group k-fold on a data set of photographs, and a bundle trained elsewhere on the same pictures.

    python -m benchmarks.photographs DATASET --out RUNS [--folds 5] [--bundle BUNDLE] [key=value ...]

Every fold is a run of the real pipeline with a split of its own; out-of-fold calls are pooled, each at the
threshold that its own fold chose on `select`, and measured per source with intervals over resampled groups.
Pooled predictions are evaluated, never certified.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import machine
from workzone.core.observer import NullObserver
from workzone.core.scores import Scores
from workzone.core.types import Label
from workzone.data.dataset import DataSet, open_dataset
from workzone.engine.predictor import open_predictor
from workzone.evaluation.report_json import read_report
from workzone.metrics.bootstrap import bootstrap_statistics
from workzone.metrics.classification import auroc, confusion
from workzone.phases.build import build_run
from workzone.phases.recipe import load_recipe
from workzone.storage.scores import read_scores
from workzone.training.colour_histogram import colour_histograms, read_colour_histogram

MEASURES = ("mcc", "recall", "specificity", "auroc")
N_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Pooled:
    """Decided pictures with their calls: logits are shifted so that each fold's threshold lies at 0."""

    labels: NDArray[np.int8]
    groups: NDArray[np.str_]
    sources: NDArray[np.str_]
    logits: NDArray[np.float64]


def cross_validate(
    dataset: DataSet, out: Path, folds: int, overrides: list[str]
) -> tuple[Pooled, Pooled, list[str]]:
    """Run every fold and pool: the model, the colour-histogram baseline, and what each policy says."""
    models, baselines, statements = [], [], []
    for fold in range(folds):
        settings = [*overrides, f"data.path={dataset.root}", f"split.folds={folds}", f"split.fold={fold}"]
        run = out / f"fold{fold}"
        runner, phases = build_run(
            load_recipe("photos", settings), run, NullObserver(), clock=lambda: datetime.now(UTC)
        )
        runner.run(phases, "evaluate")
        scores = read_scores(run / "predictions-test").decided()
        report = read_report(run / "report" / "report.json")
        models.append(_shifted(scores, scores.logits, report["evaluation"]["decision_threshold"], dataset))
        histogram = read_colour_histogram(run / "baseline")
        logits = histogram.logits(_histograms(dataset, scores))
        baselines.append(_shifted(scores, logits, histogram.threshold, dataset))
        certificate = report["policy"]["certificate"]
        statements.append("certified" if certificate else report["policy"]["refusal"])
        print(f"fold {fold}: {len(scores.ids)} test pictures; {statements[-1][:90]}", flush=True)
    return _pool(models), _pool(baselines), statements


def transfer(bundle: Path, dataset: DataSet) -> Pooled:
    """Score all decided pictures with a bundle that never saw them, at its probability of one half."""
    predictor = open_predictor(bundle)
    logits, features = predictor.score(dataset.paths(), observer=NullObserver(), task="photographs")
    scores = Scores(
        ids=np.array(dataset.samples["id"].to_pylist()),
        labels=dataset.samples["label"].to_numpy().astype(np.int8),
        ambiguous=dataset.samples["ambiguous"].to_numpy().astype(np.bool_),
        groups=np.array(dataset.samples["group"].to_pylist()),
        logits=logits,
        features=features,
    ).decided()
    grid = np.sort(scores.logits)
    half = float(grid[np.argmin(np.abs(predictor.bundle.calibrator.apply(grid) - 0.5))])
    return _shifted(scores, scores.logits, half, dataset)


def table(pooled: Pooled) -> dict[str, dict[str, object]]:
    """Return measures with group intervals, for all pictures and for each source."""
    rows = {"all": np.ones(len(pooled.labels), dtype=np.bool_)}
    rows |= {str(source): pooled.sources == source for source in np.unique(pooled.sources)}
    return {name: _measured(pooled, mask) for name, mask in rows.items()}


def _measured(pooled: Pooled, mask: NDArray[np.bool_]) -> dict[str, object]:
    labels, logits, groups = pooled.labels[mask], pooled.logits[mask], pooled.groups[mask]

    def statistic(rows: NDArray[np.intp]) -> NDArray[np.float64]:
        positive, values = labels[rows] == Label.ROADWORK, logits[rows]
        counts = confusion(positive, values >= 0)
        both = bool(positive.any() and not positive.all())
        return np.array(
            [
                counts.mcc if both else np.nan,
                counts.recall,
                counts.specificity,
                auroc(positive, values) if both else np.nan,
            ]
        )

    intervals = bootstrap_statistics(groups, statistic, N_RESAMPLES, 0.95, 0)
    measures = {
        name: [None if np.isnan(value) else round(float(value), 3) for value in (i.estimate, i.low, i.high)]
        for name, i in zip(MEASURES, intervals, strict=True)
    }
    positives = labels == Label.ROADWORK
    return {
        "pictures": len(labels),
        "groups": len(np.unique(groups)),
        "roadwork": int(positives.sum()),
        "roadwork_groups": len(np.unique(groups[positives])),
        **measures,
    }


def _shifted(scores: Scores, logits: NDArray[np.float64], threshold: float, dataset: DataSet) -> Pooled:
    source = dict(zip(dataset.samples["id"].to_pylist(), dataset.samples["source"].to_pylist(), strict=True))
    sources = np.array([str(source[i]) for i in scores.ids.tolist()])
    return Pooled(scores.labels, scores.groups, sources, logits - threshold)


def _histograms(dataset: DataSet, scores: Scores) -> NDArray[np.float64]:
    paths = dict(zip(dataset.samples["id"].to_pylist(), dataset.paths(), strict=True))
    return colour_histograms([paths[i] for i in scores.ids.tolist()], NullObserver(), "colour histograms")


def _pool(parts: list[Pooled]) -> Pooled:
    return Pooled(
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.groups for p in parts]),
        np.concatenate([p.sources for p in parts]),
        np.concatenate([p.logits for p in parts]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photographs")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--bundle", type=Path)
    arguments = parser.parse_intermixed_args()
    dataset = open_dataset(arguments.dataset)
    model, baseline, statements = cross_validate(dataset, arguments.out, arguments.folds, arguments.overrides)
    result: dict[str, object] = {
        "machine": machine(),
        "folds": arguments.folds,
        "policies": statements,
        "probe": table(model),
        "colour histogram": table(baseline),
    }
    if arguments.bundle is not None:
        result["trained on rendered pictures"] = table(transfer(arguments.bundle, dataset))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
