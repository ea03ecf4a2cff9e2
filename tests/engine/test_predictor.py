"""Answers against the network, calibrator and policy computed by hand."""

from __future__ import annotations

import dataclasses
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest

from workzone.bundle.golden import GoldenSet
from workzone.bundle.writer import write_bundle
from workzone.core.errors import BundleError, DataError, InferenceError
from workzone.core.types import Prediction, Verdict
from workzone.engine.predictor import Failure, Predictor, open_predictor


@pytest.fixture
def predictor(bundle_path):
    return open_predictor(bundle_path)


@pytest.mark.parametrize("colour", [(240, 130, 10), (120, 120, 120), (20, 60, 200)])
def test_the_answer_is_the_one_by_hand(predictor, factory, colour):
    answer = predictor.predict(factory.plain(colour))
    logit = factory.expected_logit(factory.plain(colour), factory.PREPROCESSING)
    assert answer.logit == pytest.approx(logit, abs=1e-5)
    assert answer.probability == pytest.approx(1 / (1 + math.exp(-(1.5 * logit + 0.1))), abs=1e-5)
    assert answer.verdict is (
        Verdict.ROADWORK if logit >= 1 else Verdict.NONE if logit < -1 else Verdict.DEFER
    )
    assert answer.certified
    assert answer.stage == "model"


def test_the_three_colours_are_the_three_verdicts(predictor, factory):
    verdicts = [
        predictor.predict(factory.plain(c)).verdict for c in (factory.ORANGE, factory.GREY, factory.BLUE)
    ]
    assert verdicts == [Verdict.ROADWORK, Verdict.DEFER, Verdict.NONE]


def test_bytes_path_text_and_array_give_one_answer(predictor, factory, tmp_path):
    picture = factory.plain(factory.ORANGE, size=40)
    path = tmp_path / "street.png"
    path.write_bytes(factory.encoded(picture))
    answers = [predictor.predict(s) for s in (picture, factory.encoded(picture), path, str(path))]
    assert len({a.logit for a in answers}) == 1
    assert [a.image for a in answers] == ["<array>", "<bytes>", str(path), str(path)]
    assert predictor.predict(picture, name="camera 7").image == "camera 7"


def test_without_a_certificate_nothing_is_certified(tmp_path, parts, factory):
    write_bundle(tmp_path / "b", dataclasses.replace(parts, policy=factory.refusing_policy()))
    answer = open_predictor(tmp_path / "b").predict(factory.plain(factory.BLUE))
    assert not answer.certified
    assert answer.verdict is Verdict.DEFER


def test_one_bad_picture_spoils_no_other(predictor, factory, tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("this is no picture")
    sources = [factory.plain(factory.ORANGE), text, tmp_path / "missing.jpg", factory.plain(factory.BLUE)] * 3
    for batch in (None, 1, 2, 5):
        answers = list(predictor.predict_many(sources, batch))
        assert [isinstance(a, Failure) for a in answers] == [False, True, True, False] * 3
        assert [a.image for a in answers[:3]] == ["<array>", str(text), str(tmp_path / "missing.jpg")]
        assert answers[0].verdict is Verdict.ROADWORK
        assert answers[3].verdict is Verdict.NONE
        assert "text.jpg" in answers[1].error


def test_many_only_bad_pictures(predictor):
    assert [type(a) for a in predictor.predict_many([b"a", b"b"])] == [Failure, Failure]
    assert list(predictor.predict_many([])) == []


def test_one_by_one_and_in_batches_agree(predictor, factory):
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(11)]
    single = [predictor.predict(p) for p in pictures]
    many = list(predictor.predict_many(pictures))
    np.testing.assert_allclose([a.logit for a in many], [a.logit for a in single], atol=1e-6)
    assert [a.verdict for a in many] == [a.verdict for a in single]


def test_sources_are_taken_a_batch_at_a_time(predictor, factory):
    taken = []

    def endless():
        for i in itertools.count():
            taken.append(i)
            yield factory.plain(factory.GREY)

    answers = predictor.predict_many(endless(), batch=1000)
    next(answers)
    assert len(taken) == 4  # the bundle's largest batch, whatever is asked
    answers.close()


def test_a_picture_that_cannot_be_decoded_is_a_data_error(predictor):
    with pytest.raises(DataError):
        predictor.predict(b"no picture")


class _Broken:
    """Gives NaN for the first picture of a batch."""

    def __init__(self, backend):
        self.backend = backend

    def run(self, images):
        output = self.backend.run(images)
        output.logits[0] = np.nan
        return output


def test_nan_is_an_error_never_an_answer(predictor, factory):
    broken = Predictor(predictor.bundle, _Broken(predictor._backend))
    with pytest.raises(InferenceError, match="nan"):
        broken.predict(factory.plain(factory.ORANGE))
    first, second = broken.predict_many([factory.plain(factory.ORANGE), factory.plain(factory.BLUE)])
    assert isinstance(first, Failure)
    assert isinstance(second, Prediction)
    assert second.verdict is Verdict.NONE


def test_latency_is_measured_with_the_clock_that_was_given(bundle_path, factory):
    ticks = itertools.count()
    predictor = open_predictor(bundle_path, clock=lambda: float(next(ticks)))
    assert predictor.predict(factory.plain(factory.GREY)).latency_ms == pytest.approx(2000)


def test_a_bundle_whose_golden_answers_differ_does_not_open(tmp_path, parts):
    golden = GoldenSet(
        parts.golden.pictures, parts.golden.logits + 0.5, parts.golden.probs, parts.golden.tolerances
    )
    write_bundle(tmp_path / "b", dataclasses.replace(parts, golden=golden))
    with pytest.raises(BundleError, match="other answers"):
        open_predictor(tmp_path / "b")


def test_a_bundle_with_a_broken_model_does_not_open(tmp_path, parts, factory):
    network = factory.mean_colour_network(tmp_path / "m.onnx", scale=0.0)
    write_bundle(tmp_path / "b", dataclasses.replace(parts, model=network))
    with pytest.raises(BundleError, match="not finite"):
        open_predictor(tmp_path / "b")


def test_a_flipped_byte_reaches_the_caller_of_the_package(bundle_path):
    import workzone

    model = bundle_path / "model.onnx"
    data = bytearray(model.read_bytes())
    data[100] ^= 1
    model.write_bytes(data)
    with pytest.raises(BundleError, match=r"model\.onnx"):
        workzone.open(bundle_path)


def test_answering_imports_nothing_heavy(bundle_path, factory, tmp_path):
    picture = tmp_path / "street.jpg"
    picture.write_bytes(factory.encoded(factory.plain(factory.ORANGE), "JPEG"))
    code = (
        "import sys, pathlib, workzone\n"
        f"predictor = workzone.open({str(bundle_path)!r})\n"
        f"assert predictor.predict({str(picture)!r}).verdict == 'roadwork'\n"
        "from workzone.engine.batch import find_pictures, predict_to_file\n"
        "from workzone.engine.results import ResultFormat\n"
        f"out, pictures = pathlib.Path({str(tmp_path / 'out.csv')!r}), [pathlib.Path({str(picture)!r})]\n"
        "predict_to_file(predictor, find_pictures(pictures), out, ResultFormat.CSV)\n"
        "heavy = {'torch', 'transformers', 'pyarrow', 'scipy', 'onnx', 'lightning', 'sklearn', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
