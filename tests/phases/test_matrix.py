"""The matrix of data sets: what is measured, what is left out, and that it goes on after a kill."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import matthews_corrcoef

from workzone.bundle.seen import SeenPictures
from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Label, Role
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.grants import count_runs
from workzone.data.schema import NewSample
from workzone.data.split import Fractions, make_split
from workzone.evaluation.grouped import Sampling
from workzone.evaluation.matrix import Matrix
from workzone.phases.build import ledger_of
from workzone.phases.matrix import HTML_NAME, JSON_NAME, Candidate, HeldOut, cross_evaluate, run_matrix
from workzone.phases.recipe import Recipe, load_recipe
from workzone.policy.calibrators import PlattCalibrator

FEW = Sampling(n_resamples=100, confidence=0.95, seed=0)
GROUPS, FRAMES = 60, 2


class Notes:
    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.notes: list[str] = []

    def progress(self, task: str, done: int, total: int | None) -> None:
        self.tasks.append(task)

    def note(self, message: str) -> None:
        self.notes.append(message)


class Policy:
    """Defers between two values of the feature."""

    certified = False

    def decide(self, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
        return np.where(features[:, 0] > 1, 1, np.where(features[:, 0] < -1, 0, -1)).astype(np.int8)


class BrightnessPredictor:
    """Says road work of what is bright, as far as `skill` goes; keeps which pictures it was asked about."""

    def __init__(self, name: str, skill: float, seen: SeenPictures | None = None) -> None:
        self.bundle = SimpleNamespace(
            digest=name.ljust(64, "0"),
            seen=seen or SeenPictures.from_ids(),
            calibrator=PlattCalibrator(slope=1.0, intercept=0.0),
            policy=Policy(),
        )
        self._skill = skill
        self.asked: list[Path] = []

    def score(self, paths, *, observer, task):
        self.asked += list(paths)
        observer.progress(task, len(paths), len(paths))
        values = np.array([np.asarray(Image.open(path))[0, 0, 0] for path in paths], dtype=np.float64)
        logits = self._skill * (values - 127.5) / 50
        return logits, logits[:, None].astype(np.float32)


def kerb(directory: Path, name: str, first: int, *, ambiguous: bool = False) -> DataSet:
    """60 groups of 2 pictures, every second with road work, which is bright; every tenth group lies."""
    samples = []
    for number in range(GROUPS * FRAMES):
        group = number // FRAMES
        bright = (group % 2) ^ (group % 10 == 0)
        pixels = np.full((8, 8, 3), 200 if bright else 40, dtype=np.uint8)
        pixels[1, 1] = (first + number) % 256, (first + number) // 256, 0
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        label = Label.UNKNOWN if ambiguous and number == 3 else Label(group % 2)
        samples.append(NewSample(buffer.getvalue(), label, 8, 8, group=f"g{group:02d}"))
    return write_dataset(directory / name, samples, name=name)


def part(dataset: DataSet) -> HeldOut:
    return HeldOut(dataset.name, dataset, make_split(dataset, Fractions(0.2, 0.1, 0.2, 0.5), seed=0))


def ids_of_test(of: HeldOut) -> list[str]:
    table = of.split.table.to_pylist()
    return [row["id"] for row in table if row["role"] == "test"]


@pytest.fixture
def parts(tmp_path) -> list[HeldOut]:
    return [part(kerb(tmp_path, "kerb", 0)), part(kerb(tmp_path, "tram", 500, ambiguous=True))]


def cross(candidates, parts, tmp_path, **options) -> Matrix:
    settings = {
        "recipe": "r",
        "sampling": FEW,
        "ledger": None,
        "work": tmp_path / "scores",
        "observer": Notes(),
    }
    return cross_evaluate(candidates, parts, **(settings | options))


def test_every_cell_is_what_the_bundle_says_of_that_test_part(parts, tmp_path):
    good, blind = BrightnessPredictor("good", 1.0), BrightnessPredictor("blind", -0.5)
    found = cross([Candidate("kerb", good), Candidate("tram", blind)], parts, tmp_path)
    assert [(cell.trained_on, cell.tested_on) for cell in found.cells] == [
        ("kerb", "kerb"), ("kerb", "tram"), ("tram", "kerb"), ("tram", "tram"),
    ]  # fmt: skip
    for cell in found.cells:
        of = next(p for p in parts if p.name == cell.tested_on)
        predictor = good if cell.trained_on == "kerb" else blind
        rows = {row["id"]: row for row in of.dataset.samples.to_pylist()}
        tested = [rows[i] for i in ids_of_test(of) if rows[i]["label"] >= 0]
        labels = np.array([row["label"] for row in tested])
        paths = [of.dataset.root / row["path"] for row in tested]
        logits, _ = predictor.score(paths, observer=Notes(), task="")
        assert cell.n == len(tested) == len(ids_of_test(of)) - cell.n_undecided
        mcc = cell.measure("mcc")
        assert mcc.estimate == pytest.approx(matthews_corrcoef(labels, logits >= 0))
        assert mcc.low <= mcc.estimate <= mcc.high
        answered = np.abs(logits) > 1
        assert cell.measure("coverage").estimate == pytest.approx(answered.mean())
        if answered.any():
            missed = (labels == 1) & answered & (logits < 0)
            expected = missed.sum() / ((labels == 1) & answered).sum()
            assert cell.measure("selective_fnr").estimate == pytest.approx(expected)
    assert (
        found.cell("kerb", "tram").measure("mcc").estimate
        > 0.5
        > found.cell("tram", "kerb").measure("mcc").estimate
    )
    with pytest.raises(KeyError):
        found.cell("kerb", "nowhere")


def test_pictures_that_a_bundle_has_seen_are_left_out_with_their_groups_and_counted(parts, tmp_path):
    ids = ids_of_test(parts[1])
    rows = {row["id"]: row for row in parts[1].dataset.samples.to_pylist()}
    one = next(i for i in ids if rows[i]["label"] >= 0)
    learned = BrightnessPredictor("learned", 1.0, SeenPictures.from_ids(train=[one]))
    found = cross([Candidate("kerb", learned)], parts, tmp_path)
    clean, tainted = found.cells
    assert (clean.n_seen, clean.n_in_seen_groups) == (0, 0)
    members = [i for i in ids if rows[i]["group"] == rows[one]["group"]]
    assert (tainted.n_seen, tainted.n_in_seen_groups) == (1, len(members)) == (1, FRAMES)
    asked = {path.stem for path in learned.asked}
    assert not asked & set(members)
    assert tainted.n == len(ids) - len(members) - tainted.n_undecided


def test_where_nothing_is_left_there_is_no_number(parts, tmp_path):
    everything = SeenPictures.from_ids(calib=ids_of_test(parts[1]))
    found = cross([Candidate("kerb", BrightnessPredictor("a", 1.0, everything))], parts, tmp_path)
    cell = found.cells[1]
    assert (cell.n, cell.measures, cell.measure("mcc")) == (0, (), None)


def test_only_test_is_opened_and_each_bundle_is_one_look(parts, tmp_path):
    a, b = (BrightnessPredictor(name, 1.0) for name in "ab")
    found = cross([Candidate("kerb", a), Candidate("tram", b)], parts, tmp_path)
    assert [d.test_openings for d in found.datasets] == [2, 2]
    for of in parts:
        entries = [json.loads(line) for line in ledger_of(of.dataset).read_text().splitlines()]
        assert {entry["role"] for entry in entries} == {"test"}
        asked = {path.stem for path in (*a.asked, *b.asked) if path.is_relative_to(of.dataset.root)}
        assert asked <= set(ids_of_test(of))
    again = cross([Candidate("kerb", a), Candidate("tram", b)], parts, tmp_path)
    assert [d.test_openings for d in again.datasets] == [2, 2]
    elsewhere = tmp_path / "ledger"
    cross([Candidate("kerb", a)], parts, tmp_path, ledger=elsewhere)
    assert count_runs(elsewhere, None, Role.TEST) == 1


def test_scores_that_were_made_are_kept_by_bundle_and_pictures(parts, tmp_path):
    first = BrightnessPredictor("a", 1.0)
    before = cross([Candidate("kerb", first)], parts, tmp_path)
    second = BrightnessPredictor("a", 1.0)
    assert cross([Candidate("kerb", second)], parts, tmp_path).cells == before.cells
    assert second.asked == []
    other = BrightnessPredictor("b", 1.0)
    cross([Candidate("kerb", other)], parts, tmp_path)
    assert len(other.asked) == len(first.asked) > 0


def test_a_split_of_another_data_set_is_refused(parts, tmp_path):
    wrong = replace(parts[0], split=parts[1].split)
    with pytest.raises(DataError, match="was made for the data set"):
        cross([Candidate("kerb", BrightnessPredictor("a", 1.0))], [wrong], tmp_path)


def run(tmp_path: Path, recipe: Recipe, *paths: Path, force: bool = False) -> Matrix:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return run_matrix(recipe, paths, tmp_path / "out", force=force, observer=Notes(), clock=lambda: now)


def test_what_cannot_be_a_matrix_is_refused_before_any_training(tmp_path):
    recipe = load_recipe("matrix")
    kerb(tmp_path, "natix", 0)
    kerb(tmp_path, "roadwork", 500)
    with pytest.raises(DataError, match=r"NATIX.*would test on what was trained on.*--force"):
        run(tmp_path, recipe, tmp_path / "natix", tmp_path / "roadwork")
    with pytest.raises(ConfigError, match="expected at least two"):
        run(tmp_path, recipe, tmp_path / "natix")
    with pytest.raises(ConfigError, match="given more than once"):
        run(tmp_path, recipe, tmp_path / "natix", tmp_path / "natix")
    split = recipe.split.model_copy(update={"path": tmp_path})
    with pytest.raises(ConfigError, match=r"split\.path is of one data set"):
        run(tmp_path, recipe.model_copy(update={"split": split}), tmp_path / "natix", tmp_path / "roadwork")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_worlds_by_one_recipe_and_again_without_any_work(tmp_path):
    from workzone.data.render import render_dataset
    from workzone.data.scenes.world import Shift

    # Of one seed, a night of the usual world is the same picture in a world of nights: two seeds.
    for seed, (name, shift) in enumerate({"day": Shift.NONE, "night": Shift.NIGHT}.items()):
        render_dataset(tmp_path / name, sequences=48, frames=2, seed=seed, shift=shift, workers=1)
    recipe = load_recipe("tiny", ["evaluate.baseline=false", "evaluate.alternatives=false"])
    found = run(tmp_path, recipe, tmp_path / "day", tmp_path / "night")
    assert len(found.cells) == 4
    assert all(cell.n > 0 and cell.n_seen == 0 for cell in found.cells)
    document = json.loads((tmp_path / "out" / JSON_NAME).read_text())
    assert [cell["digest"] for cell in document["cells"]] == [cell.digest for cell in found.cells]
    page = (tmp_path / "out" / HTML_NAME).read_text()
    for dataset in found.datasets:
        assert dataset.sha256 in page
    assert len({cell.digest for cell in found.cells}) == 2

    bundles = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("bundle.json")}
    assert len(bundles) == 2
    assert run(tmp_path, recipe, tmp_path / "day", tmp_path / "night") == found
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("bundle.json")} == bundles
