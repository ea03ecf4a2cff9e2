"""What a bundle would earn: on which pictures, through what, and what is refused. The bundles here read grey values."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workzone.bundle.manifest import OperatingPoint
from workzone.bundle.seen import SeenPictures
from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Label
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.schema import NewSample
from workzone.imaging.decode import decode_image
from workzone.phases.subnet_asking import FIT_STREAM, ReplaySettings, ask_in_batches, logit_at_half
from workzone.phases.subnet_pictures import MIN_GROUPS, open_select
from workzone.phases.subnet_point import fit_operating_point
from workzone.phases.subnet_score import Origin, SubnetScore, score_on_subnet
from workzone.policy.calibrators import IsotonicCalibrator, PlattCalibrator
from workzone.subnet.expectation import steady_reward
from workzone.subnet.profiles import Source, profile
from workzone.subnet.replay import Deck

FULL, LEVELS = profile("2026-05"), profile("2026-01")
GREYS_PER_LOGIT = 16.0


class Notes:
    def __init__(self) -> None:
        self.done: dict[str, tuple[int, int | None]] = {}
        self.notes: list[str] = []

    def progress(self, task: str, done: int, total: int | None) -> None:
        self.done[task] = (done, total)

    def note(self, message: str) -> None:
        self.notes.append(message)


def logit_of(grey: float) -> float:
    return (grey - 128) / GREYS_PER_LOGIT


class GreyPredictor:
    """The logit is the mean grey value; keeps every JPEG that it was asked about, and in which batches."""

    max_batch = 7

    def __init__(
        self,
        seen: SeenPictures | None = None,
        *,
        intercept: float = 0.0,
        point: OperatingPoint | None = None,
        name: str = "grey",
    ) -> None:
        self.bundle = SimpleNamespace(
            digest=name.ljust(64, "0"),
            manifest=SimpleNamespace(name=name, operating_point=point),
            seen=seen or SeenPictures.from_ids(),
            calibrator=PlattCalibrator(slope=2.0, intercept=intercept),
        )
        self.asked: list[int] = []
        self.batches: list[int] = []

    def score(self, sources, *, observer=None, task="score"):
        greys = [float(decode_image(jpeg).mean()) for jpeg in sources]
        self.asked += [round(grey) for grey in greys]
        self.batches.append(len(greys))
        return np.array([logit_of(grey) for grey in greys]), np.zeros((len(greys), 0), np.float32)


@dataclass(frozen=True)
class Shot:
    """One picture of one grey; its group is its own unless it says so."""

    grey: int
    label: int
    group: str | None = None
    ambiguous: bool = False
    synthetic: bool = False
    caption: str | None = None


def written(path: Path, shots: list[Shot]) -> tuple[DataSet, list[str]]:
    """Write a data set, and return the id of each shot too; a picture's width tells pictures of one grey apart."""
    samples, ids = [], []
    for number, shot in enumerate(shots):
        buffer = io.BytesIO()
        size = (8 + number // 32, 8 + number % 32)
        Image.new("RGB", size, (shot.grey,) * 3).save(buffer, "PNG")
        samples.append(
            NewSample(
                buffer.getvalue(),
                Label(shot.label),
                *size,
                group=shot.group or f"place{number:03d}",
                ambiguous=shot.ambiguous,
                synthetic=shot.synthetic,
                caption=shot.caption,
            )
        )

        ids.append(hashlib.sha256(buffer.getvalue()).hexdigest())
    return write_dataset(path, samples, name="kerb"), ids


def spread(n: int, label: int, low: int, high: int) -> list[Shot]:
    return [Shot(int(grey), label) for grey in np.linspace(low, high, n).round()]


REPORT = [*spread(24, 0, 60, 140), *spread(24, 1, 110, 200)]
"""Unseen: half a dozen of either label on the wrong side of 128, the plain threshold."""
SELECT = [*spread(24, 0, 50, 100), *spread(24, 1, 108, 180)]
"""Told apart by any threshold between 100 and 108."""
ELSE = [*spread(4, 0, 5, 8), *spread(4, 1, 245, 248)]


@pytest.fixture(scope="module")
def kerb(tmp_path_factory) -> tuple[DataSet, SeenPictures]:
    """48 unseen pictures, 48 of select, and some of train and calib that are unlike all others."""
    root = tmp_path_factory.mktemp("kerb") / "data"
    data, ids = written(root, [*REPORT, *SELECT, *ELSE])
    n = len(REPORT) + len(SELECT)
    seen = SeenPictures.from_ids(select=ids[len(REPORT) : n], train=ids[n : n + 4], calib=ids[n + 4 :])
    return data, seen


def score(predictor, data: DataSet, ledger: Path, which=FULL, **options) -> SubnetScore:
    settings = ReplaySettings(
        challenges=options.pop("challenges", 480), seed=options.pop("seed", 0), n_resamples=50
    )
    rest = {"settings": settings, "abstaining": False, "ledger": ledger, "observer": Notes()}
    return score_on_subnet(predictor, data, which, **(rest | options))


def select_of(bundle, data: DataSet, directory: Path):
    return open_select(bundle, data, run="test", ledger=directory / "ledger")


def reward_at(shots: list[Shot], grey: float) -> float:
    """By hand: the rates of calling road work above `grey`, and what they pay."""
    rates = [np.mean([shot.grey > grey for shot in shots if shot.label == label]) for label in (1, 0)]
    return float(steady_reward(rates[:1], rates[1:])[0])


def test_the_rewards_are_those_of_the_unseen_pictures_and_of_nothing_else(kerb, tmp_path) -> None:
    data, seen = kerb
    predictor = GreyPredictor(seen, point=OperatingPoint(profile=FULL.name, threshold=logit_of(104.5)))
    found = score(predictor, data, tmp_path / "ledger")
    assert set(predictor.asked) == {shot.grey for shot in REPORT}
    assert (found.scored.n, found.scored.n_roadwork, found.pictures_asked) == (48, 24, 48)
    assert (found.left_out.n_seen, found.left_out.n_in_seen_groups) == (56, 56)
    assert found.plain.mean == pytest.approx(reward_at(REPORT, 128))
    assert found.mapped is not None
    assert found.mapped.origin is Origin.BUNDLE
    assert found.mapped.fit is None
    assert found.mapped.reward.mean == pytest.approx(reward_at(REPORT, 104.5))
    assert found.mapped.gain.estimate == pytest.approx(reward_at(REPORT, 104.5) - reward_at(REPORT, 128))
    assert found.mapped.gain.low <= found.mapped.gain.estimate <= found.mapped.gain.high
    assert found.plain.low < found.plain.mean < found.plain.high
    assert found.by_confidence == ()


def test_the_map_is_fitted_on_select_and_reported_elsewhere(kerb, tmp_path) -> None:
    data, seen = kerb
    predictor = GreyPredictor(seen)
    found = score(predictor, data, tmp_path / "ledger")
    assert set(predictor.asked) == {shot.grey for shot in [*REPORT, *SELECT]}
    mapped = found.mapped
    assert mapped is not None
    assert mapped.origin is Origin.SELECT
    assert logit_of(100) < mapped.threshold < logit_of(108)
    assert mapped.fit is not None
    assert mapped.fit.moved
    assert (mapped.fit.counts.n, mapped.fit.counts.n_groups) == (48, 48)
    assert mapped.fit.in_sample_reward == pytest.approx(1.0)
    assert mapped.fit.cross_fitted_gain > 0
    grey = 128 + GREYS_PER_LOGIT * mapped.threshold
    assert mapped.reward.mean == pytest.approx(reward_at(REPORT, grey))
    assert found.no_map is None


def test_plain_answers_turn_where_the_calibrator_does(kerb, tmp_path) -> None:
    """Platt's map is at one half at -intercept / slope: here 1.5 logits, 24 greys, above 128."""
    data, seen = kerb
    found = score(GreyPredictor(seen, intercept=-3.0), data, tmp_path / "ledger")
    assert found.plain.mean == pytest.approx(reward_at(REPORT, 152))
    assert found.mapped is not None
    assert found.mapped.gain.estimate == pytest.approx(found.mapped.reward.mean - found.plain.mean)


def test_a_score_fits_the_point_that_is_fitted_alone(kerb, tmp_path) -> None:
    data, seen = kerb
    predictor = GreyPredictor(seen)
    settings = ReplaySettings(challenges=120, seed=3, n_resamples=50)
    alone = fit_operating_point(
        predictor, select_of(predictor.bundle, data, tmp_path), LEVELS, settings=settings, observer=Notes()
    )
    found = score(GreyPredictor(seen), data, tmp_path / "ledger", LEVELS, seed=3, challenges=120)
    assert found.mapped is not None
    assert found.mapped.fit == alone


def test_a_threshold_that_brings_nothing_stays_at_one_half(tmp_path) -> None:
    """All of select is told apart at the plain threshold already, so nothing can be gained there."""
    shots = [*spread(24, 0, 50, 120), *spread(24, 1, 136, 200)]
    data, ids = written(tmp_path / "data", shots)
    predictor = GreyPredictor(SeenPictures.from_ids(select=ids), intercept=-0.1)
    found = select_of(predictor.bundle, data, tmp_path)
    fit = fit_operating_point(
        predictor, found, FULL, settings=ReplaySettings(challenges=96), observer=Notes()
    )
    assert not fit.moved
    assert fit.cross_fitted_gain <= 0
    assert fit.threshold == pytest.approx(0.05)


def test_all_levels_and_sources_are_told_and_the_missing_named(kerb, tmp_path) -> None:
    data, seen = kerb
    found = score(GreyPredictor(seen), data, tmp_path / "ledger", LEVELS, challenges=120)
    assert [row.name for row in found.plain.by_level] == ["level 0", "level 1", "level 2", "level 3"]
    assert sum(row.n for row in found.plain.by_level) == 120
    assert [row.name for row in found.plain.by_source] == ["real"]
    assert set(found.plain.missing) == {(0, Source.SYNTHETIC), (1, Source.SYNTHETIC)}
    assert found.plain.overall.answered == 1.0


def test_the_same_seed_gives_the_same_and_another_something_else(kerb, tmp_path) -> None:
    data, seen = kerb
    one, two, other = (
        score(GreyPredictor(seen), data, tmp_path / "ledger", LEVELS, seed=seed, challenges=96)
        for seed in (1, 1, 2)
    )
    assert one == two
    assert one.plain.by_level != other.plain.by_level


def test_abstaining_is_told_only_where_it_is_asked_for(kerb, tmp_path) -> None:
    data, seen = kerb
    found = score(GreyPredictor(seen), data, tmp_path / "ledger", abstaining=True, challenges=96)
    assert [row.abstain_below for row in found.by_confidence] == sorted(
        row.abstain_below for row in found.by_confidence
    )
    first, last = found.by_confidence[0], found.by_confidence[-1]
    assert first.overall.answered == 1.0 > last.overall.answered
    assert found.mapped is not None
    assert first.mean == pytest.approx(found.mapped.reward.mean)
    assert found.mapped.reward.overall.answered == 1.0  # what is reported as the reward always answers


def test_without_select_only_plain_answers_are_told_with_the_reason(tmp_path) -> None:
    data, _ = written(tmp_path / "data", REPORT)
    elsewhere = SeenPictures.from_ids(select=["a" * 64, "b" * 64])
    found = score(GreyPredictor(elsewhere), data, tmp_path / "ledger")
    assert found.mapped is None
    assert found.no_map is not None
    assert "no decided picture of the 2" in found.no_map
    assert "no operating point" in found.no_map
    other = OperatingPoint(profile="2026-01", threshold=0.0)
    found = score(GreyPredictor(elsewhere, point=other), data, tmp_path / "ledger")
    assert found.no_map is not None
    assert "for profile '2026-01', not for '2026-05'" in found.no_map
    fits = OperatingPoint(profile="2026-05", threshold=logit_of(104.5))
    found = score(GreyPredictor(elsewhere, point=fits), data, tmp_path / "ledger")
    assert found.mapped is not None
    assert found.mapped.reward.mean == pytest.approx(reward_at(REPORT, 104.5))


def test_few_pictures_of_select_fit_nothing(tmp_path) -> None:
    few = spread(MIN_GROUPS - 1, 1, 108, 180)
    data, ids = written(tmp_path / "data", [*REPORT, *spread(24, 0, 50, 100), *few])
    predictor = GreyPredictor(SeenPictures.from_ids(select=ids[len(REPORT) :]))
    found = score(predictor, data, tmp_path / "ledger")
    assert found.mapped is None
    assert found.no_map is not None
    assert f"{MIN_GROUPS - 1} groups with road work and 24 without" in found.no_map
    with pytest.raises(DataError, match=r"19 groups with road work and 24 without.*Name the data set"):
        fit_operating_point(
            predictor,
            select_of(predictor.bundle, data, tmp_path),
            FULL,
            settings=ReplaySettings(96),
            observer=Notes(),
        )


@pytest.mark.parametrize(
    ("select", "why"),
    [
        # Captions mark the road work of this data set, but for select's: by the label rule none of that is sent.
        (
            [*spread(24, 0, 50, 100), *[Shot(shot.grey, 1, caption="") for shot in spread(24, 1, 108, 180)]],
            "none with the label 1 can be sent",
        ),
        ([*[Shot(90, 0)] * 24, *[Shot(90, 1, caption="cones")] * 24], "All logits are equal"),
    ],
)
def test_a_score_does_not_fall_with_a_point_that_cannot_be_fitted(tmp_path, select, why) -> None:
    report = [*REPORT[:24], *[Shot(shot.grey, 1, caption="cones") for shot in REPORT[24:] * 2]]
    data, ids = written(tmp_path / "data", [*report, *select])
    predictor = GreyPredictor(SeenPictures.from_ids(select=ids[len(report) :]))
    watcher = Notes()
    found = score(predictor, data, tmp_path / "ledger", observer=watcher)
    assert found.mapped is None
    assert found.no_map is not None
    assert why in found.no_map
    assert found.no_map.startswith("No point can be fitted on `select`: ")
    assert "no operating point either" in found.no_map
    assert found.plain.mean == pytest.approx(reward_at(report, 128))
    assert watcher.notes[-1] == f"No map to 0.5: {found.no_map}"
    found = select_of(predictor.bundle, data, tmp_path)
    with pytest.raises(DataError, match=why):  # where only a point is asked for, it is an error
        fit_operating_point(predictor, found, FULL, settings=ReplaySettings(96), observer=Notes())


def test_a_broken_picture_of_select_costs_the_map_and_not_the_score(tmp_path) -> None:
    data, ids = written(tmp_path / "data", [*REPORT, *SELECT])
    predictor = GreyPredictor(SeenPictures.from_ids(select=ids[len(REPORT) :]))
    broken = next((tmp_path / "data").rglob(f"{ids[-1]}*"))
    broken.write_bytes(b"no picture")
    found = score(predictor, data, tmp_path / "ledger")
    assert found.no_map is not None
    assert f"Picture '{ids[-1]}' makes no challenge" in found.no_map
    assert found.plain.mean == pytest.approx(reward_at(REPORT, 128))


def test_what_a_map_lacks_is_known_before_the_reported_challenges_are_put(kerb, tmp_path) -> None:
    data, _ = kerb
    predictor, told = GreyPredictor(), []

    class Early(Notes):
        def note(self, message: str) -> None:
            told.append((message, len(predictor.asked)))

    found = score(predictor, data, tmp_path / "ledger", observer=Early())
    assert told[-1] == (f"No map to 0.5: {found.no_map}", 0)
    predictor, watcher = GreyPredictor(kerb[1]), Notes()
    score(predictor, data, tmp_path / "ledger", observer=watcher)
    assert [task for task in watcher.done if "challenges" in task] == ["challenges of select", "challenges"]


def test_undecided_pictures_and_whole_groups_of_seen_ones_are_left_out_and_counted(tmp_path) -> None:
    shots = [
        *REPORT,
        Shot(30, -1),
        Shot(31, 1, ambiguous=True),
        Shot(32, -1, ambiguous=True),
        Shot(40, 1, group="mixed"),
        Shot(41, 1, group="mixed"),
        Shot(42, -1, group="mixed"),
    ]
    data, ids = written(tmp_path / "data", shots)
    predictor = GreyPredictor(SeenPictures.from_ids(calib=[ids[-3]]))
    found = score(predictor, data, tmp_path / "ledger")
    left = found.left_out
    assert (left.n_seen, left.n_in_seen_groups, left.n_unknown, left.n_ambiguous) == (1, 3, 2, 1)
    assert set(predictor.asked) == {shot.grey for shot in REPORT}


def test_undecided_pictures_of_select_fit_nothing_either(tmp_path) -> None:
    shots = [*SELECT, Shot(250, -1), Shot(251, 0, ambiguous=True)]
    data, ids = written(tmp_path / "data", shots)
    bundle = GreyPredictor(SeenPictures.from_ids(select=ids)).bundle
    found = select_of(bundle, data, tmp_path)
    assert (found.counts.n, found.n_select) == (48, 50)
    assert {one.name for one in found.pictures} == set(ids[:48])


@pytest.mark.parametrize("part", ["train", "select", "calib"])
def test_what_an_ancestor_has_seen_is_seen(tmp_path, part) -> None:
    data, ids = written(tmp_path / "data", [*REPORT, *ELSE])
    ancestor = SeenPictures.from_ids(**{part: ids[len(REPORT) :]})
    child = ancestor.recertified(SeenPictures.from_ids(calib=["f" * 64]))
    predictor = GreyPredictor(child)
    assert score(predictor, data, tmp_path / "ledger").left_out.n_seen == len(ELSE)
    assert set(predictor.asked) == {shot.grey for shot in REPORT}


@pytest.mark.parametrize(
    ("shots", "message"),
    [
        ([*spread(24, 1, 60, 200)], "All that are left are with road work, in 24 groups"),
        ([*spread(24, 0, 60, 200), Shot(1, 1, ambiguous=True)], "without road work, in 24 groups"),
        (
            [*spread(24, 0, 60, 200), *spread(19, 1, 90, 220)],
            "19 groups with road work and 24 without; at least 20",
        ),
        (
            [*spread(24, 0, 60, 200), *(Shot(90 + n, 1, group="one street") for n in range(40))],
            "1 group with road work and 24 without",
        ),
        ([Shot(10, -1), Shot(11, 1, ambiguous=True)], "None is left"),
    ],
)
def test_too_little_is_refused_before_anything_is_asked(tmp_path, shots, message) -> None:
    data, _ = written(tmp_path / "data", shots)
    predictor = GreyPredictor()
    with pytest.raises(DataError, match=message):
        score(predictor, data, tmp_path / "ledger")
    assert predictor.asked == []


def test_all_seen_is_refused(kerb, tmp_path) -> None:
    data, _ = kerb
    everything = SeenPictures.from_ids(train=data.samples["id"].to_pylist())
    with pytest.raises(DataError, match="has learned from all 104 pictures of data set 'kerb'"):
        score(GreyPredictor(everything), data, tmp_path / "ledger")
    assert not (tmp_path / "ledger").exists()


def test_a_profile_without_challenges_is_refused_with_what_to_do(kerb, tmp_path) -> None:
    data, seen = kerb
    predictor = GreyPredictor(seen)
    with pytest.raises(ConfigError, match=r"'halted'.*no challenges.*such as '2026-05'.*before you spend"):
        score(predictor, data, tmp_path / "ledger", profile("halted"))
    assert predictor.asked == []
    with pytest.raises(ConfigError, match="no challenges"):
        fit_operating_point(
            predictor,
            select_of(predictor.bundle, data, tmp_path),
            profile("halted"),
            settings=ReplaySettings(),
            observer=Notes(),
        )


def test_the_ledger_counts_each_bundle_and_profile_once(kerb, tmp_path) -> None:
    data, seen = kerb
    ledger = tmp_path / "ledger"
    looks = [
        score(GreyPredictor(seen, name=name), data, ledger, which, challenges=96).test_openings
        for name, which in (("a", FULL), ("a", FULL), ("b", FULL), ("a", LEVELS))
    ]
    assert looks == [1, 1, 2, 3]


def test_captions_that_go_with_road_work_decide_what_is_sent(tmp_path) -> None:
    """As in the NATIX data: a real picture is used only where caption and label agree."""
    honest = [
        *(Shot(s.grey, s.label, caption="Cones." if s.label else None) for s in REPORT),
        *(Shot(240 + n, 0, caption="Cones after all.") for n in range(3)),
        *(Shot(10 + n, 1, caption="  ") for n in range(2)),
        Shot(250, 0, synthetic=True, caption="Drawn, so the rule is not for it."),
    ]
    data, _ = written(tmp_path / "data", honest)
    predictor = GreyPredictor()
    found = score(predictor, data, tmp_path / "ledger")
    assert found.against_label_rule == 5
    assert set(predictor.asked) == {shot.grey for shot in REPORT} | {250}
    described = [Shot(shot.grey, shot.label, caption="A street.") for shot in honest]
    data, _ = written(tmp_path / "described", described)
    assert score(GreyPredictor(), data, tmp_path / "ledger").against_label_rule == 0


def test_a_picture_that_cannot_be_read_ends_it(tmp_path) -> None:
    data, _ = written(tmp_path / "data", REPORT)
    data.paths()[5].write_bytes(b"no picture")
    with pytest.raises(DataError, match=data.samples["id"].to_pylist()[5]):
        score(GreyPredictor(), data, tmp_path / "ledger")


@pytest.mark.parametrize("which", [FULL, LEVELS], ids=lambda one: one.name)
def test_each_challenge_gets_the_logit_of_its_own_picture(tmp_path, which) -> None:
    """In batches of any size, with some asked already: centre crops and full pictures keep their grey."""
    data, ids = written(tmp_path / "data", SELECT)
    predictor = GreyPredictor(SeenPictures.from_ids(select=ids))
    deck = Deck.of(select_of(predictor.bundle, data, tmp_path).pictures, which)
    notes = Notes()
    asked = ask_in_batches(predictor, deck, ReplaySettings(challenges=221), FIT_STREAM, notes, "ask")
    assert len(asked) == 221
    assert notes.done["ask"] == (221, 221)
    assert max(predictor.batches) <= 2 * predictor.max_batch
    grey_of = {sample_id: shot.grey for sample_id, shot in zip(ids, SELECT, strict=True)}
    label_of = {sample_id: shot.label for sample_id, shot in zip(ids, SELECT, strict=True)}
    upright = asked.levels == 0
    assert upright.any()
    expected = [logit_of(grey_of[name]) for name in asked.pictures[upright]]
    np.testing.assert_allclose(asked.logits[upright], expected, atol=1.5 / GREYS_PER_LOGIT)
    assert asked.labels.tolist() == [label_of[name] for name in asked.pictures]


def test_the_same_bytes_are_asked_once(tmp_path) -> None:
    data, ids = written(tmp_path / "data", SELECT)
    predictor = GreyPredictor(SeenPictures.from_ids(select=ids))
    deck = Deck.of(select_of(predictor.bundle, data, tmp_path).pictures, FULL)
    asked = ask_in_batches(predictor, deck, ReplaySettings(challenges=500), FIT_STREAM, Notes(), "ask")
    assert len(asked) == 500
    assert len(predictor.asked) == len(set(asked.pictures)) == 48


@given(st.floats(0.01, 50), st.floats(-30, 30))
def test_one_half_is_where_platts_map_says(slope: float, intercept: float) -> None:
    calibrator = PlattCalibrator(slope=slope, intercept=intercept)
    at = logit_at_half(calibrator)
    assert at == pytest.approx(-intercept / slope, rel=1e-9, abs=1e-9)
    assert (
        calibrator.apply(np.array([at]))[0] <= 0.5 < calibrator.apply(np.array([np.nextafter(at, np.inf)]))[0]
    )


def test_one_half_of_a_map_in_steps() -> None:
    steps = IsotonicCalibrator(knots=(-1.0, 0.25, 2.0), probs=(0.1, 0.4, 0.9))
    at = logit_at_half(steps)
    logits = np.linspace(-3, 3, 1001)
    np.testing.assert_array_equal(steps.apply(logits) > 0.5, logits > at)
    always = IsotonicCalibrator(knots=(-1.0, 1.0), probs=(0.6, 0.7))
    never = IsotonicCalibrator(knots=(-1.0, 1.0), probs=(0.2, 0.5))
    assert logit_at_half(always) < -1000
    assert logit_at_half(never) > 1000
