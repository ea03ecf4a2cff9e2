"""All checks together: their table, their JSON, and those that learn."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from workzone.core.errors import ConfigError, MissingExtraError
from workzone.core.types import Label, Status
from workzone.data.checks import judgement
from workzone.data.checks.check import CHECKS, check_dataset
from workzone.data.checks.outcome import MAX_OFFENDERS, CheckResult, share, worst


@pytest.fixture(scope="module")
def learnable(clean_subject):
    """The clean subject with features that hold the label, and a little noise: labels can be learned."""
    rng = np.random.default_rng(0)
    n = len(clean_subject)
    features = rng.normal(0, 0.3, (n, 24)).astype(np.float32)
    features += np.where(clean_subject.labels == Label.ROADWORK, 2, -2)[:, None]
    return replace(clean_subject, features=features)


def test_every_check_answers_under_its_own_name(bench, observer, split_for):
    dataset = bench.write(bench.samples())
    checked = check_dataset(dataset, split=split_for(dataset), observer=observer)
    assert [result.name for result in checked.results] == list(CHECKS)
    assert checked.status is worst(checked.results)
    assert ("checks", len(CHECKS), len(CHECKS)) in observer.steps
    document = json.loads(json.dumps(checked.document(), allow_nan=False))
    assert document["dataset"]["pictures"] == 48
    assert document["split_sha256"] == "0" * 64
    assert document["compared_by"] == document["embedding"] == "descriptor"
    assert {result["name"] for result in document["results"]} == set(CHECKS)
    for result in document["results"]:
        assert result["judged"] is (result["of"] > 0)
    with pytest.raises(KeyError):
        checked.result("no such check")


@pytest.mark.parametrize("near_m", [0.0, -1.0, float("nan"), float("inf")])
def test_a_distance_that_is_none_is_refused(bench, near_m):
    with pytest.raises(ConfigError, match="Places are near within"):
        check_dataset(bench.write(bench.samples()[:4]), near_m=near_m)


def test_an_embedder_is_asked_and_named(bench):
    class Constant:
        name = "constant"

        def __init__(self):
            self.seen = 0

        def __call__(self, images):
            self.seen += len(images)
            vectors = np.zeros((len(images), 3), np.float32)
            vectors[:, 0] = 1
            return vectors

    embedder = Constant()
    checked = check_dataset(bench.write(bench.samples()[:6]), embedder=embedder)
    assert checked.embedding == "constant"
    assert embedder.seen == 6
    assert checked.subject.features.shape == (6, 3)
    document = checked.document()
    assert (document["compared_by"], document["embedding"]) == ("descriptor", "constant")


def test_an_embedder_has_no_say_in_near_duplicates(bench, encoded):
    """One that tells no two pictures apart, and one to which all are strangers."""
    scene = np.asarray(Image.open(io.BytesIO(bench.samples()[0].image))).astype(np.int16)
    image = encoded((scene + 3).clip(0, 255).astype(np.uint8), quality=75)
    dataset = bench.write(bench.samples({1: {"image": image}})[:8])

    class Embedder:
        name = "fixed"

        def __init__(self, vectors):
            self.vectors = list(vectors)

        def __call__(self, images):
            return np.stack([self.vectors.pop() for _ in images])

    plain = check_dataset(dataset)
    assert len(plain.subject.duplicates.pairs) == 1
    for vectors in (np.eye(8, dtype=np.float32), np.tile(np.eye(8, dtype=np.float32)[0], (8, 1))):
        checked = check_dataset(dataset, embedder=Embedder(vectors))
        np.testing.assert_array_equal(checked.subject.duplicates.pairs, plain.subject.duplicates.pairs)
        assert checked.result("near_duplicates") == plain.result("near_duplicates")
        assert sorted(checked.subject.features.tolist()) == sorted(vectors.tolist())


def test_measurements_are_taken_up_from_a_cache(bench, tmp_path, monkeypatch):
    dataset = bench.write(bench.samples()[:6])
    first = check_dataset(dataset, cache=tmp_path / "cache")
    monkeypatch.setattr("workzone.data.facts.decode_image", None)
    again = check_dataset(dataset, cache=tmp_path / "cache")
    assert again.document() == first.document()


def test_offenders_are_bounded_and_all_are_listed(bench):
    samples = [
        replace(
            sample, camera=None if number % 12 == 0 else "left", image=sample.image + bytes([number // 48])
        )
        for number, sample in enumerate(bench.samples() * 18)
    ]
    result = CHECKS["missing_metadata"](bench.look(samples))
    assert result.count == len(result.samples) == 72
    assert len(result.offenders) == MAX_OFFENDERS


def test_the_worst_result_counts():
    passed = CheckResult("a", Status.PASS, 0, 1, "")
    warned = CheckResult("b", Status.WARN, 1, 1, "")
    failed = CheckResult("c", Status.FAIL, 1, 1, "")
    assert worst([]) is Status.PASS
    assert worst([passed, warned]) is Status.WARN
    assert worst([warned, failed, passed]) is Status.FAIL
    assert share(0, 0) == "0 of 0 pictures (0 %)"


def test_a_label_that_the_other_groups_contradict(learnable):
    pytest.importorskip("cleanlab")
    assert judgement.suspects(learnable).status is Status.PASS
    row = 7
    labels = learnable.labels.copy()
    labels[row] = 1 - labels[row]
    result = judgement.suspects(replace(learnable, labels=labels))
    assert result.status is Status.WARN
    assert result.samples == (str(learnable.ids[row]),)
    assert "--fix leaves them" in result.advice


@pytest.mark.parametrize("clue", ["source", "exif", "resolution"])
def test_what_gives_the_label_away(learnable, clue):
    pytest.importorskip("sklearn")
    roadwork = learnable.labels == Label.ROADWORK
    facts = learnable.facts
    subject = {
        "source": replace(learnable, sources=np.where(roadwork, "a", "b")),
        "exif": replace(learnable, facts=replace(facts, has_exif=roadwork)),
        "resolution": replace(
            learnable, facts=replace(facts, width_px=np.where(roadwork, 640, 512).astype(np.int32))
        ),
    }[clue]
    result = judgement.shortcuts(subject)
    assert result.status is Status.FAIL, result.summary
    assert result.advice


def test_too_few_labels_are_not_judged(learnable):
    unknown = replace(learnable, labels=np.full(len(learnable), -1, np.int8), decided=np.zeros(48, bool))
    for check in (judgement.shortcuts, judgement.suspects):
        result = check(unknown)
        assert (result.status, result.of) == (Status.PASS, 0)
        assert result.summary.startswith("Not judged: ")


def test_a_missing_library_is_no_pass(learnable, monkeypatch):
    def missing(*args, **kwargs):
        raise MissingExtraError("cleanlab", "check")

    monkeypatch.setattr(judgement, "label_suspects", missing)
    monkeypatch.setattr(judgement, "source_predicts_label", missing)
    for check in (judgement.shortcuts, judgement.suspects):
        result = check(learnable)
        assert result.status is Status.WARN
        assert "pip install 'workzone[check]'" in result.advice
