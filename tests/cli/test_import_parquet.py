"""`data import natix` and `data import hf`: where the files come from, and what is refused before anything is read."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


@pytest.fixture
def classes(tmp_path):
    """Six pictures with the numbers of two classes, without names for them."""
    pictures = []
    for i in range(6):
        buffer = io.BytesIO()
        pixels = np.random.default_rng(i).integers(0, 256, (8, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(buffer, format="PNG")
        pictures.append({"bytes": buffer.getvalue(), "path": None})
    table = pa.table({"image": pictures, "label": [0, 1] * 3, "clip": [1, 1, 2, 2, 3, 3]})
    pq.write_table(table, tmp_path / "train-0.parquet")
    return tmp_path / "train-0.parquet"


def test_hf_asks_what_numbers_mean_then_imports(invoke, classes, tmp_path):
    arguments = ("hf", classes, "--out", tmp_path / "out", "--group-column", "clip")
    said = invoke("data", "import", *arguments)
    assert said.code == 2
    said.sentence("'0', '1'", "--label-map")
    said = invoke("data", "import", *arguments, "--label-map", "1=1,0=0", "--json")
    assert said.code == 0
    answer = json.loads(said.out)
    assert (answer["total"]["pictures"], answer["total"]["groups"], answer["total"]["roadwork"]) == (6, 3, 3)
    assert answer["skipped"] == 0


def test_a_set_of_the_hub_keeps_its_owner_so_that_a_known_overlap_is_noticed(
    invoke, classes, tmp_path, monkeypatch
):
    from workzone.data.dataset import open_dataset
    from workzone.data.importers import hub
    from workzone.data.known_overlaps import find_overlaps

    monkeypatch.setattr(hub, "download_dataset", lambda *_, **__: classes)
    repository = ("--hub", "natix-network-org/roadwork", "--revision", "0" * 40)
    mapping = ("--group-column", "clip", "--label-map", "1=1,0=0")
    for out, where in (
        ("hub", repository),
        ("named", (*repository, "--name", "roadwork")),
        ("cmu", (classes, "--name", "roadwork")),
    ):
        said = invoke("data", "import", "hf", *where, "--out", tmp_path / out, *mapping)
        assert said.code == 0, said.err
    from_hub, named, roadwork = (open_dataset(tmp_path / out) for out in ("hub", "named", "cmu"))
    assert (from_hub.name, named.name) == ("natix-network-org-roadwork", "roadwork")
    assert set(from_hub.samples["source"].to_pylist()) == {"natix-network-org/roadwork"}
    assert set(roadwork.samples["source"].to_pylist()) == {"roadwork"}
    assert find_overlaps([from_hub, roadwork])
    assert find_overlaps([named, roadwork])


def test_natix_names_the_column_that_is_missing(invoke, classes, tmp_path):
    said = invoke("data", "import", "natix", classes, "--out", tmp_path / "out")
    assert said.code == 1
    said.sentence("train-0.parquet", "lacks the column 'city_name'")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["natix", "hf"])
@pytest.mark.parametrize("where", [(), ("set.parquet", "--hub", "owner/name")], ids=["none", "both"])
def test_files_or_the_hub_never_both(invoke, tmp_path, command, where):
    said = invoke("data", "import", command, *where, "--out", tmp_path / "out")
    assert said.code != 0
    said.sentence("either local files, or a data set of the hub")


@pytest.mark.parametrize("command", ["natix", "hf"])
@pytest.mark.parametrize("revision", [(), ("--revision", "main")], ids=["none", "branch"])
def test_the_hub_only_at_a_commit(invoke, tmp_path, command, revision):
    said = invoke("data", "import", command, "--hub", "owner/name", *revision, "--out", tmp_path / "out")
    assert said.code != 0
    said.sentence("expected a commit of 40 hexadecimal digits")
