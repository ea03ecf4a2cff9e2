"""What a folder holds is imported byte for byte, or left out with a reason, or refused with a line number."""

from __future__ import annotations

import json

import pytest

from workzone.core.errors import ConfigError, DataError
from workzone.data.dataset import verify_pictures
from workzone.data.importers.folder import import_folder
from workzone.data.importers.importing import IMPORT_LOG


@pytest.fixture
def folder(tmp_path, picture):
    root = tmp_path / "photos"
    for index, name in enumerate(
        ["none/v1_0.jpg", "none/v1_1.jpg", "roadwork/sub/v2_0.png", "unknown/v3_0.jpg"]
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(index, "PNG" if name.endswith("png") else "JPEG", 10 + index, 9))
    return root


def _labels(result) -> dict[str, int]:
    rows = result.dataset.samples.to_pylist()
    return {row["group"]: row["label"] for row in rows}


def test_class_directories(folder, tmp_path, observer):
    result = import_folder(folder, tmp_path / "out", group_from=r"(v\d+)_", observer=observer)
    assert _labels(result) == {"v1": 0, "v2": 1, "v3": -1}
    assert len(result.dataset) == 4
    assert result.skipped == ()
    stored = {path.read_bytes() for path in result.dataset.paths()}
    assert stored == {path.read_bytes() for path in folder.rglob("*.*")}
    assert sorted(result.dataset.samples["width_px"].to_pylist()) == [10, 11, 12, 13]
    verify_pictures(result.dataset)
    assert ("import pictures", 4, 4) in observer.steps
    assert result.dataset.name == "photos"


def test_numbers_as_class_names_and_named_group(tmp_path, picture):
    for index, name in enumerate(["0/a-1.jpg", "1/b-1.jpg"]):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        (tmp_path / "in" / name).write_bytes(picture(index))
    result = import_folder(tmp_path / "in", tmp_path / "out", group_from=r"(\d)/(?P<group>\w)-")
    assert _labels(result) == {"a": 0, "b": 1}


def test_unknown_class_directory_is_named(folder, tmp_path):
    (folder / "Roadworks").mkdir()
    with pytest.raises(DataError, match=r"Roadworks' is not named like a label.*'roadwork'"):
        import_folder(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_imported_is_left_out_with_its_reason(folder, tmp_path, picture, observer):
    (folder / "none/fake.jpg").write_text("this is a text")
    (folder / "none/cut.jpg").write_bytes(picture(9)[:-30])
    (folder / "none/.DS_Store").write_bytes(b"x")
    (folder / ".hidden").mkdir()
    (folder / "readme.txt").write_text("hello")
    (tmp_path / "elsewhere.jpg").write_bytes(picture(10))
    (folder / "none/link.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    result = import_folder(folder, tmp_path / "out", observer=observer)
    assert len(result.dataset) == 4
    lines = (tmp_path / "out" / IMPORT_LOG).read_text().splitlines()
    reasons = {entry["path"]: entry["reason"] for entry in map(json.loads, lines)}
    assert set(reasons) == {
        "none/fake.jpg",
        "none/cut.jpg",
        "none/.DS_Store",
        ".hidden",
        "readme.txt",
        "none/link.jpg",
    }
    assert "signature" in reasons["none/fake.jpg"]
    assert reasons["none/.DS_Store"] == "hidden"
    assert "leads out" in reasons["none/link.jpg"]
    assert {s.path: s.reason for s in result.skipped} == reasons
    assert any("6 files were left out" in note for note in observer.notes)


def test_identical_bytes_under_two_labels_are_refused_by_name(folder, tmp_path, picture):
    (folder / "roadwork/copy.jpg").write_bytes((folder / "none/v1_0.jpg").read_bytes())
    with pytest.raises(DataError, match=r"none/v1_0\.jpg.*roadwork/copy\.jpg.*identical bytes.*label"):
        import_folder(folder, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["photos"]


def test_duplicates_in_one_group_are_one_sample(folder, tmp_path):
    (folder / "none/v1_copy.jpg").write_bytes((folder / "none/v1_0.jpg").read_bytes())
    result = import_folder(folder, tmp_path / "out", group_from=r"(v\d+)")
    assert (len(result.dataset), result.duplicates) == (4, 1)


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("(v", ConfigError, "no regular expression"),
        (r"v\d", ConfigError, "captures nothing"),
        (r"(w\d)", DataError, "finds no group in 'none/v1_0.jpg'"),
    ],
)
def test_wrong_group_expressions(folder, tmp_path, pattern, error, message):
    with pytest.raises(error, match=message):
        import_folder(folder, tmp_path / "out", group_from=pattern)
    assert not (tmp_path / "out").exists()


def test_empty_and_missing_directories(tmp_path):
    (tmp_path / "empty/none").mkdir(parents=True)
    with pytest.raises(DataError, match="has no picture to import"):
        import_folder(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(DataError, match="is no directory"):
        import_folder(tmp_path / "absent", tmp_path / "out")
    (tmp_path / "empty/none/a.jpg").write_text("no")
    with pytest.raises(DataError, match=r"None of the 1 files.*none/a\.jpg"):
        import_folder(tmp_path / "empty", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]


def _csv(folder, text: str):
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_with_columns_of_the_schema(folder, tmp_path, observer):
    table = _csv(
        folder,
        "\ufefffile,label,group,weather,ambiguous,lat,captured_at,hard_negative\n"
        "none/v1_0.jpg,none,a,rain,1,48.2,2021-05-01T12:00:00+02:00,0\n"
        "roadwork/sub/v2_0.png,1,b,,0,,,1\n"
        "none/absent.jpg,0,c,,0,,,1\n",
    )
    result = import_folder(folder, tmp_path / "out", csv=table, observer=observer)
    rows = {row["group"]: row for row in result.dataset.samples.to_pylist()}
    assert set(rows) == {"a", "b"}
    assert (rows["a"]["weather"], rows["a"]["ambiguous"], rows["a"]["lat"]) == ("rain", True, 48.2)
    assert rows["a"]["captured_at"].isoformat() == "2021-05-01T10:00:00+00:00"
    assert rows["b"]["weather"] is None
    assert result.notes == ("Columns that are not known were left out: hard_negative.",)
    assert any("hard_negative" in note for note in observer.notes)
    assert [s.path for s in result.skipped] == ["none/absent.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,lable\nnone/v1_0.jpg,0\n", "lacks the column 'label'.*misspelt as 'lable'"),
        ("image,label\nnone/v1_0.jpg,0\n", "lacks the column 'file'"),
        ("file,path,label\na,b,0\n", "both a column 'file' and a column 'path'"),
        ("file,label,label\na,0,1\n", "'label' more than once"),
        ("", "lacks the column 'file'"),
        ("file,label\n", "has no picture to import"),
        (
            "file,label\nnone/v1_0.jpg,0\nnone/v1_1.jpg,maybe\n",
            "line 3 of 'labels.csv' has the label 'maybe'",
        ),
        ("file,label\n../secret.jpg,0\n", r"line 2 of 'labels.csv' names '\.\./secret.jpg'"),
        ("file,label\n/etc/passwd,0\n", "no path inside"),
        ("file,label\n,0\n", "no path inside"),
        ("file,label,lat\nnone/v1_0.jpg,0,north\n", "line 2 .*'north' in the column 'lat'"),
        ("file,label,lat\nnone/v1_0.jpg,0,nan\n", "degrees"),
        ("file,label,ambiguous\nnone/v1_0.jpg,0,perhaps\n", "expected one of"),
        ("file,label\nnone/v1_0.jpg\n", "fewer cells"),
        ("file,label\nnone/v1_0.jpg,0,1\n", "more cells"),
    ],
)
def test_wrong_csv_is_refused_with_its_line(folder, tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        import_folder(folder, tmp_path / "out", csv=_csv(folder, text))
    assert not (tmp_path / "out").exists()


def test_csv_in_another_encoding_or_absent(folder, tmp_path):
    table = folder / "labels.csv"
    table.write_bytes("file,label,caption\nnone/v1_0.jpg,0,Straße\n".encode("latin-1"))
    with pytest.raises(DataError, match="not a CSV in UTF-8"):
        import_folder(folder, tmp_path / "out", csv=table)
    with pytest.raises(DataError, match="does not exist"):
        import_folder(folder, tmp_path / "out", csv=folder / "absent.csv")


def test_a_taken_place_is_refused_before_anything_is_read(folder, tmp_path):
    import_folder(folder, tmp_path / "out")
    with pytest.raises(ConfigError, match="holds a data set already"):
        import_folder(folder, tmp_path / "out")
    assert len(import_folder(folder, tmp_path / "out", overwrite=True).dataset) == 4
