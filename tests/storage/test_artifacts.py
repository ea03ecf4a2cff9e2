from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workzone.core.errors import ArtifactError
from workzone.core.types import Opening, Role
from workzone.storage.artifacts import ArtifactStore, Manifest
from workzone.storage.hashing import sha256_tree
from workzone.storage.lineage import merge_lineages

MANIFEST = Manifest(
    kind="model",
    sha256="0" * 64,
    phase="freeze",
    phase_version=2,
    package_version="1.0",
    config_sha256="1" * 64,
    inputs={"checkpoint": "2" * 64},
    lineage=frozenset({Opening("5" * 64, Role.TRAIN), Opening("5" * 64, Role.SELECT)}),
    created=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
)


def make(store: ArtifactStore, text: str, kind: str = "model") -> Manifest:
    with store.writing(kind) as output:
        (output / "file.txt").write_text(text)
    manifest = replace(MANIFEST, kind=kind, sha256=sha256_tree(store.path(kind)))
    store.seal(kind, manifest)
    return manifest


def test_a_manifest_survives_its_json() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


@pytest.mark.parametrize("key", sorted(MANIFEST.to_json()))
def test_a_manifest_lacks_nothing(key: str) -> None:
    value = MANIFEST.to_json()
    del value[key]
    with pytest.raises(KeyError):
        Manifest.from_json(value)


def test_what_is_sealed_can_be_opened(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "run")
    assert store.manifest("model") is None
    sealed = make(store, "weights")
    assert store.open("model") == (tmp_path / "run" / "model", sealed)


def test_content_without_manifest_and_manifest_without_content_are_none(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    make(store, "weights")
    (tmp_path / "model" / "file.txt").unlink()
    (tmp_path / "model").rmdir()
    assert store.manifest("model") is None
    with store.writing("model") as output:
        (output / "file.txt").write_text("again")
    assert not (tmp_path / "model.manifest.json").exists()
    with pytest.raises(ArtifactError, match=r"No artifact 'model' in '.*'\. Run the phase that makes it"):
        store.open("model")


def test_the_old_artifact_stays_until_the_new_content_is_complete(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    old = make(store, "old")

    def fail() -> None:
        with store.writing("model") as output:
            (output / "file.txt").write_text("half")
            assert store.open("model")[1] == old
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.open("model")[1] == old
    assert make(store, "new") != old


def test_another_kind_in_its_place_is_refused(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    make(store, "weights")
    (tmp_path / "model").rename(tmp_path / "checkpoint")
    (tmp_path / "model.manifest.json").rename(tmp_path / "checkpoint.manifest.json")
    with pytest.raises(ArtifactError, match="calls itself 'model', expected 'checkpoint'"):
        store.open("checkpoint")


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    make(store, "weights")
    (tmp_path / "model" / "file.txt").write_text("weightz")
    with pytest.raises(ArtifactError, match=r"was changed after it was made.*Remove 'model\.manifest\.json'"):
        store.open("model")


def test_a_forbidden_lineage_is_not_sealed(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    with store.writing("model") as output:
        (output / "file.txt").write_text("")
    with pytest.raises(
        ArtifactError, match="derives from calib, test, which it must not know; allowed: select"
    ):
        store.seal(
            "model", replace(MANIFEST, lineage={Opening("5" * 64, Role.CALIB), Opening("5" * 64, Role.TEST)})
        )
    assert store.manifest("model") is None


def test_a_manifest_is_read_within_bounds(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    make(store, "weights")
    (tmp_path / "model.manifest.json").write_text(" " * (2 << 20))
    with pytest.raises(ArtifactError, match="larger than"):
        store.manifest("model")


def test_lineages_merge() -> None:
    a, b = Opening("5" * 64, Role.TRAIN), Opening("5" * 64, Role.TEST)
    assert merge_lineages([frozenset({a}), frozenset({a, b})]) == {a, b}
    assert merge_lineages([]) == frozenset()
