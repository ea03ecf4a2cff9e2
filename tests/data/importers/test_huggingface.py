"""Data sets as `datasets` writes them, made here byte for byte in its formats: chosen columns, refused guesses."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Label
from workzone.data.importers.huggingface import HubImagesSource, parse_label_map
from workzone.data.importers.importing import import_source
from workzone.data.known_overlaps import find_overlaps

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
NAMES = ["none", "roadwork"]


def _schema(types, features):
    """With the note that `datasets` leaves in an Arrow schema."""
    note = json.dumps({"info": {"features": features}})
    return pa.schema(list(types.items())).with_metadata({"huggingface": note} if features else None)


def _features(names=NAMES, **more):
    return {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}, **more}


def _table(picture, count=6, start=0, names=NAMES, columns=None, features=None, **types):
    """Pictures with classes in turn; `columns` adds or replaces some."""
    numbers = range(start, start + count)
    values = {
        "image": [{"bytes": picture(i), "path": f"{i}.jpg"} for i in numbers],
        "label": [i % 2 for i in numbers],
    }
    values |= columns or {}
    kinds = {"image": IMAGE, "label": pa.int64()} | types
    made = _features(names) if features is None else features
    return pa.table({k: pa.array(v, kinds.get(k)) for k, v in values.items()}).replace_schema_metadata(
        _schema({}, made).metadata
    )


def _save_to_disk(directory, table, files=("data-00000-of-00001.arrow",)):
    """As `Dataset.save_to_disk` of datasets 5 does."""
    directory.mkdir(parents=True)
    step = -(-table.num_rows // len(files))
    for i, name in enumerate(files):
        with pa.OSFile(str(directory / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.slice(i * step, step), max_chunksize=2)
    state = {"_data_files": [{"filename": name} for name in files], "_fingerprint": "0123", "_split": None}
    (directory / "state.json").write_text(json.dumps(state))
    (directory / "dataset_info.json").write_text("{}")


def _import(source, tmp_path):
    return import_source(source, tmp_path / "out")


def _labels(result):
    return sorted(row["label"] for row in result.dataset.samples.to_pylist())


def test_parquet_as_on_the_hub(tmp_path, picture):
    (tmp_path / "set/data").mkdir(parents=True)
    pq.write_table(_table(picture), tmp_path / "set/data/train-00000-of-00001.parquet", row_group_size=2)
    pq.write_table(_table(picture, 3, start=6), tmp_path / "set/data/validation-00000-of-00001.parquet")
    result = _import(HubImagesSource(tmp_path / "set"), tmp_path)
    samples = result.dataset.samples.to_pylist()
    assert {path.read_bytes() for path in result.dataset.paths()} == {picture(i) for i in range(9)}
    assert _labels(result) == [0] * 5 + [1] * 4
    assert sorted(row["published_split"] for row in samples) == ["train"] * 6 + ["val"] * 3
    assert result.dataset.name == "set"
    assert all(row["group"] == row["id"] for row in samples)


def test_the_overlap_of_natix_and_roadwork_is_noticed_by_their_sources(tmp_path, picture):
    pq.write_table(_table(picture), tmp_path / "a.parquet")

    def made(out, **settings):
        source = HubImagesSource(tmp_path / "a.parquet", **settings)
        return source, import_source(source, tmp_path / out).dataset

    hub, natix = made("natix", name="mine", source="natix-network-org/roadwork")
    local, roadwork = made("roadwork", name="ROADWork")
    assert set(natix.samples["source"].to_pylist()) == {"natix-network-org/roadwork"}
    assert set(roadwork.samples["source"].to_pylist()) == {"ROADWork"}
    (found,) = find_overlaps([natix, roadwork])
    assert found.clues == ("source 'natix-network-org/roadwork'", "name 'ROADWork'")
    assert hub.identity() != local.identity()


def test_saved_to_disk_gives_the_same_pictures_and_labels(tmp_path, picture):
    pq.write_table(_table(picture), tmp_path / "a.parquet")
    _save_to_disk(
        tmp_path / "saved", _table(picture), ("data-00000-of-00002.arrow", "data-00001-of-00002.arrow")
    )
    a = import_source(HubImagesSource(tmp_path / "a.parquet", name="x"), tmp_path / "a").dataset
    b = import_source(HubImagesSource(tmp_path / "saved", name="x"), tmp_path / "b").dataset
    assert a.sha256 == b.sha256


def test_saved_splits_become_published_splits(tmp_path, picture):
    _save_to_disk(tmp_path / "saved/train", _table(picture))
    _save_to_disk(tmp_path / "saved/test", _table(picture, 2, start=6))
    (tmp_path / "saved/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    (tmp_path / "saved/train/data-00000-of-00009.arrow").write_bytes(b"left from another save")
    result = _import(HubImagesSource(tmp_path / "saved"), tmp_path)
    splits = [row["published_split"] for row in result.dataset.samples.to_pylist()]
    assert sorted(splits) == ["test"] * 2 + ["train"] * 6


def test_written_by_datasets_itself(tmp_path, picture):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    rows = {
        "image": [{"bytes": picture(i), "path": None} for i in range(6)],
        "label": [i % 2 for i in range(6)],
    }
    made = datasets.Dataset.from_dict(rows, features=features)
    made.save_to_disk(tmp_path / "saved")
    made.to_parquet(tmp_path / "a.parquet")
    a = import_source(HubImagesSource(tmp_path / "a.parquet", name="x"), tmp_path / "a").dataset
    b = import_source(HubImagesSource(tmp_path / "saved", name="x"), tmp_path / "b").dataset
    assert a.sha256 == b.sha256
    assert {path.read_bytes() for path in a.paths()} == {picture(i) for i in range(6)}


def test_a_group_column(tmp_path, picture):
    clips = [7, 7, 7, 8, 8, None]
    pq.write_table(_table(picture, columns={"clip": clips}), tmp_path / "a.parquet")
    result = _import(HubImagesSource(tmp_path / "a.parquet", group_column="clip"), tmp_path)
    groups = sorted(row["group"] for row in result.dataset.samples.to_pylist() if len(row["group"]) == 1)
    assert groups == ["7", "7", "7", "8", "8"]
    with pytest.raises(ConfigError, match=r"no column 'clips' \(--group-column\). Did you mean 'clip'\?"):
        HubImagesSource(tmp_path / "a.parquet", group_column="clips")


def test_class_names_by_a_map(tmp_path, picture):
    pq.write_table(_table(picture, names=["clear road", "digging"]), tmp_path / "a.parquet")
    with pytest.raises(
        ConfigError, match=r"classes 'clear road', 'digging'; what these mean is not said.*--label-map"
    ):
        HubImagesSource(tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=r"not said: 'clear road'"):
        HubImagesSource(tmp_path / "a.parquet", label_map={"digging": Label.ROADWORK})
    with pytest.raises(ConfigError, match=r"names the class 'diging'.*Did you mean 'digging'"):
        HubImagesSource(tmp_path / "a.parquet", label_map={"diging": Label.ROADWORK})
    meanings = parse_label_map("digging=1,clear road=-1")
    result = _import(HubImagesSource(tmp_path / "a.parquet", label_map=meanings), tmp_path)
    assert _labels(result) == [-1] * 3 + [1] * 3


@pytest.mark.parametrize("text", ["roadwork", "a=2", "=1", "a=1,a=0", "", "a=1,,b=0"])
def test_a_label_map_that_is_not_written_so_is_refused(text):
    with pytest.raises(ConfigError, match="CLASS=LABEL"):
        parse_label_map(text)


def test_a_label_map_may_have_any_names():
    assert parse_label_map("x=y=1, none =0") == {"x=y": Label.ROADWORK, "none": Label.NONE}


def test_numbers_without_names_need_a_map(tmp_path, picture):
    pq.write_table(_table(picture, features={}), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="'label' has the values '0', '1'; what these mean is not said"):
        HubImagesSource(tmp_path / "a.parquet")
    source = HubImagesSource(tmp_path / "a.parquet", label_map=parse_label_map("0=1,1=0"))
    assert _labels(_import(source, tmp_path)) == [0] * 3 + [1] * 3


def test_words_need_no_map_and_missing_labels_are_unknown(tmp_path, picture):
    words = ["Roadwork", "none", None, "unknown", "none", "none"]
    pq.write_table(
        _table(picture, columns={"label": words}, features={}, label=pa.string()), tmp_path / "a.parquet"
    )
    result = _import(HubImagesSource(tmp_path / "a.parquet"), tmp_path)
    assert _labels(result) == [-1, -1, 0, 0, 0, 1]
    assert result.notes == ("1 rows have no label; they are unknown.",)


@pytest.mark.parametrize("value", [None, -1])
def test_a_class_number_of_minus_one_or_none_is_no_label(tmp_path, picture, value):
    pq.write_table(_table(picture, columns={"label": [0, 1, value, 0, 1, 0]}), tmp_path / "a.parquet")
    assert _labels(_import(HubImagesSource(tmp_path / "a.parquet"), tmp_path)) == [-1, 0, 0, 0, 1, 1]


def test_a_class_number_without_a_name_ends_the_import(tmp_path, picture):
    pq.write_table(_table(picture, columns={"label": [0, 1, 2, 0, 1, 0]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"'a\.parquet#2' has the class 2 in 'label', which names 2 classes"):
        _import(HubImagesSource(tmp_path / "a.parquet"), tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_column_of_many_values_is_no_label(tmp_path, picture):
    pictures = [picture(0)] * 200
    table = pa.table({"image": pictures, "label": [str(i) for i in range(200)]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="more than 100 different values"):
        HubImagesSource(tmp_path / "a.parquet")


def test_two_columns_of_pictures_must_be_chosen_from(tmp_path, picture):
    rear = [{"bytes": picture(i + 20), "path": None} for i in range(6)]
    features = _features(rear={"_type": "Image"})
    pq.write_table(
        _table(picture, columns={"rear": rear}, features=features, rear=IMAGE), tmp_path / "a.parquet"
    )
    with pytest.raises(
        ConfigError, match=r"2 columns may hold the pictures: image, rear. Choose one with --image-column"
    ):
        HubImagesSource(tmp_path / "a.parquet")
    result = _import(HubImagesSource(tmp_path / "a.parquet", image_column="rear"), tmp_path)
    assert {path.read_bytes() for path in result.dataset.paths()} == {picture(i + 20) for i in range(6)}


def test_two_label_columns_must_be_chosen_from(tmp_path, picture):
    features = _features(weather={"names": ["dry", "wet"], "_type": "ClassLabel"})
    pq.write_table(_table(picture, columns={"weather": [0] * 6}, features=features), tmp_path / "a.parquet")
    with pytest.raises(
        ConfigError, match=r"2 columns may hold the labels: label, weather. Choose one with --label"
    ):
        HubImagesSource(tmp_path / "a.parquet")
    assert (
        _labels(_import(HubImagesSource(tmp_path / "a.parquet", label_column="label"), tmp_path))
        == [0] * 3 + [1] * 3
    )


def test_without_a_fitting_column_all_are_listed(tmp_path, picture):
    pq.write_table(pa.table({"x": [1.0], "url": ["https://…"]}), tmp_path / "a.parquet")
    with pytest.raises(
        ConfigError, match=r"No column holds pictures. There are: x \(double\), url \(string\)"
    ):
        HubImagesSource(tmp_path / "a.parquet")
    pq.write_table(pa.table({"image": [picture(0)]}), tmp_path / "b.parquet")
    with pytest.raises(ConfigError, match="No column holds labels"):
        HubImagesSource(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_column": "imag"}, r"no column 'imag' \(--image-column\). Did you mean 'image'"),
        ({"image_column": "label"}, "'label' has the type int64, which holds no pictures"),
        ({"label_column": "labels"}, r"no column 'labels' \(--label-column\). Did you mean 'label'"),
        ({"label_column": "image"}, "'image' has the type .*, which holds no labels"),
    ],
)
def test_a_wrong_choice_is_refused(tmp_path, picture, settings, message):
    pq.write_table(_table(picture), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=message):
        HubImagesSource(tmp_path / "a.parquet", **settings)


def test_files_that_number_their_classes_differently_are_refused(tmp_path, picture):
    (tmp_path / "set").mkdir()
    pq.write_table(_table(picture), tmp_path / "set/a.parquet")
    pq.write_table(_table(picture, start=6, names=["roadwork", "none"]), tmp_path / "set/b.parquet")
    with pytest.raises(
        DataError, match=r"'b.parquet' and 'a.parquet' give the classes of 'label' different names"
    ):
        HubImagesSource(tmp_path / "set")
    pq.write_table(
        _table(picture, start=6, columns={"label": ["none"] * 6}, label=pa.string()),
        tmp_path / "set/b.parquet",
    )
    with pytest.raises(DataError, match="do not agree on the column 'label'"):
        HubImagesSource(tmp_path / "set")


@pytest.mark.parametrize(
    "note", ["{", "[]", '{"info": 3}', '{"info": {"features": {"label": {"_type": "ClassLabel"}}}}']
)
def test_a_broken_note_of_datasets_is_as_good_as_none(tmp_path, picture, note):
    table = _table(picture, features={}).replace_schema_metadata({"huggingface": note})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="what these mean is not said"):
        HubImagesSource(tmp_path / "a.parquet")
    source = HubImagesSource(tmp_path / "a.parquet", label_map=parse_label_map("0=0,1=1"))
    assert _labels(_import(source, tmp_path)) == [0] * 3 + [1] * 3


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "no JSON object"),
        ("{}", "names no data files"),
        (
            '{"_data_files": [{"filename": "../../secret.arrow"}]}',
            "expected the name of something in that directory",
        ),
        ('{"_data_files": [{"filename": "absent.arrow"}]}', "no file in there"),
        ('{"_data_files": [{"filename": "link.arrow"}]}', "no file in there"),
        ('{"_data_files": [7]}', "expected the name"),
        (
            '{"_data_files": [{"filename": "a.arrow"}], "_indices_data_files": [{"filename": "b"}]}',
            "selection of rows",
        ),
    ],
)
def test_records_of_a_save_that_are_wrong_or_lead_out_are_refused(tmp_path, picture, record, message):
    _save_to_disk(tmp_path / "elsewhere", _table(picture))
    _save_to_disk(tmp_path / "saved", _table(picture))
    (tmp_path / "saved/link.arrow").symlink_to(tmp_path / "elsewhere/data-00000-of-00001.arrow")
    (tmp_path / "saved/state.json").write_text(record)
    with pytest.raises(DataError, match=message):
        HubImagesSource(tmp_path / "saved")


@pytest.mark.parametrize("splits", ['{"splits": ["../elsewhere"]}', '{"splits": []}', '{"splits": [".."]}'])
def test_splits_that_lead_out_are_refused(tmp_path, picture, splits):
    _save_to_disk(tmp_path / "elsewhere", _table(picture))
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/dataset_dict.json").write_text(splits)
    with pytest.raises(DataError, match=r"expected the name of something in that directory|names no splits"):
        HubImagesSource(tmp_path / "saved")


def test_only_paths_instead_of_pictures_are_skipped(tmp_path, picture):
    images = [{"bytes": picture(0), "path": None}, {"bytes": None, "path": "/etc/passwd"}]
    pq.write_table(_table(picture, 2, columns={"image": images}), tmp_path / "a.parquet")
    result = _import(HubImagesSource(tmp_path / "a.parquet"), tmp_path)
    assert [(s.path, "only the path" in s.reason) for s in result.skipped] == [("a.parquet#1", True)]


def test_another_setting_does_not_go_on_with_unfinished_work(tmp_path, picture):
    pq.write_table(_table(picture, columns={"clip": [1] * 6}), tmp_path / "a.parquet")
    identity = HubImagesSource(tmp_path / "a.parquet").identity()
    assert json.loads(json.dumps(identity)) == identity
    assert HubImagesSource(tmp_path / "a.parquet", group_column="clip").identity() != identity
    other = HubImagesSource(tmp_path / "a.parquet", label_map={"none": Label.UNKNOWN})
    assert other.identity() != identity


def test_an_import_that_was_stopped_goes_on(tmp_path, picture, monkeypatch):
    import workzone.data.importers.huggingface as module

    _save_to_disk(tmp_path / "saved", _table(picture, 12))
    whole = import_source(HubImagesSource(tmp_path / "saved"), tmp_path / "whole", workers=1)
    real, loaded = module.load_picture, []

    def counted(cell, key, *arguments, **columns):
        if stop_at is not None and key.endswith(stop_at):
            raise KeyboardInterrupt
        loaded.append(key)
        return real(cell, key, *arguments, **columns)

    monkeypatch.setattr(module, "load_picture", counted)
    stop_at = "#9"
    with pytest.raises(KeyboardInterrupt):
        import_source(HubImagesSource(tmp_path / "saved"), tmp_path / "out", workers=1)
    stop_at = None
    loaded.clear()
    resumed = import_source(HubImagesSource(tmp_path / "saved"), tmp_path / "out", workers=1)
    assert resumed.dataset.sha256 == whole.dataset.sha256
    assert len(loaded) <= 12 - 9 + 4


def test_a_split_that_is_a_link_out_is_refused(tmp_path, picture):
    _save_to_disk(tmp_path / "elsewhere", _table(picture))
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/train").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "saved/dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(DataError, match="train' is a link that leads out of the data set"):
        HubImagesSource(tmp_path / "saved")
