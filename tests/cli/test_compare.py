"""`workzone compare` with whole bundles through the engine: exit codes, numbers, and what a person reads."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workzone.bundle.golden import GoldenSet
from workzone.bundle.seen import SeenPictures
from workzone.bundle.writer import write_bundle
from workzone.core.types import Label
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.schema import NewSample
from workzone.policy.calibrators import PlattCalibrator

GROUPS, FRAMES = 60, 2


@pytest.fixture(scope="module")
def colours(tmp_path_factory) -> DataSet:
    """Orange places with road work and blue ones without, in two frames of noise each; 1 of 6 has the wrong colour."""
    rng = np.random.default_rng(0)
    samples = []
    for group in range(GROUPS):
        orange = (group % 2 == 1) ^ (group % 6 == 0)
        for _ in range(FRAMES):
            pixels = rng.normal((240, 130, 10) if orange else (20, 60, 200), 10, (16, 16, 3)).clip(0, 255)
            buffer = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
            samples.append(NewSample(buffer.getvalue(), Label(group % 2), 16, 16, group=f"place{group:02d}"))
    return write_dataset(tmp_path_factory.mktemp("colours") / "data", samples, name="colours")


@pytest.fixture(scope="module")
def blind_bundle(tmp_path_factory, colour_builders) -> Path:
    """A bundle that sees next to no colour: every logit lies a little above 0, between the thresholds."""
    folder, weights, bias = tmp_path_factory.mktemp("blind"), (0.01, 0.0, 0.0), 0.1
    parts = colour_builders.make_parts(folder / "parts")
    pictures = [colour_builders.plain(c) for c in (colour_builders.ORANGE, colour_builders.BLUE)]
    logits = np.array(
        [colour_builders.expected_logit(p, colour_builders.PREPROCESSING, weights, bias) for p in pictures]
    )
    calibrator = PlattCalibrator(slope=1.0, intercept=0.0)
    changed = colour_builders.make_parts(
        folder / "changed",
        name="blind",
        model=colour_builders.mean_colour_network(folder / "blind.onnx", weights=weights, bias=bias),
        calibrator=calibrator,
        golden=GoldenSet(parts.golden.pictures, logits, calibrator.apply(logits), {"fp32": 0.01}),
    )
    write_bundle(folder / "bundle", changed)
    return folder / "bundle"


def fast(*arguments: object) -> tuple[object, ...]:
    return ("compare", *arguments, "--resamples", "200")


def test_the_better_bundle_is_shown_with_exit_0_and_a_file(
    invoke, colours, blind_bundle, colour_bundle, tmp_path
) -> None:
    said = invoke(
        *fast(blind_bundle, colour_bundle, colours.root, "--json", "--out", tmp_path / "found.json")
    )
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert json.loads((tmp_path / "found.json").read_text(encoding="utf-8")) == answer
    assert answer["b_is_better"] is True
    assert answer["statement"].startswith("B is better.")
    found = answer["comparison"]
    assert (found["n"], found["n_groups"], found["largest_group"]) == (GROUPS * FRAMES, GROUPS, FRAMES)
    measures = {measure["name"]: measure for measure in found["measures"]}
    assert measures["coverage"]["a"]["estimate"] == 0
    assert measures["coverage"]["b"]["estimate"] == 1
    assert measures["accuracy_at_half"]["a"]["estimate"] == pytest.approx(0.5)
    assert measures["accuracy_at_half"]["b"]["estimate"] == pytest.approx(5 / 6)
    assert {test["sampling"] for test in found["mcnemar"]} == {"every picture", "one per group"}


def test_what_is_not_shown_exits_with_3_and_says_what_could_have_been_seen(
    invoke, colours, colour_bundle
) -> None:
    said = invoke(*fast(colour_bundle, colour_bundle, colours.root, "--json"))
    assert said.code == 3
    answer = json.loads(said.out)
    assert answer["b_is_better"] is False
    assert "not shown that B is better" in answer["statement"]
    assert answer["comparison"]["detectable"][0]["reason"]
    assert answer["comparison"]["same_answers"] is True


def test_a_stricter_policy_of_the_same_model_is_a_trade_with_exit_3(
    invoke, colours, colour_bundle, colour_builders, tmp_path
) -> None:
    """B defers what A calls road work, right or wrong: fewer false alarms for less coverage."""
    parts = colour_builders.make_parts(tmp_path / "parts")
    stricter = replace(parts.policy, t_hi=1e6)
    write_bundle(tmp_path / "strict", replace(parts, policy=stricter))
    said = invoke(*fast(colour_bundle, tmp_path / "strict", colours.root, "--json"))
    assert said.code == 3, said.err
    answer = json.loads(said.out)
    assert (answer["b_is_better"], answer["comparison"]["finding"]) == (False, "trade")
    shown = {policy["name"]: policy["shown"] for policy in answer["comparison"]["policies"]}
    assert (shown["false_alarm_rate"], shown["coverage"]) == ("better", "worse")
    assert answer["statement"].startswith("A trade: B is better in false-alarm rate and worse in ")
    assert "At probability 0.5 both give the same answer to every picture" in answer["statement"]


def test_a_worse_bundle_exits_with_3_in_words_for_people(
    invoke, colours, blind_bundle, colour_bundle, tmp_path
) -> None:
    said = invoke(*fast(colour_bundle, blind_bundle, colours.root, "--out", tmp_path / "found.json"))
    assert said.code == 3, said.err
    for words in (
        "A is better.",
        "selective_fnr",
        "McNemar, one per group",
        "whole groups swapped",
    ):
        assert words in said.out
    assert "120 pictures of 60 groups of 'colours' (60 with road work, of 30 groups)." in said.out
    words = " ".join(said.out.split())
    assert "With 80% chance this comparison would have shown a true difference of 0." in words
    assert "B's policy against A's" in words
    assert "shown worse in coverage (-1.000" in words
    assert json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["b_is_better"] is False


def test_pictures_that_were_learned_from_are_refused_or_left_out(
    invoke, colours, colour_bundle, colour_builders, tmp_path
) -> None:
    rows = colours.samples.select(["id", "group"]).to_pylist()
    known = [row["id"] for row in rows if row["group"] in ("place00", "place01")]
    strangers = {part: colour_builders.sample_ids(part, 5) for part in ("select", "calib")}
    seen = SeenPictures.from_ids(train=known[:3], **strangers)
    parts = colour_builders.make_parts(tmp_path / "parts", seen=seen)
    write_bundle(tmp_path / "learned", parts)
    said = invoke(*fast(colour_bundle, tmp_path / "learned", colours.root))
    assert said.code == 1
    said.sentence("bundle B has learned from 3", "--unseen", "2 groups")
    said = invoke(*fast(colour_bundle, tmp_path / "learned", colours.root, "--unseen"))
    assert said.code == 3
    assert "Left out: 4 pictures of 2 groups, because A has learned from 0 pictures and B from 3." in said.out
    assert f"{GROUPS * FRAMES - 4} pictures of {GROUPS - 2} groups" in said.out


@pytest.mark.parametrize("option", [("--resamples", "0"), ("--seed", "-1")])
def test_bad_options_are_usage_errors(invoke, colours, colour_bundle, option) -> None:
    assert invoke("compare", colour_bundle, colour_bundle, colours.root, *option).code == 2


def test_what_is_no_bundle_or_no_data_set_fails_in_a_sentence(
    invoke, colours, colour_bundle, tmp_path
) -> None:
    assert invoke("compare", colour_bundle, tmp_path, colours.root).code == 1
    said = invoke("compare", colour_bundle, colour_bundle, tmp_path)
    assert said.code == 1
    said.sentence("no data set")
