"""`workzone data check`: its table, its files, its exit codes."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from workzone.core.errors import MissingExtraError
from workzone.core.types import Label
from workzone.data.checks.check import CHECKS
from workzone.data.dataset import write_dataset
from workzone.data.schema import NewSample


def sample(number: int, **columns) -> NewSample:
    rng = np.random.default_rng(number)
    pixels = np.kron(rng.integers(0, 256, (9, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    pixels = (pixels * 0.8 + rng.normal(20, 8, pixels.shape)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
    fields = {"image": buffer.getvalue(), "label": Label(number % 2), "group": f"g{number}", **columns}
    return NewSample(width_px=96, height_px=72, source="cam", daytime="day", **fields)


@pytest.fixture
def good(tmp_path):
    return write_dataset(tmp_path / "good", [sample(n) for n in range(6)], name="good")


@pytest.fixture
def bad(tmp_path):
    """One picture is cut short."""
    samples = [sample(n) for n in range(6)]
    samples.append(sample(7, image=sample(6).image[:900]))
    return write_dataset(tmp_path / "bad", samples, name="[red]bad[/red]")


def test_a_good_set_exits_with_0(invoke, good):
    said = invoke("data", "check", good.root, "--json")
    assert said.code == 0, said.out + said.err
    answer = json.loads(said.out)
    assert [result["name"] for result in answer["results"]] == list(CHECKS)
    assert answer["status"] in ("PASS", "WARN")
    assert answer["fixed"] is None
    plain = invoke("data", "check", good.root)
    assert plain.code == 0
    for name in CHECKS:
        assert name in plain.out


def test_a_fail_exits_with_3_also_after_fix(invoke, bad, tmp_path):
    said = invoke("data", "check", bad.root, "--out", tmp_path / "report", "--fix", tmp_path / "new")
    assert said.code == 3
    assert "FAIL decodable" in said.out
    assert "[red]bad[/red]" in said.out
    document = json.loads((tmp_path / "report" / "check.json").read_text())
    assert document["status"] == "FAIL"
    assert {p.name for p in (tmp_path / "report").iterdir()} == {"check.json", "check.html"}
    assert (tmp_path / "new" / "fix_log.jsonl").read_text().count("\n") == 1
    again = invoke("data", "check", tmp_path / "new", "--json")
    assert again.code == 0
    assert json.loads(again.out)["dataset"]["revision"] == "1-fixed"


def test_fix_as_json(invoke, bad, tmp_path):
    said = invoke("data", "check", bad.root, "--fix", tmp_path / "new", "--json")
    assert said.code == 3
    fixed = json.loads(said.out)["fixed"]
    assert (fixed["pictures"], fixed["removed"], fixed["changes"]) == (6, 1, 0)


def test_a_taken_target_is_refused_before_the_work(invoke, bad, good, monkeypatch):
    monkeypatch.setattr("workzone.data.checks.check.measure_dataset", None)
    said = invoke("data", "check", bad.root, "--fix", good.root)
    assert said.code == 2
    said.sentence("holds a data set already")


@pytest.mark.parametrize(
    ("arguments", "code", "fragment"),
    [
        (["--near-m", "0"], 2, "Places are near within"),
        (["--embedding", "nonsense"], 2, "names no embedder"),
        (["--split", "nowhere"], 1, "does not exist"),
    ],
)
def test_what_is_refused(invoke, good, arguments, code, fragment):
    said = invoke("data", "check", good.root, *arguments)
    assert said.code == code
    said.sentence(fragment)


def test_without_jinja_json_and_table_are_there(invoke, good, tmp_path, monkeypatch):
    def missing(module, extra):
        raise MissingExtraError(module, extra)

    monkeypatch.setattr("workzone.data.checks.page.require", missing)
    said = invoke("data", "check", good.root, "--out", tmp_path / "report")
    assert said.code == 0
    assert "workzone[report]" in said.err
    assert {p.name for p in (tmp_path / "report").iterdir()} == {"check.json"}
