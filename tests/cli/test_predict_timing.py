"""`workzone predict --timing`: the same answers, and where their time went."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

STEPS = ["read", "hash", "decode", "fit", "normalise", "network", "calibrate", "policy", "other"]


@pytest.fixture
def streets(tmp_path):
    (tmp_path / "streets").mkdir()
    for number, colour in enumerate([(240, 130, 10), (120, 120, 120), (20, 60, 200)]):
        Image.fromarray(np.full((20, 30, 3), colour, dtype=np.uint8)).save(
            tmp_path / "streets" / f"{number}.png"
        )
    (tmp_path / "streets" / "9.png").write_bytes(b"no picture")
    return tmp_path / "streets"


def test_the_answers_are_the_same_and_the_steps_fill_the_time(invoke, colour_bundle, streets) -> None:
    def answers(*options: object) -> list[dict]:
        said = invoke("predict", colour_bundle, streets, "--json", *options)
        assert said.code == 1  # for the one that is no picture
        return [json.loads(line) for line in said.out.splitlines()]

    plain, timed = answers(), answers("--timing", "--repeats", 3)
    assert [row["verdict"] for row in plain] == ["roadwork", "defer", "none", None]
    for one, other in zip(plain, timed, strict=True):
        timing = other.pop("timing")
        assert other.pop("opened_ms") > 0
        assert (one.pop("latency_ms") is None) == (other.pop("latency_ms") is None) == (timing is None)
        assert one == other
        if timing is not None:
            assert [step["step"] for step in timing["steps"]] == STEPS
            assert timing["repeats"] == 3
            assert sum(step["share"] for step in timing["steps"]) == pytest.approx(1)
            assert timing["low_ms"] <= timing["median_ms"] <= timing["high_ms"]
            assert sum(step["first_ms"] for step in timing["steps"]) == pytest.approx(timing["first_ms"])


def test_people_get_a_table(invoke, colour_bundle, streets) -> None:
    said = invoke("predict", colour_bundle, streets / "0.png", "--timing", "--repeats", 2)
    assert said.code == 0
    for word in (*STEPS, "total", "share", "median ms", "roadwork", "2 runs after a warm-up"):
        assert word in said.out


def test_timing_goes_with_no_file_and_no_batch(invoke, colour_bundle, streets, tmp_path) -> None:
    said = invoke("predict", colour_bundle, streets, "--timing", "--out", tmp_path / "a.csv", "--batch", 2)
    assert said.code == 2
    said.sentence("does not go with --out and --batch")
    assert not (tmp_path / "a.csv").exists()
