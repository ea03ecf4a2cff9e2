"""Drawing balanced by label and source: exact shares, nothing forgotten, and a function of seed and epoch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workzone.core.errors import ConfigError
from workzone.storage.hashing import sha256_tree
from workzone.training.batches import EpochBatches, n_batches
from workzone.training.optimisation import drawn_positive_weight, positive_weight
from workzone.training.pictures import decided
from workzone.training.pixels import fitted_pictures
from workzone.training.probe import fit_head
from workzone.training.sampling import Drawing, drawing_of, label_weights
from workzone.training.settings import Imbalance, Sampling, TrainSettings
from workzone.training.train import train

# 60 of "a" (road work mostly), 30 of "b" (seldom), 10 of "c" (never), 4 that state nothing
SOURCES = ("a",) * 60 + ("b",) * 30 + ("c",) * 10 + ("",) * 4
LABELS = np.array([1] * 50 + [0] * 10 + [1] * 5 + [0] * 25 + [0] * 10 + [1, 0, 1, 0], np.int8)
EPOCHS = 40


def wanted(**values: Any) -> TrainSettings:
    return TrainSettings.model_validate(values)


def drawn(drawing: Drawing, epochs: int = EPOCHS) -> Counter[int]:
    return Counter(int(row) for epoch in range(epochs) for row in drawing.order(7, epoch))


def share(counts: Counter[int], rows: np.ndarray) -> float:
    return sum(counts[int(row)] for row in np.flatnonzero(rows)) / sum(counts.values())


def of(source: str, label: int | None = None) -> np.ndarray:
    there = np.array([one == source for one in SOURCES])
    return there if label is None else there & (label == LABELS)


def drawing(**values: Any) -> Drawing:
    made = drawing_of(LABELS, SOURCES, wanted(**values))
    assert made is not None
    return made


def test_natural_without_weights_is_left_as_it_was() -> None:
    assert drawing_of(LABELS, SOURCES, wanted()) is None
    assert drawing_of(LABELS, (), wanted()) is None, "sources play no part"
    assert wanted().sampling is Sampling.NATURAL


def test_by_label_both_come_equally_often_and_within_one_all_do() -> None:
    counts = drawn(drawing(sampling="label"))
    assert share(counts, LABELS == 1) == pytest.approx(0.5, abs=0.02)
    n = int((LABELS == 1).sum())
    assert share(counts, of("a", 1)) == pytest.approx(0.5 * 50 / n, abs=0.02)


def test_by_label_and_source_the_source_says_nothing_where_it_has_both_labels() -> None:
    counts = drawn(drawing(sampling="label_source"))
    for label, sources in ((1, ("a", "b", "")), (0, ("a", "b", "c", ""))):
        for source in sources:
            assert share(counts, of(source, label)) == pytest.approx(0.5 / len(sources), abs=0.02)


def test_weights_of_sources_multiply_what_they_would_have() -> None:
    plain = np.bincount(np.array([{"a": 0, "b": 1, "c": 2, "": 3}[s] for s in SOURCES])).astype(float)
    heavy = plain * [1, 3, 1, 1]
    counts = drawn(drawing(source_weights={"b": 3.0}))
    assert share(counts, of("b")) == pytest.approx(heavy[1] / heavy.sum(), abs=0.01)
    assert share(counts, of("b", 1)) / share(counts, of("b")) == pytest.approx(5 / 30, abs=0.02)
    counts = drawn(drawing(sampling="label_source", source_weights={"a": 2.0, "not stated": 0.5}))
    assert share(counts, of("a", 1)) == pytest.approx(0.5 * 2 / 3.5, abs=0.02)
    assert share(counts, of("", 1)) == pytest.approx(0.5 * 0.5 / 3.5, abs=0.02)


def test_a_weight_of_an_unknown_source_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"weighs the source 'kerb-cam'.*Did you mean 'kerb_cam'"):
        drawing_of(LABELS[:2], ("kerb_cam", "tram"), wanted(source_weights={"kerb-cam": 2}))
    with pytest.raises(ValidationError, match="greater than 0"):
        wanted(source_weights={"a": 0})
    with pytest.raises(ValidationError, match="a way of drawing of its own"):
        wanted(imbalance="balanced", sampling="label")


@pytest.mark.parametrize("sampling", ["natural", "label", "label_source"])
def test_every_epoch_has_as_many_draws_as_pictures_and_can_be_had_again(sampling: str) -> None:
    made = drawing(sampling=sampling, source_weights={"c": 4.0})
    first = made.order(0, 5)
    assert len(first) == len(LABELS)
    assert list(first) == list(made.order(0, 5))
    assert list(first) != list(made.order(0, 6))
    assert list(first) != list(made.order(1, 5))
    assert len(first) <= n_batches(LABELS, wanted(batch_size=1))


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abc")), min_size=2, max_size=40),
    st.sampled_from(list(Sampling)),
    st.dictionaries(st.sampled_from("abc"), st.floats(0.01, 100)),
    st.integers(0, 2**32 - 1),
)
def test_after_any_number_of_epochs_pictures_of_a_cell_came_equally_often(
    rows, sampling, weights, seed
) -> None:
    labels = np.array([label for label, _ in rows], np.int8)
    if len(set(labels.tolist())) < 2:
        labels[0], labels[1] = 0, 1
    sources = tuple(source for _, source in rows)
    known = {source: weight for source, weight in weights.items() if source in sources}
    made = drawing_of(labels, sources, wanted(sampling=sampling, source_weights=known))
    if made is None:
        return
    counts = np.zeros(len(labels), int)
    for epoch in range(6):
        order = made.order(seed, epoch)
        assert len(order) == len(labels)
        counts += np.bincount(order, minlength=len(labels))
        for cell in range(len(made.shares)):
            inside = counts[made.cells == cell]
            assert inside.max() - inside.min() <= 1
            assert inside.sum() == (epoch + 1) * made.counts()[cell] > 0
    assert np.abs(made.counts() - made.shares * len(labels)).max() < len(made.shares) + 1


def test_nothing_is_forgotten_however_little_it_is_worth() -> None:
    counts = drawn(drawing(source_weights={"not stated": 0.01}), 8)
    assert set(counts) >= set(np.flatnonzero(of("")).tolist())


def test_positives_are_weighted_by_how_often_they_are_drawn() -> None:
    for sampling in ("label", "label_source"):
        assert drawing(sampling=sampling).positive_share == pytest.approx(0.5)
    equal = drawing(source_weights={"a": 1.0})
    share_as_is = float((LABELS == 1).mean())
    assert equal.positive_share == pytest.approx(share_as_is)
    for imbalance in (Imbalance.POS_WEIGHT, Imbalance.NONE):
        assert drawn_positive_weight(share_as_is, imbalance) == pytest.approx(
            positive_weight(LABELS, imbalance)
        )


def test_weights_of_the_probe_give_each_cell_its_share_and_each_label_half() -> None:
    made = drawing(sampling="label_source")
    weights = label_weights(made, Imbalance.NONE)
    assert weights.mean() == pytest.approx(1)
    assert weights[of("b", 1)].sum() / len(LABELS) == pytest.approx(0.5 / 3)
    skewed = drawing(source_weights={"a": 5.0})
    assert label_weights(skewed, Imbalance.POS_WEIGHT)[LABELS == 1].sum() == pytest.approx(len(LABELS) / 2)
    assert label_weights(skewed, Imbalance.NONE)[LABELS == 1].sum() != pytest.approx(len(LABELS) / 2)


def test_a_probe_weighted_twice_is_a_probe_of_doubled_pictures(recorder: Any) -> None:
    """What a weight means, by scikit-learn's own loss: weight 2 is the picture twice."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 3)).astype(np.float32)
    labels = (features[:, 0] + rng.normal(size=40) > 0).astype(np.int8)
    features -= features.mean(axis=0)
    twice = np.arange(40) < 10
    weights = np.where(twice, 2.0, 1.0)
    # Almost no penalty: the two fits standardise by other spreads, which only the penalty would feel.
    free = TrainSettings(method="probe", imbalance="none", probe_penalties=(1e6,))
    doubled = np.concatenate([features, features[twice]])
    both = np.concatenate([labels, labels[twice]])
    weighted, bias, _ = fit_head(features, labels, features, labels, free, recorder, weights)
    repeated, bias_of_repeated, _ = fit_head(doubled, both, features, labels, free, recorder)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-2)
    assert bias == pytest.approx(bias_of_repeated, abs=1e-2)
    plain, _, _ = fit_head(features, labels, features, labels, free, recorder)
    assert np.abs(plain - repeated).max() > 0.05, "the weights do something"


def test_batches_follow_the_drawing(parts: Any, preprocessing: Any, tmp_path: Any, recorder: Any) -> None:
    pictures = decided(parts[0], "train", recorder)
    fitted = fitted_pictures(pictures, preprocessing, tmp_path / "c", recorder, "d")
    rare = tuple("rare" if row < 2 else "common" for row in range(len(pictures)))
    one = wanted(batch_size=8, sampling="label_source")
    made = drawing_of(pictures.labels, rare, one)
    batches = EpochBatches(fitted, preprocessing, one, 3, made)
    targets = np.concatenate([batches[k][1].numpy() for k in range(len(batches))])
    assert len(targets) == len(pictures)
    assert targets.mean() == 0.5
    assert Counter(made.order(one.seed, 3).tolist())[0] == 8, (
        "half of the road work's draws, of 16, go to one picture"
    )


class Interrupted(RuntimeError):
    pass


class Interrupting:
    def __init__(self, at: int) -> None:
        self.at = at

    def progress(self, task: str, done: int, total: int | None) -> None:
        if (task, done) == ("train", self.at):
            raise Interrupted

    def note(self, message: str) -> None:
        pass


@pytest.mark.parametrize("at", [3, 7])
def test_a_training_that_draws_by_source_resumes_to_the_same_files(
    parts: Any, settings: TrainSettings, preprocessing: Any, tmp_path: Any, recorder: Any, at: int
) -> None:
    for number, part in enumerate(parts):
        part.sources = np.array(["a" if row % 5 else "b" for row in range(number, number + len(part.ids))])
    one = settings.model_copy(update={"sampling": Sampling.LABEL_SOURCE, "source_weights": {"b": 2.0}})
    train(*parts, one, preprocessing, tmp_path / "calm", tmp_path / "undisturbed", recorder)
    with pytest.raises(Interrupted):
        train(*parts, one, preprocessing, tmp_path / "w", tmp_path / "half", Interrupting(at))
    recorder.steps.clear()
    train(*parts, one, preprocessing, tmp_path / "w", tmp_path / "resumed", recorder)
    assert sha256_tree(tmp_path / "undisturbed") == sha256_tree(tmp_path / "resumed")
    steps = [step[1] for step in recorder.steps if step[0] == "train"]
    assert steps[0] == at // 4 * 4 + 1, "whole epochs are kept"

    train(*parts, settings, preprocessing, tmp_path / "n", tmp_path / "natural", recorder)
    assert sha256_tree(tmp_path / "natural") != sha256_tree(tmp_path / "undisturbed"), (
        "and the drawing matters"
    )


def test_another_source_of_the_same_pictures_does_not_go_on_from_this_state(
    parts: Any, settings: TrainSettings, preprocessing: Any, tmp_path: Any, recorder: Any
) -> None:
    one = settings.model_copy(update={"sampling": Sampling.LABEL_SOURCE, "epochs": 1})
    train(*parts, one, preprocessing, tmp_path / "w", tmp_path / "1", recorder)
    recorder.steps.clear()
    parts[0].sources = np.array(["x" if row < 5 else "y" for row in range(len(parts[0].ids))])
    train(*parts, one, preprocessing, tmp_path / "w", tmp_path / "2", recorder)
    assert [step for step in recorder.steps if step[0] == "train"]


def test_a_wrong_source_is_said_before_anything_is_decoded(
    parts: Any, settings: TrainSettings, preprocessing: Any, tmp_path: Any, recorder: Any
) -> None:
    for method in ("finetune", "probe"):
        wrong = TrainSettings(method=method, source_weights={"kerb": 2.0})
        with pytest.raises(ConfigError, match="'kerb', which no picture of train has"):
            train(*parts, wrong, preprocessing, tmp_path / "w", tmp_path / "out", recorder)
    assert not [step for step in recorder.steps if step[0].startswith(("decode", "features"))]
