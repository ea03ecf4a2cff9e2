"""Splits, merged groups and the audit by command: what crosses ends with 3, what is wrong is one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from workzone.data.split import read_split


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of photos with places, times, sources and published splits."""
    from workzone.cli.app import run

    root = tmp_path_factory.mktemp("streets")
    assert run(f"data render --out {root / 'drawn'} --sequences 40 --frames 1 --workers 1".split()) == 0
    (root / "photos").mkdir()
    lines = ["file,label,group,source,lat,lon,captured_at,published_split"]
    for number, path in enumerate(sorted((root / "drawn" / "images").rglob("*.jpg"))):
        shutil.copyfile(path, root / "photos" / f"{number:02d}.jpg")
        part = ("train", "test")[number >= 30]
        lines.append(
            f"{number:02d}.jpg,{number % 2},g{number:02d},{'ab'[number >= 24]},{45 + number // 2 * 0.01},9.0,"
            f"2024-01-{1 + number // 2:02d}T00:00:00Z,{part}"
        )
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    listed = ["--csv", str(root / "labels.csv")]
    assert run(["data", "import", "folder", str(root / "photos"), "--out", str(root / "data"), *listed]) == 0
    return root


@pytest.mark.parametrize(
    ("options", "test_groups"),
    [
        ("--by source --test-source b", {f"g{i}" for i in range(24, 40)}),
        ("--by source --train-source a", {f"g{i}" for i in range(24, 40)}),
        ("--by time", {f"g{i}" for i in range(32, 40)}),
        ("--by published", {f"g{i}" for i in range(30, 40)}),
    ],
)
def test_who_is_test(invoke, streets: Path, tmp_path: Path, options: str, test_groups: set[str]) -> None:
    said = invoke("data", "split", streets / "data", "--out", tmp_path / "s", *options.split(), "--json")
    assert said.code == 0, said.err
    table = read_split(tmp_path / "s").table
    roles = zip(table["group"].to_pylist(), table["role"].to_pylist(), strict=True)
    assert {group for group, role in roles if role == "test"} == test_groups
    assert json.loads(said.out)["split_sha256"] == read_split(tmp_path / "s").sha256


def test_two_of_one_place_have_one_role(invoke, streets: Path, tmp_path: Path) -> None:
    said = invoke("data", "split", streets / "data", "--out", tmp_path / "s", "--by", "place")
    assert said.code == 0, said.err
    assert "form 20 units" in said.err
    table = read_split(tmp_path / "s").table
    role_of = dict(zip(table["group"].to_pylist(), table["role"].to_pylist(), strict=True))
    assert all(role_of[f"g{i:02d}"] == role_of[f"g{i + 1:02d}"] for i in range(0, 40, 2))


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ("--by source --test-source c", "no source 'c'"),
        ("--by sauce", "by"),
        ("--min-distance-m 5", "split by place"),
        ("--by time --folds 3", "means nothing to a split by time"),
    ],
)
def test_what_is_wrong_is_one_sentence(invoke, streets: Path, tmp_path: Path, options, fragment) -> None:
    said = invoke("data", "split", streets / "data", "--out", tmp_path / "s", *options.split())
    assert said.code == 2
    said.sentence(fragment)
    assert not (tmp_path / "s").exists()


def test_places_are_merged_into_a_new_data_set(invoke, streets: Path, tmp_path: Path) -> None:
    said = invoke(
        "data", "regroup", streets / "data", "--out", tmp_path / "new", "--within-m", "30", "--json"
    )
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert (answer["groups_before"], answer["groups"], answer["merged"]) == (40, 20, 20)
    again = invoke("data", "regroup", streets / "data", "--out", tmp_path / "new", "--within-m", "30")
    assert again.code == 2
    again.sentence("holds a data set already")
    plain = invoke("data", "regroup", streets / "data", "--out", tmp_path / "no")
    assert plain.code == 2
    plain.sentence("Say what links groups")


def test_an_audit_needs_a_data_set_and_fails_where_a_place_crosses(
    invoke, streets: Path, tmp_path: Path
) -> None:
    """A run of the split phase alone: pictures in pairs at one place, dealt one by one."""
    recipe = ["--recipe", "tiny", "--out", str(tmp_path / "run"), f"data.path={streets / 'data'}"]
    assert invoke("run", "split", *recipe).code == 0
    lost = invoke("audit", tmp_path / "run")
    assert lost.code == 2
    lost.sentence("Name it with --data")
    call = ["audit", tmp_path / "run", "--data", streets / "data", "--seeds", "2"]
    said = invoke(*call)
    assert said.code == 3
    assert "0.0 m apart" in said.out
    assert said.out.rstrip().endswith("FAIL")
    assert "careless: by picture" in said.out
    found = json.loads(invoke(*call, "--no-careless", "--json").out)
    assert found["status"] == "FAIL"
    assert found["careless"] is None
    assert {c["link"] for c in found["crossings"] if c["status"] == "FAIL"} == {"place"}
    assert (tmp_path / "run" / ".audit").is_dir()
    held = invoke("run", "split", *recipe, "split.by=place")
    assert held.code == 0, held.err
    assert invoke(*call, "--no-careless").code == 0
