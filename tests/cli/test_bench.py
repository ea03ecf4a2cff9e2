"""`workzone bench serve`: real answers under load, by numbers of callers that are asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def streets(tmp_path):
    (tmp_path / "streets").mkdir()
    for number in range(5):
        pixels = np.full((20 + number, 30, 3), 40 * number, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "streets" / f"{number}.png")
    return tmp_path / "streets"


def test_each_number_of_callers_has_its_load(invoke, colour_bundle, streets) -> None:
    (streets / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    arguments = ["--pictures", streets, "--concurrency", 2, "--concurrency", 3, "--seconds", 0.3]
    said = invoke("bench", "serve", colour_bundle, *arguments, "--json")
    assert said.code == 0, said.err
    assert said.err == ""
    answer = json.loads(said.out)
    assert [load["callers"] for load in answer["loads"]] == [2, 3]
    for load in answer["loads"]:
        assert load["answers"] >= 3
        assert load["seconds"] >= 0.3
        assert load["per_second"] == pytest.approx(load["answers"] / load["seconds"])
        latencies = [one["ms"] for one in load["latencies"] if one["ms"] is not None]
        assert latencies == sorted(latencies)
        # Little's law: callers = rate x mean latency; half of the answers take no longer than the median
        assert load["per_second"] * load["latencies"][0]["ms"] / 1000 < 2 * load["callers"]
    assert (answer["pictures"]["n"], answer["pictures"]["unreadable"]) == (5, 1)
    assert answer["best_batch"] in [batch["size"] for batch in answer["batches"]]
    assert answer["peak_memory_mib"] > 10
    plain = invoke("bench", "serve", colour_bundle, *arguments)
    assert plain.code == 0
    for words in ("1 left out as unreadable", "Best batch:", "Peak memory", "callers"):
        assert words in plain.out


def test_without_pictures_streets_are_rendered(invoke, colour_bundle) -> None:
    said = invoke("bench", "serve", colour_bundle, "--seconds", 0.1, "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert [load["callers"] for load in answer["loads"]] == [1, 8]
    assert answer["pictures"]["from"].startswith("rendered, 640 x 480")
    assert answer["pictures"]["unreadable"] == 0


def test_what_cannot_be_measured_is_a_sentence(invoke, colour_bundle, streets, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    said = invoke("bench", "serve", colour_bundle, "--pictures", tmp_path / "empty")
    assert said.code == 1
    said.sentence("No pictures in")
    for path in streets.iterdir():
        path.write_bytes(b"no picture")
    said = invoke("bench", "serve", colour_bundle, "--pictures", streets)
    assert said.code == 1
    said.sentence("None of 5 pictures can be decoded")
    said = invoke("bench", "serve", colour_bundle, "--backend", "onnxruntim")
    assert said.code == 2
    said.sentence("Did you mean 'onnxruntime'?")
    assert invoke("bench", "serve", colour_bundle, "--concurrency", 0).code == 2
