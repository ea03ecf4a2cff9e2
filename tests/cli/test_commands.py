"""Every command: it helps, and it speaks JSON. One that is added without a line here fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from benchmarks.importing import write_file

from workzone.cli.app import app, run
from workzone.phases.recipe import load_recipe


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every group and command."""
    if path:
        yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


TREE = list(commands(typer.main.get_command(app)))
LEAVES = [path for path in TREE if not any(other[: len(path)] == path and other != path for other in TREE)]


@pytest.fixture(scope="module")
def place(tiny_run, tmp_path_factory, colour_bundle_made) -> Path:
    """A directory as a user's: `data`, `run`, and photos to import. Groups of the data set are split in `roles`."""
    root = tmp_path_factory.mktemp("place")
    tiny_run.copy(root)
    shutil.copytree(colour_bundle_made, root / "colour")
    # On the data that it was trained on a bundle is not certified anew.
    render = f"data render --out {root / 'fresh'} --sequences 48 --frames 1 --seed 9 --workers 1"
    assert run(render.split()) == 0
    (root / "limits.yaml").write_text("name: quick\nload: {seconds: 0.1}\nmcc: {warn: 0, fail: -1}\n")
    for label in ("none", "roadwork"):
        (root / "photos" / label).mkdir(parents=True)
    for number, path in enumerate(sorted((root / "data" / "images").rglob("*.jpg"))[:8]):
        shutil.copyfile(path, root / "photos" / ("none", "roadwork")[number % 2] / f"place{number}_0.jpg")
    _write_boxes(root)
    photos = sorted((root / "photos").rglob("*.jpg"))
    write_file(root / "natix.parquet", [path.read_bytes() for path in photos])
    return root


def _write_boxes(root: Path) -> None:
    """Write one picture with one box, in COCO's format and in YOLO's."""
    picture = next((root / "photos").rglob("*.jpg"))
    for folder in ("coco/train", "yolo/train/images", "yolo/train/labels"):
        (root / folder).mkdir(parents=True)
    shutil.copyfile(picture, root / "coco/train/a.jpg")
    coco = {
        "images": [{"id": 0, "file_name": "a.jpg"}],
        "categories": [{"id": 0, "name": "Traffic Cones"}],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 0, "bbox": [1, 1, 9, 9]}],
    }
    (root / "coco/train/_annotations.coco.json").write_text(json.dumps(coco))
    shutil.copyfile(picture, root / "yolo/train/images/a.jpg")
    (root / "yolo/train/labels/a.txt").write_text("0 .5 .5 .2 .2\n")
    (root / "yolo/data.yaml").write_text("train: ../train/images\nnames: [cone]\n")


IMPORTED = {"dataset", "skipped", "duplicates", "notes", "total", "roles"}

# Command → (its arguments, exit code, keys of its answer)
CALLS: dict[tuple[str, ...], tuple[str, int, set[str]]] = {
    ("data", "render"): (
        "--out new/d --sequences 4 --frames 1 --workers 1",
        0,
        {"dataset", "pictures", "sha256"},
    ),
    ("data", "import", "folder"): (
        "photos --out new/p --group-from (.+)_0",
        0,
        IMPORTED,
    ),
    ("data", "import", "coco"): ("coco --out new/c --qualifying cone", 0, IMPORTED),
    ("data", "import", "yolo"): ("yolo --out new/y --boxes-exhaustive", 0, IMPORTED),
    ("data", "import", "natix"): ("natix.parquet --out new/n", 0, IMPORTED),
    ("data", "import", "hf"): (
        "natix.parquet --out new/h --label-column label --label-map 1=1,0=0",
        0,
        IMPORTED,
    ),
    ("data", "check"): ("data --split run/split --out new/k", 0, {"path", "status", "results", "fixed"}),
    ("data", "diff"): ("data fresh", 0, {"identical", "sha256", "pictures_read"}),
    ("data", "fuse"): ("data fresh --out new/f", 0, {"dataset", "inputs", "shared", "dropped", "total"}),
    ("data", "regroup"): (
        "data --out new/r --near-duplicates",
        0,
        {"dataset", "sha256", "pictures", "groups_before", "groups", "merged", "hard_links"},
    ),
    ("data", "split"): ("data --out new/s", 0, {"split", "split_sha256", "roles"}),
    ("data", "show"): (
        "data --split run/split --sheet new/sheet.png --pictures 6",
        0,
        {"name", "sha256", "total", "roles", "boxes"},
    ),
    ("run",): ("--recipe tiny --out run data.path=data", 0, {"run", "dry_run", "phases"}),
    ("audit",): (
        "run --data data --seeds 2",
        0,
        {"run", "status", "crossings", "remarks", "roles", "careless"},
    ),
    ("report",): ("run", 0, {"answer", "provenance", "policy", "calibrator", "evaluation"}),
    ("predict",): ("run/bundle data/images --out new/a.parquet", 0, {"out", "pictures", "failed"}),
    ("plan", "certificate"): ("--alpha 0.05", 0, {"alpha", "delta", "rows", "groups_for_power"}),
    ("bundle", "verify"): ("run/bundle", 0, {"bundle", "verified", "digest"}),
    ("bundle", "show"): ("run/bundle", 0, {"name", "digest", "statement", "rule", "certified"}),
    ("compare",): (
        "run/bundle run/bundle fresh --resamples 50",
        3,
        {"b_is_better", "statement", "left_out", "comparison"},
    ),
    ("check",): (
        "run/bundle fresh --recipe limits.yaml",
        0,
        {"bundle", "digest", "status", "findings", "on", "best_batch"},
    ),
    ("bench", "serve"): (
        "run/bundle --pictures data/images --seconds 0.2",
        0,
        {"bundle", "loads", "pictures", "best_batch", "peak_memory_mib"},
    ),
    ("bundle", "cascade"): (
        "colour run/bundle --data fresh --out new/c",
        3,
        {"cascade", "digest", "stages", "paths", "cost_per_1000", "certifications"},
    ),
    ("subnet", "rehearsal"): ("new/rehearsal", 0, {"folder", "miner", "validator"}),
    ("subnet", "card"): (
        "run/bundle --submitted-by 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY --without-point --out new/card",
        0,
        {"card", "readme", "notes", "out"},
    ),
    ("subnet", "publish"): (
        "run/bundle --repo someone/road-work --submitted-by 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY "
        "--without-point --dry-run",
        0,
        {"repo", "dry_run", "card", "files", "documents", "without_transformers", "published", "out"},
    ),
    ("bundle", "recertify"): (
        "run/bundle fresh --out new/b --beta 0.5",
        3,
        {"bundle", "certified", "statement"},
    ),
    ("subnet", "score"): (
        "run/bundle fresh --profile 2026-05 --challenges 200 --resamples 20",
        0,
        {"bundle", "digest", "profile", "profile_state", "scored", "left_out", "plain", "mapped", "no_map"},
    ),
}


ENDLESS = {("serve", "run"), ("mine",)}
"""They do not end by themselves and speak through their logs."""
ELSEWHERE = {
    *ENDLESS,
    ("subnet", "point"),
    ("subnet", "state"),
    ("subnet", "ask"),
    ("subnet", "register"),
    *(("serve", "keys", verb) for verb in ("add", "list", "revoke")),
    ("matrix",),
    ("folds",),
}
"""Commands of whom tests of their own try more: a key's id is known only once it is made, and a matrix or a k-fold
takes several runs (tests/cli/test_matrix.py, tests/phases/test_pooled_folds.py); an operating point takes more pictures
of `select` than the tiny run has (tests/cli/test_subnet.py)."""


def test_every_command_has_a_line_here() -> None:
    assert set(CALLS) | {("demo",)} | ELSEWHERE == set(LEAVES)


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_every_command_helps(invoke, path: tuple[str, ...]) -> None:
    said = invoke(*path, "--help")
    assert said.code == 0
    assert f"Usage: workzone {' '.join(path)}" in said.out
    assert len(said.out.splitlines()) > 5
    if path in LEAVES and path not in ENDLESS:
        assert "--json" in said.out


def test_the_whole_helps_and_knows_its_version(invoke) -> None:
    said = invoke("--help")
    assert said.code == 0
    for name in {path[0] for path in TREE}:
        assert name in said.out
    assert invoke("--version").out.startswith("workzone ")


@pytest.mark.parametrize("path", CALLS, ids=" ".join)
def test_every_command_speaks_json_and_plainly(
    invoke, place, tiny_run, monkeypatch, path: tuple[str, ...]
) -> None:
    monkeypatch.chdir(place)
    arguments, code, keys = CALLS[path]
    for form in (["--json"], []):
        shutil.rmtree(place / "new", ignore_errors=True)
        (place / "new").mkdir()
        settings = tiny_run.settings if path == ("run",) else ()
        said = invoke(*path, *arguments.split(), *settings, *form)
        if path == ("bundle", "recertify") and said.code == 1:
            assert "higher logits do not mean road work" in said.err  # two epochs of training may be that bad
            return
        assert said.code == code, said.err
        if form:
            assert keys <= json.loads(said.out).keys()
            assert said.err == ""
        else:
            assert said.out.strip()
            assert "Traceback" not in said.out + said.err


def test_the_demo_ends_with_bundle_report_and_an_answer(invoke, tiny_run, tmp_path, monkeypatch) -> None:
    """The demo's recipe, set to the tiny run's settings, over the tiny run: only `pack` knows the other name."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_run.run, tmp_path / "runs" / "demo")
    shutil.copytree(tiny_run.data, tmp_path / "runs" / "demo" / "data")
    tiny = leaves(load_recipe("tiny", tiny_run.settings).model_dump(mode="json"))
    demo = leaves(load_recipe("demo").model_dump(mode="json"))
    settings = [
        f"{key}={json.dumps(value)}"
        for key, value in {**tiny, "render.sequences": 48, "render.frames": 2, "render.seed": 0}.items()
        if demo.get(key) != value and key not in ("name", "render")
    ]
    said = invoke("demo", "--json", *settings)
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert Path(answer["bundle"]).is_dir()
    assert Path(answer["report"]).is_file()
    assert "Cannot certify" in answer["statement"]
    assert Path(answer["example"]["image"]).is_file()
    said = invoke("demo", *settings)
    assert said.code == 0
    assert "Bundle: runs/demo/bundle" in said.out
    assert "Report: runs/demo/report/report.html" in said.out
    shutil.rmtree(tmp_path / "runs" / "demo" / "data")
    shutil.copytree(tiny_run.data, tmp_path / "runs" / "demo" / "data")
    said = invoke("demo", *settings, "render.seed=5")
    assert said.code == 2
    said.sentence("seed0-48x2", "seed5-48x2")


def leaves(value: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found.update(
            leaves(inner, f"{before}{key}.") if isinstance(inner, dict) else {f"{before}{key}": inner}
        )
    return found
