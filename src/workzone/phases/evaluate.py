"""`evaluate`: measure on `test`, compare with the baseline, and write the report."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from workzone.bundle.model import open_model
from workzone.core.scores import Scores
from workzone.core.types import Label, Opening, Role
from workzone.data.grants import Samples, count_runs
from workzone.data.split import read_split
from workzone.evaluation.evaluate import Baseline, evaluate
from workzone.evaluation.frontier import ParetoFrontier, policy_frontier
from workzone.evaluation.grouped import Sampling
from workzone.evaluation.html import write_report_html
from workzone.evaluation.mistakes import NotablePicture, notable_pictures
from workzone.evaluation.policies import PolicyComparison, compare_policies
from workzone.evaluation.report import Gallery, Provenance, Report, Thumbnail, TrainingCurve, thumbnail
from workzone.evaluation.report_json import FILE_NAME, write_report_json
from workzone.imaging.decode import decode_image
from workzone.metrics.classification import best_mcc_threshold
from workzone.phases.alternatives import read_alternatives
from workzone.phases.calibrate import read_calibrator
from workzone.phases.policy import read_policy
from workzone.phases.recipe import EvaluateSection
from workzone.phases.slicing import slice_columns
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.policy.policies import AnyPolicy
from workzone.policy.settings import Prices, ThresholdSettings
from workzone.policy.threshold import ThresholdPolicy
from workzone.storage.jsonfile import read_json
from workzone.storage.scores import read_scores
from workzone.training.colour_histogram import colour_histograms, read_colour_histogram

HTML_NAME = "report.html"
MAX_CURVES_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class DataSetFacts:
    """What the report says of the data set that it does not open."""

    name: str
    revision: str
    licence: str
    sha256: str


def evaluate_phase(settings: EvaluateSection, facts: DataSetFacts, ledger: Path) -> Phase:
    """Build the phase."""
    baseline = ("baseline",) if settings.baseline else ()
    alternatives = ("alternatives",) if settings.alternatives else ()

    def run(context: PhaseContext) -> None:
        split = read_split(context.inputs["split"])
        samples = context.grant.open(split, Role.TEST)
        scores = read_scores(context.inputs["predictions-test"])
        select = read_scores(context.inputs["predictions-select"])
        policy, calibrator = read_policy(context), read_calibrator(context)
        evaluation = evaluate(
            scores,
            calibrator,
            policy,
            slice_columns(samples),
            decision_threshold=_decision_threshold(select),
            baseline=_baseline(context, samples) if settings.baseline else None,
            n_resamples=settings.n_resamples,
            seed=settings.seed,
            observer=context.observer,
        )
        openings = count_runs(ledger, split.sha256, Role.TEST)
        sampling = Sampling(settings.n_resamples, evaluation.confidence, settings.seed)
        prices = policy.settings.prices if isinstance(policy.settings, ThresholdSettings) else None
        report = Report(
            evaluation,
            policy,
            calibrator,
            _provenance(context, facts, openings),
            policies=_compared(context, scores, policy, prices, sampling) if alternatives else None,
            frontier=_frontier(scores, policy, prices, sampling),
        )
        notable = notable_pictures(scores, calibrator, policy, settings.thumbnails)
        galleries = [
            _gallery(
                "Road work that was missed",
                "Answered “none”, the surest first; one picture a group.",
                notable.missed,
                samples,
            ),
            _gallery(
                "False alarms",
                "Answered “road work”, the surest first; one picture a group.",
                notable.false_alarms,
                samples,
            ),
            _gallery(
                "Deferred",
                "Left to a stronger model or a person; one picture a group.",
                notable.deferred,
                samples,
            ),
        ]
        write_report_json(context.output / FILE_NAME, report)
        write_report_html(context.output / HTML_NAME, report, _training_curves(context), galleries)

    return Phase(
        name="evaluate",
        version=3,  # 3: any policy and its alternatives, the frontier, debiased calibration errors, AURC
        inputs=(
            "split",
            "checkpoint",
            "model",
            "predictions-select",
            "predictions-test",
            "calibrator",
            "policy",
            *baseline,
            *alternatives,
        ),
        output="report",
        roles=frozenset({Role.TEST}),
        config=settings.model_dump(mode="json"),
        run=run,
    )


def _decision_threshold(select: Scores) -> float:
    decided = select.decided()
    return float(best_mcc_threshold(decided.labels == Label.ROADWORK, decided.logits)[0])


def _compared(
    context: PhaseContext, scores: Scores, policy: AnyPolicy, prices: Prices | None, sampling: Sampling
) -> PolicyComparison:
    return compare_policies(
        scores, policy, read_alternatives(context.inputs["alternatives"]), prices, sampling
    )


def _frontier(
    scores: Scores, policy: AnyPolicy, prices: Prices | None, sampling: Sampling
) -> ParetoFrontier | None:
    """Return what other thresholds would give; None for other policies, and where test shows one class only."""
    if not isinstance(policy, ThresholdPolicy) or len(np.unique(scores.decided().labels)) < 2:
        return None
    return policy_frontier(scores, policy, prices, sampling)


def _baseline(context: PhaseContext, samples: Samples) -> Baseline:
    """Score the test pictures with the colour-histogram model; its threshold was chosen on `select`."""
    model = read_colour_histogram(context.inputs["baseline"])
    histograms = colour_histograms(samples.paths, context.observer, "colour histograms of test")
    scores = Scores(
        ids=samples.ids,
        labels=samples.labels,
        ambiguous=samples.ambiguous,
        groups=samples.groups,
        logits=model.logits(histograms),
        features=np.zeros((len(samples), 0), dtype=np.float32),
    )
    return Baseline("linear model on colour histograms", scores, model.threshold)


def _provenance(context: PhaseContext, facts: DataSetFacts, openings: int) -> Provenance:
    model = open_model(context.inputs["model"]).record
    split = read_split(context.inputs["split"])
    return Provenance(
        dataset_name=facts.name,
        dataset_revision=facts.revision,
        dataset_licence=facts.licence,
        dataset_sha256=facts.sha256,
        split_sha256=split.sha256,
        model_sha256=context.input_sha256["model"],
        bundle_digest=None,
        backbone=model.backbone.name,
        backbone_licence=model.backbone.licence,
        package_version=version("workzone"),
        lineage=context.lineage | {Opening(split.sha256, Role.TEST)},
        test_openings=openings,
    )


def _gallery(title: str, explanation: str, pictures: tuple[NotablePicture, ...], samples: Samples) -> Gallery:
    paths = dict(zip(samples.ids.tolist(), samples.paths, strict=True))
    captions = dict(zip(samples.ids.tolist(), samples.table["caption"].to_pylist(), strict=True))

    def shown(picture: NotablePicture) -> Thumbnail:
        text = f"{picture.caption}. {captions[picture.sample_id] or ''}".strip()
        return thumbnail(decode_image(paths[picture.sample_id]), text)

    return Gallery(title, explanation, tuple(shown(picture) for picture in pictures))


def _training_curves(context: PhaseContext) -> list[TrainingCurve]:
    document = read_json(context.inputs["checkpoint"] / "curves.json", MAX_CURVES_BYTES)
    points = document["points"]
    epochs = tuple(float(point["epoch"]) for point in points)

    def line(panel: str, name: str, key: str) -> TrainingCurve:
        return TrainingCurve(panel, name, epochs, tuple(float(point[key]) for point in points))

    return [
        line("loss", "train", "train_loss"),
        line("loss", "select", "select_loss"),
        line(f"{document['metric']} on select", "select", "metric"),
        line("learning rate", "learning rate", "learning_rate"),
    ]
