"""What a person gets wrong: one sentence on standard error, the right exit code, and nothing half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two pictures, and a table that labels them."""
    directory = tmp_path / "photos"
    directory.mkdir()
    for number in range(2):
        Image.fromarray(np.full((8, 8, 3), 100 * number, dtype=np.uint8)).save(directory / f"{number}.png")
    (directory / "labels.csv").write_text("file,label\n0.png,0\n1.png,1\n", encoding="utf-8")
    return directory


CSVS = {
    "no label column": ("file,lable\n0.png,0\n", ["labels.csv", "lacks the column 'label'", "'lable'"]),
    "no file column": ("name,label\n0.png,0\n", ["labels.csv", "lacks the column 'file'"]),
    "empty": ("", ["labels.csv", "lacks the column 'file'"]),
    "header alone": ("file,label\n", ["labels.csv", "no picture to import"]),
    "wrong label": ("file,label\n0.png,0\n1.png,maybe\n", ["line 3 of 'labels.csv'", "'maybe'"]),
    "label left out": ("file,label\n0.png,0\n1.png\n", ["line 3 of 'labels.csv'", "fewer cells"]),
    "wrong truth": (
        "file,label,ambiguous\n0.png,0,perhaps\n",
        ["line 2 of 'labels.csv'", "'perhaps'", "ambiguous"],
    ),
    "wrong place": ("file,label,lat\n0.png,0,91\n", ["line 2 of 'labels.csv'", "'91'", "degrees"]),
    "way out": ("file,label\n../secret.png,0\n", ["line 2 of 'labels.csv'", "'../secret.png'"]),
    "not text": ("file,label\n\xff.png,0\n".encode("latin-1"), ["labels.csv", "UTF-8"]),
    "same picture, two labels": ("file,label\n0.png,0\n0.png,1\n", ["0.png", "label"]),
}


@pytest.mark.parametrize("case", CSVS)
def test_a_wrong_table(invoke, photos, tmp_path, case: str) -> None:
    text, fragments = CSVS[case]
    (photos / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    said = invoke(
        "data", "import", "folder", photos, "--csv", photos / "labels.csv", "--out", tmp_path / "data"
    )
    assert said.code == 1
    said.sentence(*fragments)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"photos"}


def test_a_sound_table(invoke, photos, tmp_path) -> None:
    out = tmp_path / "data"
    assert invoke("data", "import", "folder", photos, "--csv", photos / "labels.csv", "--out", out).code == 0
    assert invoke("data", "show", out).code == 0
    again = invoke("data", "import", "folder", photos, "--csv", photos / "labels.csv", "--out", out)
    assert again.code == 2
    again.sentence(str(out))


@pytest.mark.parametrize(("arguments", "code", "fragments"), [
    (["data", "import", "folder", "nowhere", "--out", "new"], 1, ["nowhere"]),
    (["data", "import", "folder", "empty", "--out", "new"], 1, ["empty", "no picture to import"]),
    (["data", "import", "folder", "words", "--out", "new"], 1, ["roadwrok", "Did you mean 'roadwork'?"]),
    (["data", "import", "folder", "sound", "--out", "new", "--group-from", "("], 2, ["no regular expression"]),
    (["data", "import", "folder", "sound", "--out", "new", "--group-from", "x"], 2, ["captures nothing"]),
    (["data", "import", "folder", "sound", "--out", "new", "--group-from", "(q+)"], 1, ["finds no group"]),
    (["data", "import", "folder", "sound", "--csv", "no.csv", "--out", "new"], 1, ["no.csv"]),
    (["data", "show", "empty"], 1, ["empty"]),
    (["data", "show", "nowhere"], 1, ["nowhere"]),
    (["data", "split", "nowhere", "--out", "new"], 1, ["nowhere"]),
    (["data", "split", "nowhere", "--out", "new", "--train", "0.9"], 2, ["must be 1"]),
    (["data", "split", "nowhere", "--out", "new", "--folds", "3", "--fold", "3"], 2, ["fold 3 does not exist"]),
    (["data", "render", "--out", "new", "--shift", "nihgt"], 2, ["nihgt", "Did you mean 'night'?"]),
    (["data", "render", "--out", "sound"], 2, ["sound"]),
    (["run", "--recipe", "tinny", "--out", "new"], 2, ["There is no recipe 'tinny'", "Did you mean 'tiny'?"]),
    (["run", "--recipe", "no.yaml", "--out", "new"], 2, ["no.yaml"]),
    (["run", "--recipe", "unknown.yaml", "--out", "new"], 2, ["unknown.yaml", "'polcy'", "Did you mean 'policy'?"]),
    (["run", "--recipe", "nested.yaml", "--out", "new"], 2, ["policy.alhpa", "Did you mean 'alpha'?"]),
    (["run", "--recipe", "render.yaml", "--out", "new"], 2, ["render.sequnces", "Did you mean 'sequences'?"]),
    (["run", "--recipe", "tiny", "--out", "new", "render.sequnces=9"], 2, ["Did you mean 'sequences'?"]),
    (["run", "--recipe", "wrong.yaml", "--out", "new"], 2, ["policy.alpha", "1.5"]),
    (["run", "--recipe", "torn.yaml", "--out", "new"], 2, ["torn.yaml"]),
    (["run", "--recipe", "text.yaml", "--out", "new"], 2, ["text.yaml"]),
    (["run", "--recipe", "tiny", "--out", "new", "train.epochz=3"], 2, ["train.epochz", "Did you mean 'epochs'?"]),
    (["run", "--recipe", "tiny", "--out", "new", "trian.epochs=3"], 2, ["trian", "Did you mean 'train'?"]),
    (["run", "--recipe", "tiny", "--out", "new", "train.epochs=many"], 2, ["train.epochs", "many"]),
    (["run", "--recipe", "tiny", "--out", "new", "policy.alpha=0"], 2, ["policy.alpha"]),
    (["run", "--recipe", "tiny", "--out", "new", "split.train=0.9"], 2, ["must be 1"]),
    (["run", "--recipe", "tiny", "--out", "new"], 2, ["names no data set", "data.path"]),
    (["run", "--recipe", "tiny", "--out", "new", "data.path=nowhere"], 1, ["nowhere"]),
    (["run", "--recipe", "tiny", "--out", "new", "data.path=empty"], 1, ["empty"]),
    (["report", "nowhere"], 1, ["nowhere", "report"]),
    (["plan", "certificate", "--alpha", "0"], 2, ["alpha"]),
    (["plan", "certificate", "--alpha", "0.02", "--expected-miss", "0.03"], 2, ["0.03"]),
    (["demo", "--out", "new", "trian.epochs=3"], 2, ["trian", "Did you mean 'train'?"]),
])  # fmt: skip
def test_a_mistake(
    invoke, tmp_path, monkeypatch, arguments: list[str], code: int, fragments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "words" / "roadwrok").mkdir(parents=True)
    for label in ("none", "roadwork"):
        (tmp_path / "sound" / label).mkdir(parents=True)
        Image.new("RGB", (8, 8), "red" if label == "none" else "blue").save(
            tmp_path / "sound" / label / "p.png"
        )
    head = "defaults: [workzone, _self_]\nname: mine\n"
    for name, text in {
        "unknown.yaml": f"{head}polcy: {{alpha: 0.1}}\n",
        "nested.yaml": f"{head}policy: {{alhpa: 0.1}}\n",
        "render.yaml": f"{head}render: {{sequnces: 9}}\n",
        "wrong.yaml": f"{head}policy: {{alpha: 1.5}}\n",
        "torn.yaml": f"{head}policy: {{alpha: 0.1\n",
        "text.yaml": "just a sentence\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    said = invoke(*arguments)
    assert said.code == code
    said.sentence(*fragments)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("arguments", [["nonsense"], ["predict"], ["run", "--nonsense"], ["data", "render"],
                                       ["plan", "certificate", "--alpha", "much"]])  # fmt: skip
def test_what_typer_refuses_is_usage(invoke, arguments: list[str]) -> None:
    said = invoke(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err


def test_a_phase_that_does_not_exist(invoke, tiny_run) -> None:
    said = invoke("run", "evaulate", "--recipe", "tiny", "--out", tiny_run.run, f"data.path={tiny_run.data}")
    assert said.code == 2
    said.sentence("evaulate", "Did you mean 'evaluate'?")


def test_a_second_writer_is_told_who_the_first_is(invoke, tiny_run, tmp_path) -> None:
    import os

    from workzone.storage.lock import writer_lock

    with writer_lock(tmp_path / "run"):
        said = invoke(
            "run", "split", "--recipe", "tiny", "--out", tmp_path / "run", f"data.path={tiny_run.data}"
        )
    assert said.code == 1
    said.sentence("is being written by process", str(os.getpid()))


def test_a_data_set_too_small_to_split(invoke, photos, tmp_path) -> None:
    assert (
        invoke(
            "data", "import", "folder", photos, "--csv", photos / "labels.csv", "--out", tmp_path / "d"
        ).code
        == 0
    )
    said = invoke(
        "run", "split", "--recipe", "tiny", "--out", tmp_path / "run", f"data.path={tmp_path / 'd'}"
    )
    assert said.code == 1
    said.sentence("groups")
    assert not (tmp_path / "run" / "split").exists()
