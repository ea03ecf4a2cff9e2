"""Comparing bundles: on which pictures, through what, and what is refused. The bundles here are look-up tables."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from workzone.bundle.seen import SeenPictures
from workzone.core.errors import DataError
from workzone.core.types import Label
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.schema import NewSample
from workzone.evaluation.comparison_records import Finding
from workzone.evaluation.grouped import Sampling
from workzone.phases.compare import BundleComparison, compare_bundles
from workzone.policy.calibrators import PlattCalibrator

FEW = Sampling(n_resamples=100, confidence=0.95, seed=0)
GROUPS, FRAMES = 40, 2


class Notes:
    def __init__(self) -> None:
        self.tasks: set[str] = set()

    def progress(self, task: str, done: int, total: int | None) -> None:
        self.tasks.add(task)

    def note(self, message: str) -> None:
        pass


class Policy:
    """Defers between two of the features, so that a policy that is not given them fails."""

    def decide(self, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
        assert features.shape == (len(logits), 1)
        return np.where(features[:, 0] > 1, 1, np.where(features[:, 0] < -1, 0, -1)).astype(np.int8)


class TablePredictor:
    """Says of each picture what a table says, and keeps which pictures it was asked about."""

    def __init__(self, name: str, logits: dict[str, float], seen: SeenPictures | None = None) -> None:
        self.bundle = SimpleNamespace(
            digest=name.ljust(64, "0"),
            manifest=SimpleNamespace(name=name),
            seen=seen or SeenPictures.from_ids(),
            calibrator=PlattCalibrator(slope=1.0, intercept=0.0),
            policy=Policy(),
        )
        self._logits = logits
        self.asked: list[str] = []

    def score(self, paths, *, observer, task):
        names = [Path(path).name for path in paths]
        self.asked += names
        observer.progress(task, len(names), len(names))
        logits = np.array([self._logits[name] for name in names])
        return logits, logits[:, None].astype(np.float32)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> DataSet:
    """40 groups of 2 pictures, every second with road work; one picture is ambiguous, one without a label."""
    samples = []
    for number in range(GROUPS * FRAMES):
        buffer = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), number, dtype=np.uint8)).save(buffer, "PNG")
        group = number // FRAMES
        label = Label.UNKNOWN if number == 3 else Label(group % 2)
        samples.append(
            NewSample(buffer.getvalue(), label, 8, 8, group=f"g{group:02d}", ambiguous=number == 0)
        )
    return write_dataset(tmp_path_factory.mktemp("kerb") / "data", samples, name="kerb")


def logits_of(dataset: DataSet, skill: float, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    labels = dataset.samples["label"].to_pylist()
    noise = rng.normal(0, 2, len(labels))
    return {
        path.name: (skill if label == 1 else -skill) + float(noise[row])
        for row, (path, label) in enumerate(zip(dataset.paths(), labels, strict=True))
    }


def ids_of(dataset: DataSet, *groups: str) -> list[str]:
    table = dataset.samples.select(["id", "group"]).to_pylist()
    return [row["id"] for row in table if row["group"] in groups]


def run(a, b, dataset: DataSet, ledger: Path, **options) -> BundleComparison:
    settings = {"leave_out_seen": False, "sampling": FEW, "ledger": ledger, "observer": Notes()}
    return compare_bundles(a, b, dataset, **(settings | options))


def test_decided_pictures_are_scored_by_both_and_the_better_is_found(dataset, tmp_path) -> None:
    old = TablePredictor("old", logits_of(dataset, 0.5, 1))
    new = TablePredictor("new", logits_of(dataset, 8.0, 2))
    notes = Notes()
    found = run(old, new, dataset, tmp_path / "ledger", observer=notes)
    assert old.asked == new.asked
    assert len(old.asked) == found.comparison.n == GROUPS * FRAMES - 2
    assert (found.left_out.n_unknown, found.left_out.n_ambiguous, found.left_out.n_in_seen_groups) == (
        1,
        1,
        0,
    )
    assert found.comparison.finding is Finding.B_BETTER
    assert found.comparison.name_b == "new (new00000)"
    assert {"predict with A", "predict with B"} <= notes.tasks
    assert run(new, old, dataset, tmp_path / "ledger").comparison.finding is Finding.A_BETTER


def test_the_numbers_are_those_of_calibrator_and_policy(dataset, tmp_path) -> None:
    logits = logits_of(dataset, 1.0, 1)
    one = TablePredictor("one", logits)
    one.bundle.calibrator = PlattCalibrator(slope=1.0, intercept=1.5)
    found = run(one, one, dataset, tmp_path / "ledger").comparison
    table = dataset.samples.to_pylist()
    rows = [row for row in table if row["label"] >= 0 and not row["ambiguous"]]
    said = np.array([logits[Path(row["path"]).name] for row in rows])
    labels = np.array([row["label"] for row in rows])
    assert found.measure("accuracy_at_half").a.estimate == pytest.approx(np.mean((said >= -1.5) == labels))
    assert found.measure("coverage").a.estimate == pytest.approx(np.mean(np.abs(said) > 1))


def test_the_ledger_counts_each_pair_of_bundles_once(dataset, tmp_path) -> None:
    a, b, c = (TablePredictor(name, logits_of(dataset, 1.0, 1)) for name in "abc")
    ledger = tmp_path / "ledger"
    assert run(a, b, dataset, ledger).test_openings == 1
    assert run(a, b, dataset, ledger).test_openings == 1
    assert run(a, c, dataset, ledger).test_openings == 2


@pytest.mark.parametrize("part", ["train", "select", "calib"])
def test_pictures_that_a_bundle_learned_from_are_refused_before_they_are_opened(
    dataset, tmp_path, part
) -> None:
    logits = logits_of(dataset, 1.0, 1)
    seen = SeenPictures.from_ids(**{part: ids_of(dataset, "g04", "g07")[:3]})
    clean, learned = TablePredictor("clean", logits), TablePredictor("learned", logits, seen)
    with pytest.raises(
        DataError, match=r"Of the 80 pictures .*'kerb' bundle B has learned from 3, .*--unseen.*2 groups"
    ):
        run(clean, learned, dataset, tmp_path / "ledger")
    with pytest.raises(DataError, match="bundle A has learned from 3 and bundle B has learned from 3"):
        run(learned, learned, dataset, tmp_path / "ledger")
    assert not (tmp_path / "ledger").exists()
    assert learned.asked == []


def test_an_ancestors_pictures_count_too(dataset, tmp_path) -> None:
    ancestor = SeenPictures.from_ids(train=ids_of(dataset, "g05"))
    child = TablePredictor("child", {}, ancestor.recertified(SeenPictures.from_ids(calib=["f" * 64])))
    with pytest.raises(DataError, match="bundle A has learned from 2"):
        run(child, TablePredictor("b", {}), dataset, tmp_path / "ledger")


def test_whole_groups_are_left_out_where_that_is_asked_for(dataset, tmp_path) -> None:
    logits = logits_of(dataset, 1.0, 1)
    one_frame = ids_of(dataset, "g04")[:1]
    a = TablePredictor("a", logits, SeenPictures.from_ids(train=one_frame))
    b = TablePredictor("b", logits, SeenPictures.from_ids(calib=ids_of(dataset, "g07", "g00")))
    found = run(a, b, dataset, tmp_path / "ledger", leave_out_seen=True)
    left = found.left_out
    assert (left.n_seen_by_a, left.n_seen_by_b, left.n_seen_groups, left.n_in_seen_groups) == (1, 4, 3, 6)
    assert (left.n_ambiguous, left.n_unknown) == (0, 1)  # the ambiguous one is in g00
    assert found.comparison.n_groups == GROUPS - 3
    gone = set(ids_of(dataset, "g00", "g04", "g07"))
    kept = {
        path.name
        for path, i in zip(dataset.paths(), dataset.samples["id"].to_pylist(), strict=True)
        if i not in gone
    }
    assert set(a.asked) <= kept


def test_nothing_left_is_said(dataset, tmp_path) -> None:
    everything = SeenPictures.from_ids(train=dataset.samples["id"].to_pylist())
    a, b = TablePredictor("a", {}, everything), TablePredictor("b", {})
    with pytest.raises(DataError, match="Nothing of data set 'kerb' is left"):
        run(a, b, dataset, tmp_path / "ledger", leave_out_seen=True)
    assert a.asked == []
