"""`workzone bundle cascade`, and `show`, `verify` and `predict` of what it makes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workzone.bundle.seen import SeenPictures
from workzone.bundle.writer import write_bundle
from workzone.cli.app import run
from workzone.data.dataset import open_dataset
from workzone.policy.cascade import PATH_ASSUMPTION

PLACES = 80


@pytest.fixture(scope="module")
def place(tmp_path_factory, colour_builders) -> Path:
    """`data`: 20 places each of orange and light (road work), blue and grey (none); `small` and `big`, to be stages."""
    b = colour_builders
    root = tmp_path_factory.mktemp("cascades")
    for number in range(PLACES):
        label, colour = [("roadwork", b.ORANGE), ("roadwork", b.LIGHT), ("none", b.BLUE), ("none", b.GREY)][
            number % 4
        ]
        pixels = b.plain(colour)
        pixels[0, 0] = np.array([number, 0, 0], dtype=np.uint8)
        (root / "photos" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / "photos" / label / f"{number}.png")
    options = ["--group-from", r"(\d+)\.png", "--licence", "CC0-1.0"]
    assert run(["data", "import", "folder", str(root / "photos"), "--out", str(root / "data"), *options]) == 0
    for name, policy in (("small", b.certified_policy()), ("big", b.certified_policy(t_lo=-0.2, t_hi=0.6))):
        write_bundle(root / name, b.make_parts(root / "parts" / name, name=name, policy=policy))
    return root


@pytest.fixture
def cascade(place, invoke, tmp_path) -> Path:
    """Certified for both stages; the first alone answers 20 of the 29 groups that it takes."""
    arguments = ["--alpha", "0.1", "--cost", "1", "--cost", "20", "--deadline-ms", "900", "--name", "colours"]
    said = invoke("bundle", "cascade", place / "small", place / "big", "--data", place / "data", "--out",
                  tmp_path / "c", *arguments)  # fmt: skip
    assert said.code == 0, said.err
    assert "All stages (small, then big): certified. With confidence 0.95" in said.out
    assert "While a later stage is out (small): only defers. Cannot certify" in said.out
    assert "at least 29 are needed: 9 more" in said.out
    assert f"Assumed: {PATH_ASSUMPTION}." in said.out
    return tmp_path / "c"


def test_show_says_what_it_costs_and_what_each_path_promises(invoke, cascade) -> None:
    said = json.loads(invoke("bundle", "show", cascade, "--json").out)
    assert (said["name"], said["policy"], said["certified"]) == ("colours", "cascade", True)
    assert [(s["name"], s["cost"], s["deadline_ms"], s["asked_per_1000"]) for s in said["stages"]] == [
        ("small", 1.0, 900.0, 1000.0),
        ("big", 20.0, 900.0, 500.0),
    ]
    assert said["cost_per_1000"] == {
        "as_calibrated": 11000.0,
        "with_roadwork": 11000.0,
        "without_roadwork": 11000.0,
    }
    assert [(path["stages"], path["certified"], path["coverage"]) for path in said["paths"]] == [
        (["small"], False, None),
        (["small", "big"], True, 1.0),
    ]
    assert said["assumptions"][-1] == PATH_ASSUMPTION
    plain = invoke("bundle", "show", cascade).out
    for words in (
        "Expected cost of 1,000 pictures: 11,000",
        "certified",
        "only defers",
        "Assumed:",
        "900 ms",
    ):
        assert words in plain


def test_verify_opens_every_stage_and_notices_a_change(invoke, cascade, place) -> None:
    said = invoke("bundle", "verify", cascade)
    assert said.code == 0
    for words in (
        "verified",
        "stage small:",
        "stage big:",
        "golden pictures answered as sealed",
        "1 of 2 paths",
    ):
        assert words in said.out
    answer = json.loads(invoke("bundle", "verify", cascade, "--json").out)
    assert answer["verified"]
    assert list(answer["stages"]) == ["small", "big"]
    said = invoke("bundle", "verify", cascade, "--certificate", place / "data")
    assert said.code == 2
    said.sentence("is a cascade", "workzone bundle cascade")
    card = cascade / "stages" / "big" / "CARD.md"
    card.write_text(card.read_text() + "!")
    said = invoke("bundle", "verify", cascade)
    assert said.code == 1
    said.sentence("CARD.md", "was changed")


def test_predict_names_the_stage_that_answered(invoke, cascade, place) -> None:
    lines = [
        json.loads(line) for line in invoke("predict", cascade, place / "photos", "--json").out.splitlines()
    ]
    assert len(lines) == PLACES
    said = {(line["stage"], line["verdict"], line["certified"]) for line in lines}
    assert said == {("small", "roadwork", True), ("small", "none", True), ("big", "roadwork", True),
                    ("big", "none", True)}  # fmt: skip
    assert "by stage big" in invoke("predict", cascade, place / "photos").out
    said = invoke("predict", cascade, place / "photos", "--timing")
    assert said.code == 1
    said.sentence("it is a cascade, which this does not take")


def test_a_dry_run_checks_and_writes_nothing(invoke, place, tmp_path) -> None:
    ledger = open_dataset(place / "data").root / "openings.jsonl"
    before = ledger.read_bytes() if ledger.exists() else None
    arguments = ("bundle", "cascade", place / "small", place / "big", "--data", place / "data", "--out",
                 tmp_path / "c", "--dry-run")  # fmt: skip
    said = invoke(*arguments)
    assert said.code == 0
    assert "Nothing was scored or written." in said.out
    assert "At most 40 groups with road work can count; at least 149 must be" in said.out
    answer = json.loads(invoke(*arguments, "--json").out)
    assert (answer["roadwork_groups"], answer["least_groups"], answer["stages"]) == (
        40,
        149,
        ["small", "big"],
    )
    assert not (tmp_path / "c").exists()
    assert (ledger.read_bytes() if ledger.exists() else None) == before


def test_too_few_groups_exit_with_3_and_the_cascade_only_defers(invoke, place, tmp_path) -> None:
    arguments = (
        "bundle",
        "cascade",
        place / "small",
        place / "big",
        "--data",
        place / "data",
        "--out",
        tmp_path / "c",
    )
    said = invoke(*arguments, "--json")
    assert said.code == 3
    answer = json.loads(said.out)
    assert not answer["certified"]
    assert "40 of 40 calibration groups count" in answer["paths"][1]["statement"]
    assert "149 are needed: 109 more" in answer["paths"][1]["statement"]
    lines = invoke("predict", tmp_path / "c", place / "photos", "--json").out.splitlines()
    assert {json.loads(line)["verdict"] for line in lines} == {"defer"}


def test_what_cannot_be_a_cascade_is_refused_in_one_sentence(
    invoke, colour_builders, place, tmp_path
) -> None:
    rest = ("--data", place / "data", "--out", tmp_path / "c")
    said = invoke("bundle", "cascade", place / "small", *rest)
    assert said.code == 2
    said.sentence("at least two stages, got 1")
    assert invoke("bundle", "cascade", place / "small", place / "small", *rest).sentence(
        "Two stages have one bundle"
    )
    for option in ("--alpha", "--delta"):
        said = invoke("bundle", "cascade", place / "small", place / "big", *rest, option, "1.5")
        assert said.code == 2
    ids = open_dataset(place / "data").samples["id"].to_pylist()
    seen = SeenPictures.from_ids(
        train=ids[:3], select=colour_builders.sample_ids("s", 5), calib=colour_builders.sample_ids("c", 5)
    )
    write_bundle(tmp_path / "seen", colour_builders.make_parts(tmp_path / "parts", seen=seen, name="seen"))
    said = invoke("bundle", "cascade", place / "small", tmp_path / "seen", *rest)
    assert said.code == 1
    said.sentence("3 by stage 'seen'", "3 groups whole")
    assert not (tmp_path / "c").exists()


def test_a_cascade_that_was_copied_works_without_the_rest(invoke, cascade, place, tmp_path) -> None:
    shutil.copytree(cascade, tmp_path / "machine" / "copy")
    shutil.rmtree(cascade)
    assert invoke("bundle", "verify", tmp_path / "machine" / "copy").code == 0


def test_other_commands_say_that_it_is_a_cascade(invoke, cascade, place) -> None:
    said = invoke("compare", cascade, place / "small", place / "data")
    assert said.code == 1
    said.sentence("it is a cascade")
