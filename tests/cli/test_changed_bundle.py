"""One flipped byte in any file of a bundle: verify and predict refuse, name the file, and write nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FILES = [
    "CARD.md",
    "bundle.json",
    "golden.npz",
    "metrics.json",
    "model.onnx",
    "model.safetensors",
    "policy.json",
    "seen.npz",
]


@pytest.fixture
def street(tmp_path) -> Path:
    Image.fromarray(np.full((20, 20, 3), (240, 130, 10), dtype=np.uint8)).save(tmp_path / "street.png")
    return tmp_path / "street.png"


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_these_are_all_files_of_a_bundle(colour_bundle) -> None:
    assert sorted(path.name for path in colour_bundle.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("name", FILES)
def test_one_flipped_byte(invoke, colour_bundle, street, tmp_path, name: str, place: str) -> None:
    size = (colour_bundle / name).stat().st_size
    flip(colour_bundle / name, {"first": 0, "middle": size // 2, "last": size - 1}[place])
    for arguments in (["bundle", "verify", colour_bundle], ["predict", colour_bundle, street, "--json"]):
        said = invoke(*arguments)
        assert said.code == 1
        said.sentence(name)
    said = invoke("predict", colour_bundle, street, "--out", tmp_path / "answers.jsonl")
    assert said.code == 1
    assert not list(tmp_path.glob("answers*"))


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_byte_of_a_trained_bundle(invoke, tiny_run, tmp_path, name: str) -> None:
    copy = tmp_path / "bundle"
    copy.mkdir()
    for path in tiny_run.bundle.iterdir():
        (copy / path.name).hardlink_to(path)
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 3] ^= 1
    (copy / name).unlink()  # the link, not the run's file
    (copy / name).write_bytes(data)
    said = invoke("bundle", "verify", copy)
    assert said.code == 1
    said.sentence(name)


def test_every_byte_of_the_manifest_counts(invoke, colour_bundle) -> None:
    manifest = colour_bundle / "bundle.json"
    sound = manifest.read_bytes()
    for place in range(0, len(sound), 41):
        flip(manifest, place)
        said = invoke("bundle", "show", colour_bundle)
        assert said.code == 1, place
        said.sentence("bundle.json")
        manifest.write_bytes(sound)
    assert invoke("bundle", "verify", colour_bundle).code == 0


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(invoke, colour_bundle, name: str) -> None:
    (colour_bundle / name).unlink()
    said = invoke("bundle", "verify", colour_bundle)
    assert said.code == 1
    said.sentence(name)


def test_a_file_too_many(invoke, colour_bundle) -> None:
    (colour_bundle / "notes.txt").write_text("harmless")
    said = invoke("bundle", "verify", colour_bundle)
    assert said.code == 1
    said.sentence("notes.txt")


@pytest.mark.parametrize("command", [["bundle", "verify"], ["bundle", "show"], ["predict"]])
def test_no_bundle_at_all(invoke, street, tmp_path, command: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "missing", street):
        said = invoke(*command, place, *([street] if command == ["predict"] else []))
        assert said.code == 1
        said.sentence(str(place))


def test_a_forged_certificate_is_refused_even_with_a_fitting_digest(invoke, colour_bundle) -> None:
    """Whoever seals anew can fit every hash, but not make a bound follow from counts that do not give it."""
    from workzone.bundle.manifest import render_manifest
    from workzone.bundle.reader import open_bundle
    from workzone.storage.hashing import sha256_file

    manifest = open_bundle(colour_bundle).manifest
    policy = json.loads((colour_bundle / "policy.json").read_text(encoding="utf-8"))
    policy["certificate"]["claims"][0]["events"] += 20
    (colour_bundle / "policy.json").write_text(json.dumps(policy), encoding="utf-8")
    files = {**manifest.files, "policy.json": sha256_file(colour_bundle / "policy.json")}
    sealed = render_manifest(manifest.model_copy(update={"files": files}))
    (colour_bundle / "bundle.json").write_bytes(sealed)
    said = invoke("bundle", "verify", colour_bundle)
    assert said.code == 1
    said.sentence("certificate")
