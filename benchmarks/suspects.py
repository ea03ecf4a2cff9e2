"""Wrong labels planted on purpose: how many of them a list of suspects holds, by cleanlab's ranking and by loss.

A twentieth of the labels is flipped: pictures at random, whole groups at random, or pictures of the hardest tenth
by a model of the clean labels: those that it calls wrongly and is surest of ("highest loss"; the flip makes label
and model agree, so nothing can find them), and those nearest to its boundary ("boundary"). Each draw flips anew
and deals other folds. Precision is against the planted flips: labels of photographs that were wrong before count
as false alarms.

`python -m benchmarks.suspects --run RUN --photographs DATASET --backbone onnx:PATH#OUTPUT` adds features
of a bundle that was trained on other rendered pictures, and photographs with features of an ONNX network.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import machine
from workzone.core.types import Label
from workzone.data.checks.suspects import Ranking, Suspects, label_suspects
from workzone.data.dataset import DataSet, open_dataset
from workzone.data.embedding import embed_dataset
from workzone.data.facts import measure_dataset
from workzone.data.render import render_dataset
from workzone.data.tables import strings
from workzone.imaging.geometry import U8, Geometry
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.onnx_extractor import OnnxExtractor, parse_onnx_name
from workzone.phases.embedder import embedder_of

Rows = NDArray[np.intp]

SEQUENCES, FRAMES, SEED = 900, 2, 720_001
"""Of the rendered pictures; the seed is far from those of data sets that bundles were trained on."""
MAX_REDRAWS = 10
SHARE = 0.05
"""Of the labels, flipped."""
HARD_TENTH = 0.1
RESULTS = Path(__file__).parent / "results" / "suspects.json"
CAFFE = Preprocessing(
    size_px=224,
    geometry=Geometry.SQUASH,
    channel_order="BGR",
    mean=(103.94, 116.78, 123.68),
    scale=(1.0, 1.0, 1.0),
)
"""How the networks of Caffe's time read pictures, SqueezeNet among them."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """N pictures with labels that are taken for true.

    Attributes:
        name: Pictures and features.
        features: float32 [N, D].
        truth: int8 [N], 0 or 1.
        groups: str [N].
        clean_logits: float64 [N], out-of-fold logits of a model of the clean labels.
    """

    name: str
    features: NDArray[np.float32]
    truth: NDArray[np.int8]
    groups: NDArray[np.str_]
    clean_logits: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SuspectRow:
    """One ranking on one kind of wrong label: means over draws, with the least and the greatest where it says so."""

    subject: str
    pictures: int
    groups: int
    clean_auroc: float
    flips: str
    ranking: str
    redraws: int
    wrong: int
    """Labels flipped in a draw."""
    listed: float
    """Length of cleanlab's list, which both rankings are read to."""
    precision: tuple[float, float, float]
    """Of the list: mean, least, greatest."""
    recall: tuple[float, float, float]
    precision_at_share: tuple[float, float, float]
    """Of as many rows as labels are wrong: precision and recall are then the same."""
    average_precision: float
    ahead: float
    """Mean of the loss's average precision minus this ranking's, on the same draws."""
    ahead_half_width: float
    """Of its 95 % interval (Student's t over draws)."""


def run(
    redraws: int, scores: Path | None = None, *, photographs: Path | None = None, backbone: str | None = None
) -> dict[str, Any]:
    """Flip labels again and again; print the table; return JSON.

    Args:
        redraws: Draws of each kind, at most 10 are made.
        scores: A finished run, whose bundle gives features.
        photographs: A data set of photographs.
        backbone: `onnx:PATH#OUTPUT`, the network that gives their features.
    """
    n = min(redraws, MAX_REDRAWS)
    with tempfile.TemporaryDirectory() as work:
        pictures = render_dataset(
            Path(work) / "streets", sequences=SEQUENCES, frames=FRAMES, seed=SEED, workers=2
        )
        subjects = list(_rendered(pictures, None if scores is None else scores / "bundle"))
    if photographs is not None:
        subjects += _photographs(open_dataset(photographs), backbone)
    rows = [row for subject in subjects for flips in FLIPS for row in compare(subject, flips, n)]
    table = [asdict(row) for row in rows]
    print(markdown(table), flush=True)
    libraries = {name: version(name) for name in ("cleanlab", "scikit-learn")}
    return {"redraws": n, "share": SHARE, "seed": SEED, "libraries": libraries, "rows": table}


def _rendered(pictures: DataSet, bundle: Path | None) -> Iterator[Subject]:
    yield subject_of("rendered, descriptor", pictures, measure_dataset(pictures).descriptor)
    if bundle is not None:
        embedder = embedder_of(str(bundle))
        assert embedder is not None
        yield subject_of("rendered, features of a bundle", pictures, embed_dataset(pictures, embedder))


def _photographs(pictures: DataSet, backbone: str | None) -> Iterator[Subject]:
    yield subject_of("photographs, descriptor", pictures, measure_dataset(pictures).descriptor)
    if backbone is not None:
        features = embed_dataset(pictures, CaffeEmbedder(backbone))
        yield subject_of("photographs, features of an ONNX network", pictures, features)


class CaffeEmbedder:
    """An ONNX network fed as in Caffe's time."""

    def __init__(self, name: str) -> None:
        self._extractor = OnnxExtractor(*parse_onnx_name(name))

    @property
    def name(self) -> str:
        return self._extractor.path.name

    def __call__(self, images_rgb_u8: Sequence[U8]) -> NDArray[np.float32]:
        return self._extractor.extract(CAFFE.prepare(images_rgb_u8))


def subject_of(name: str, pictures: DataSet, features: NDArray[np.float32]) -> Subject:
    """Return the pictures with a known, unambiguous label, and what a model of these labels says."""
    labels = pictures.samples["label"].to_numpy().astype(np.int8)
    kept = (labels != Label.UNKNOWN) & ~pictures.samples["ambiguous"].to_numpy().astype(np.bool_)
    truth, groups = labels[kept], strings(pictures.samples, "group")[kept]
    clean = label_suspects(features[kept], truth, groups)
    probs = np.clip(clean.probs, 1e-12, 1 - 1e-12)
    return Subject(name, features[kept], truth, groups, np.log(probs / (1 - probs)))


def random_pictures(subject: Subject, wrong: int, generator: np.random.Generator) -> Rows:
    return generator.choice(len(subject.truth), wrong, replace=False)


def random_groups(subject: Subject, wrong: int, generator: np.random.Generator) -> Rows:
    """Whole groups, until at least `wrong` pictures are."""
    names = generator.permutation(np.unique(subject.groups))
    taken: list[Rows] = []
    while sum(map(len, taken)) < wrong:
        taken.append(np.flatnonzero(subject.groups == names[len(taken)]))
    return np.concatenate(taken)


def of_the_hardest(subject: Subject, wrong: int, generator: np.random.Generator, *, boundary: bool) -> Rows:
    """A draw from the tenth that is hardest for a model of the clean labels."""
    logits = subject.clean_logits
    hardness = -np.abs(logits) if boundary else np.where(subject.truth == Label.ROADWORK, -logits, logits)
    tenth = np.argsort(-hardness, kind="stable")[: math.ceil(HARD_TENTH * len(logits))]
    return generator.choice(tenth, min(wrong, len(tenth)), replace=False)


FLIPS: Mapping[str, Callable[[Subject, int, np.random.Generator], Rows]] = MappingProxyType(
    {
        "random pictures": random_pictures,
        "random groups": random_groups,
        "hardest tenth, boundary": partial(of_the_hardest, boundary=True),
        "hardest tenth, highest loss": partial(of_the_hardest, boundary=False),
    }
)


@dataclass(frozen=True, slots=True)
class Draw:
    """One ranking on one draw."""

    wrong: int
    listed: int
    precision: float
    recall: float
    at_share: float
    average_precision: float


def compare(subject: Subject, flips: str, redraws: int) -> Iterator[SuspectRow]:
    """Yield a row for each ranking; both see the same draws."""
    draws: dict[Ranking, list[Draw]] = {ranking: [] for ranking in Ranking}
    for seed in range(redraws):
        generator = np.random.default_rng([SEED, seed])
        rows = FLIPS[flips](subject, round(SHARE * len(subject.truth)), generator)
        given = subject.truth.copy()
        given[rows] = 1 - given[rows]
        found = label_suspects(subject.features, given, subject.groups, seed=seed)
        for ranking in Ranking:
            draws[ranking].append(measure(found, ranking, rows))
    for ranking in Ranking:
        yield _row(subject, flips, ranking, draws[ranking], draws[Ranking.LOSS])


def measure(found: Suspects, ranking: Ranking, wrong: Rows) -> Draw:
    """Return how a ranking did; cleanlab's list is what it flags, the loss is read as far as that is long."""
    order = found.order(ranking)
    hits = np.isin(order, wrong)
    listed = found.flagged if ranking is Ranking.CLEANLAB else found.listed(ranking)
    found_in_list = int(np.isin(listed, wrong).sum())
    so_far = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return Draw(
        wrong=len(wrong),
        listed=len(listed),
        precision=found_in_list / max(len(listed), 1),
        recall=found_in_list / len(wrong),
        at_share=float(hits[: len(wrong)].mean()),
        average_precision=float(so_far[hits].mean()),
    )


def _row(
    subject: Subject, flips: str, ranking: Ranking, draws: list[Draw], by_loss: list[Draw]
) -> SuspectRow:
    from scipy.stats import t
    from sklearn.metrics import roc_auc_score

    def spread(field: str) -> tuple[float, float, float]:
        values = np.array([getattr(draw, field) for draw in draws])
        return (round(float(values.mean()), 4), round(float(values.min()), 4), round(float(values.max()), 4))

    ahead = np.array([a.average_precision - b.average_precision for a, b in zip(by_loss, draws, strict=True)])
    error = ahead.std(ddof=1) / math.sqrt(len(ahead)) if len(ahead) > 1 else 0.0
    return SuspectRow(
        subject=subject.name,
        pictures=len(subject.truth),
        groups=len(np.unique(subject.groups)),
        clean_auroc=round(float(roc_auc_score(subject.truth, subject.clean_logits)), 4),
        flips=flips,
        ranking=ranking.value,
        redraws=len(draws),
        wrong=round(float(np.mean([draw.wrong for draw in draws]))),
        listed=round(float(np.mean([draw.listed for draw in draws])), 1),
        precision=spread("precision"),
        recall=spread("recall"),
        precision_at_share=spread("at_share"),
        average_precision=spread("average_precision")[0],
        ahead=round(float(ahead.mean()), 4),
        ahead_half_width=round(float(t.ppf(0.975, max(len(ahead) - 1, 1)) * error), 4),
    )


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the rows as the table of docs/measured.md: for each kind of flip, both rankings in one line."""
    lines = [
        "| pictures, features (AUROC on clean labels) | flipped | list | precision, recall of cleanlab's list | "
        "of the loss's, as long | best 5 %: cleanlab | best 5 %: loss | loss ahead (average precision) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    pairs: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        pairs.setdefault((row["subject"], row["flips"]), {})[row["ranking"]] = row
    for (subject, flips), of in pairs.items():
        loss, cleanlab = of["loss"], of["cleanlab"]
        lines.append(
            f"| {subject}, {loss['pictures']} ({loss['clean_auroc']:.2f}) | {flips} | {loss['listed']:.0f} | "
            f"{_range(cleanlab['precision'])}, {_range(cleanlab['recall'])} | "
            f"{_range(loss['precision'])}, {_range(loss['recall'])} | {_range(cleanlab['precision_at_share'])} | "
            f"{_range(loss['precision_at_share'])} | {cleanlab['ahead']:+.3f} ± {cleanlab['ahead_half_width']:.3f} |"
        )
    return "\n".join(lines)


def _range(values: tuple[float, float, float]) -> str:
    return f"{values[0]:.2f} ({values[1]:.2f} to {values[2]:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suspects")
    parser.add_argument("--redraws", type=int, default=MAX_REDRAWS)
    parser.add_argument("--run", type=Path, help="a finished run, whose bundle gives features")
    parser.add_argument("--photographs", type=Path, help="a data set of photographs")
    parser.add_argument("--backbone", help="onnx:PATH#OUTPUT, for the photographs")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    described = machine()  # its load before the benchmark adds its own
    result = run(
        arguments.redraws,
        arguments.run,
        photographs=arguments.photographs,
        backbone=arguments.backbone,
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps({"machine": described, **result}, indent=2, ensure_ascii=False) + "\n"
    )


if __name__ == "__main__":
    main()
