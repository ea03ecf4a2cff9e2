"""Making a cascade: what each stage is asked, what is certified, what is refused before anything is scored."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from workzone.bundle.cascade import open_cascade
from workzone.bundle.reader import open_bundle
from workzone.bundle.seen import SeenPictures
from workzone.bundle.writer import write_bundle
from workzone.calibration.cascade import CascadeSettings
from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Label, Verdict
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.schema import NewSample
from workzone.engine.cascade_predictor import open_cascade_predictor
from workzone.engine.predictor import open_predictor
from workzone.phases.cascade import make_cascade, plan_cascade, plan_stages
from workzone.policy.risks import Risk
from workzone.policy.settings import RiskLimit

CREATED = datetime(2026, 3, 4, tzinfo=UTC)
WITHIN_10 = CascadeSettings((RiskLimit(Risk.SELECTIVE_FNR, 0.1),), 0.05)
"""29 groups without a miss, 46 with one."""


class Notes:
    def __init__(self) -> None:
        self.tasks: list[str] = []

    def progress(self, task: str, done: int, total: int | None) -> None:
        if done == total:
            self.tasks.append(task)

    def note(self, message: str) -> None:
        pass


@pytest.fixture(scope="module")
def kerb(tmp_path_factory, colour_builders) -> DataSet:
    """Road work: 20 orange, 12 light, 1 grey; none: 20 blue, 7 grey, 3 middle; 4 more light without a label."""
    b = colour_builders
    counts = [(b.ORANGE, 1, 20), (b.LIGHT, 1, 12), (b.GREY, 1, 1), (b.BLUE, 0, 20), (b.GREY, 0, 7), (b.MIDDLE, 0, 3),
              (b.LIGHT, -1, 4)]  # fmt: skip
    samples = []
    for colour, label, n in counts:
        for _ in range(n):
            pixels = b.plain(colour)
            pixels[0, 0] = np.array([len(samples), 0, 0], dtype=np.uint8)  # so that no two are of one content
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            group = f"g{len(samples):03d}"
            samples.append(NewSample(buffer.getvalue(), Label(label), b.SIZE, b.SIZE, group=group))
    return write_dataset(tmp_path_factory.mktemp("kerb") / "data", samples, name="kerb")


@pytest.fixture
def predictors(colour_builders, tmp_path):
    """The stages of `make_cascade`."""
    b = colour_builders
    policies = {"small": b.certified_policy(), "big": b.certified_policy(t_lo=-0.2, t_hi=0.6)}
    for name, policy in policies.items():
        write_bundle(tmp_path / name, b.make_parts(tmp_path / "parts" / name, name=name, policy=policy))
    return [open_predictor(tmp_path / name) for name in policies]


def planned(predictors, dataset, out: Path, settings=WITHIN_10, name=None, **wishes):
    stages = plan_stages(predictors, **wishes)
    return plan_cascade(
        predictors, dataset, out, name=name, stages=stages, settings=settings, observer=Notes()
    )


def made(predictors, dataset, out: Path, ledger: Path, settings=WITHIN_10, observer=None):
    plan = planned(predictors, dataset, out, settings, costs=(1.0, 20.0))
    return make_cascade(
        predictors, dataset, out, plan, ledger=ledger, created=CREATED, observer=observer or Notes()
    )


def test_what_is_certified_is_what_the_cascade_answers(predictors, kerb, tmp_path):
    notes = Notes()
    loose = CascadeSettings((RiskLimit(Risk.SELECTIVE_FNR, 0.15),), 0.05)
    result = made(predictors, kerb, tmp_path / "c", tmp_path / "ledger", loose, notes)
    cascade = open_cascade(tmp_path / "c")
    assert notes.tasks.count("predict with small") == notes.tasks.count("predict with big") == 1
    assert result.cascade.digest == cascade.digest
    assert result.certifications == 1

    answers = list(open_cascade_predictor(tmp_path / "c").predict_many(kerb.paths()))
    labels = np.array(kerb.samples["label"].to_pylist())
    verdicts = np.array([str(answer.verdict) for answer in answers])
    road = verdicts[labels == 1]
    answered, missed = int((road != Verdict.DEFER).sum()), int((road == Verdict.NONE).sum())
    assert (answered, missed) == (33, 1)  # 20 orange, 12 light, and the grey one is missed by the second
    claim = cascade.paths[1].certificate.claims[0]
    assert (claim.n, claim.events, claim.n_groups) == (answered, missed, 33)
    assert claim.bound == pytest.approx(stats.beta.ppf(0.95, missed + 1, answered - missed))
    promise = cascade.paths[1].certificate
    assert promise.coverage.negatives_answered == int((verdicts[labels == 0] != Verdict.DEFER).sum()) == 27
    assert promise.n_unknown_left_out == 4
    assert promise.dataset_sha256 == kerb.sha256
    assert cascade.paths[0].certificate.claims[0].n == 20  # 20 of 20: (1 - 0.15)^20 is 0.039
    reach = cascade.manifest.reach
    assert (reach.roadwork, reach.none, reach.undecided) == ((33, 13), (30, 10), (4, 4))
    assert sum(answer.stage == "big" for answer in answers) == reach.asked[1] == 27


def test_the_verdict_of_each_path_is_stated(predictors, kerb, tmp_path):
    result = made(predictors, kerb, tmp_path / "c", tmp_path / "ledger")
    alone, both = result.cascade.paths
    assert not both.certified
    assert "33 of 33 calibration groups count (1 of them with an error)" in both.refusal
    assert "with 1 errors at least 46 are needed: 13 more" in both.refusal
    assert "Not tested" in alone.refusal
    assert (result.plan.roadwork_groups, result.plan.least_groups, result.plan.n_pictures) == (33, 29, 67)
    said = open_cascade_predictor(tmp_path / "c").predict_many(kerb.paths())
    assert {answer.verdict for answer in said} == {Verdict.DEFER}


def test_the_stages_are_copied_and_their_originals_not_needed(predictors, kerb, tmp_path):
    import shutil

    made(predictors, kerb, tmp_path / "c", tmp_path / "ledger")
    for name in ("small", "big"):
        shutil.rmtree(tmp_path / name)
    shutil.move(tmp_path / "c", tmp_path / "other" / "place")
    assert [s.name for s in open_cascade(tmp_path / "other" / "place").manifest.stages] == ["small", "big"]


def test_a_run_that_breaks_leaves_nothing_and_the_look_is_on_record(predictors, kerb, tmp_path, monkeypatch):
    calls = []

    def broken(*_, **__):
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(predictors[1], "score", broken, raising=False)
    with pytest.raises(KeyboardInterrupt):
        made(predictors, kerb, tmp_path / "made" / "c", tmp_path / "ledger")
    assert calls
    assert not (tmp_path / "made").exists()
    monkeypatch.undo()
    again = made(predictors, kerb, tmp_path / "made" / "c", tmp_path / "ledger")
    assert again.certifications == 1  # the same run, which was cut short, has looked once
    assert made(predictors, kerb, tmp_path / "made" / "d", tmp_path / "ledger").certifications == 2
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == ["c", "d"]


@pytest.mark.parametrize("part", ["train", "select", "calib"])
def test_pictures_that_a_stage_learned_from_are_refused_before_a_look(
    predictors, kerb, colour_builders, tmp_path, part
):
    b = colour_builders
    ids = kerb.samples["id"].to_pylist()[:3]
    listed = {
        other: b.sample_ids(other, 5) + (ids if other == part else [])
        for other in ("train", "select", "calib")
    }
    seen = SeenPictures.from_ids(**listed)
    parts = b.make_parts(tmp_path / "parts" / "seen", name="seen", seen=seen)
    write_bundle(tmp_path / "seen", parts)
    stages = [predictors[0], open_predictor(tmp_path / "seen")]
    with pytest.raises(
        DataError, match=r"Of the 67 pictures of data set 'kerb' .* 3 by stage 'seen'.* 3 groups whole"
    ):
        planned(stages, kerb, tmp_path / "c")


def test_what_makes_no_cascade_is_refused_before_a_look(predictors, kerb, tmp_path):
    out = tmp_path / "c"
    with pytest.raises(ConfigError, match="at least two stages, got 1"):
        plan_stages(predictors[:1])
    for wishes in ({"costs": (1.0, 2.0, 3.0)}, {"deadlines_ms": (1.0, 2.0, 3.0)}, {"names": ("a",)}):
        with pytest.raises(ConfigError, match="2 stages"):
            plan_stages(predictors, **wishes)
    for wishes, words in (
        ({"names": ("a", "a")}, "one name"),
        ({"names": ("a", "../b")}, "is no name"),
        ({"costs": (-1.0,)}, "cost -1"),
        ({"costs": (float("nan"),)}, "cost nan"),
        ({"deadlines_ms": (0.0,)}, "deadline 0"),
        ({"deadlines_ms": (float("inf"),)}, "deadline inf"),
        ({"name": "a b"}, "is no name"),
    ):
        with pytest.raises(ConfigError, match=words):
            planned(predictors, kerb, out, **wishes)
    with pytest.raises(ConfigError, match="one bundle"):
        planned([predictors[0]] * 2, kerb, out)
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(ConfigError, match="not empty"):
        planned(predictors, kerb, out)


def test_a_data_set_of_one_class_is_refused(predictors, colour_builders, tmp_path):
    b = colour_builders
    sample = NewSample(b.encoded(b.plain(b.ORANGE)), Label.ROADWORK, b.SIZE, b.SIZE, group="g")
    data = write_dataset(tmp_path / "data", [sample], name="one")
    with pytest.raises(DataError, match="1 pictures with road work and 0 without"):
        planned(predictors, data, tmp_path / "c")


def test_names_costs_and_deadlines_have_defaults_and_go_once_or_once_a_stage(predictors):
    stages = plan_stages(predictors)
    assert [(s.name, s.cost, s.deadline_ms) for s in stages] == [("small", 1.0, 5000.0), ("big", 1.0, 5000.0)]
    stages = plan_stages(predictors, names=("a", "b"), costs=(2.0,), deadlines_ms=(50.0, 900.0))
    assert [(s.name, s.cost, s.deadline_ms) for s in stages] == [("a", 2.0, 50.0), ("b", 2.0, 900.0)]
    same = plan_stages([predictors[0], predictors[0], predictors[1]])
    assert [s.name for s in same] == ["small-1", "small-2", "big"]


def test_the_names_of_a_cascade_are_those_of_its_stages_unless_it_has_one(predictors, kerb, tmp_path):
    assert planned(predictors, kerb, tmp_path / "c").name == "small-then-big"
    assert planned(predictors, kerb, tmp_path / "c", name="city").name == "city"
    assert not (tmp_path / "c").exists()
    assert open_bundle(tmp_path / "small").manifest.name == "small"
