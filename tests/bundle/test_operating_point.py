"""A bundle with an operating point: the same files, one line of the card, another digest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workzone.bundle.manifest import OperatingPoint
from workzone.bundle.operating_point import CARD_PREFIX, write_with_operating_point
from workzone.bundle.reader import open_bundle
from workzone.core.errors import BundleError, ConfigError
from workzone.engine.predictor import open_predictor
from workzone.policy.calibrators import PlattCalibrator

POINT = OperatingPoint(profile="2026-01", threshold=0.25)


def write(bundle, out, point=POINT, note="Fitted on 10 pictures."):
    return write_with_operating_point(bundle, out, point, card_note=note)


def files_of(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_everything_but_the_point_and_one_line_of_the_card_stays(bundle_path, tmp_path):
    old = open_bundle(bundle_path)
    new = write(old, tmp_path / "new")
    before, after = files_of(bundle_path), files_of(tmp_path / "new")
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"bundle.json", "CARD.md"}
    assert new.manifest.operating_point == POINT
    assert new.digest != old.digest
    same = new.manifest.model_dump(exclude={"operating_point", "files"})
    assert same == old.manifest.model_dump(exclude={"operating_point", "files"})
    assert new.card.startswith(old.card.rstrip())
    added = new.card[len(old.card.rstrip()) :].strip()
    assert added.startswith(CARD_PREFIX)
    assert "`2026-01`" in added
    assert "0.2500" in added
    assert added.endswith("Fitted on 10 pictures.")
    assert "\n" not in added


def test_the_engine_opens_it_and_answers_as_before(bundle_path, tmp_path, factory):
    write(open_bundle(bundle_path), tmp_path / "new")
    picture = factory.plain(factory.ORANGE)
    old, new = (open_predictor(path).predict(picture) for path in (bundle_path, tmp_path / "new"))
    assert (new.probability, new.verdict, new.logit) == (old.probability, old.verdict, old.logit)


def test_the_same_point_gives_the_same_digest_and_another_one_another(bundle_path, tmp_path):
    bundle = open_bundle(bundle_path)
    one, two = write(bundle, tmp_path / "one"), write(bundle, tmp_path / "two")
    other = write(bundle, tmp_path / "other", OperatingPoint(profile="2026-01", threshold=0.26))
    assert one.digest == two.digest != other.digest


def test_a_second_point_takes_the_place_of_the_first_in_the_card_too(bundle_path, tmp_path):
    first = write(open_bundle(bundle_path), tmp_path / "first")
    point = OperatingPoint(profile="2026-05", threshold=-1.5)
    second = write(first, tmp_path / "second", point, note="Fitted anew.")
    direct = write(open_bundle(bundle_path), tmp_path / "direct", point, note="Fitted anew.")
    assert second.manifest.operating_point == point
    assert second.card.count(CARD_PREFIX) == 1
    assert second.digest == direct.digest


def test_a_card_that_speaks_of_operating_points_elsewhere_keeps_its_text(tmp_path, factory):
    from workzone.bundle.writer import write_bundle

    text = f"{CARD_PREFIX}a heading of its own\r\n\ttabs \x0b and more\n\nThe end.\n"
    old = write_bundle(tmp_path / "old", factory.make_parts(tmp_path / "parts", card=text))
    assert write(old, tmp_path / "new").card.startswith(text.rstrip())
    empty = write_bundle(tmp_path / "empty", factory.make_parts(tmp_path / "parts2", card=""))
    assert write(empty, tmp_path / "new2").card.startswith(CARD_PREFIX)


def test_files_that_are_there_are_never_replaced(bundle_path, tmp_path):
    bundle = open_bundle(bundle_path)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("kept")
    (tmp_path / "file").write_text("kept")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for out in (taken, tmp_path / "file", bundle_path, tmp_path / "dangling"):
        before = files_of(bundle_path)
        with pytest.raises(ConfigError, match="not empty"):
            write(bundle, out)
        assert files_of(bundle_path) == before
    assert files_of(taken) == {"mine.txt": b"kept"}
    (tmp_path / "empty").mkdir()
    assert write(bundle, tmp_path / "empty").manifest.operating_point == POINT


def test_a_copy_inside_the_bundle_would_break_it(bundle_path, tmp_path):
    (tmp_path / "link").symlink_to(bundle_path)
    for out in (bundle_path / "new", tmp_path / "link" / "new"):
        with pytest.raises(ConfigError, match="inside the bundle"):
            write(open_bundle(bundle_path), out)
    open_bundle(bundle_path)


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.safetensors", "golden.npz", "metrics.json", "seen.npz"]
)
@pytest.mark.parametrize("how", ["other bytes", "gone", "a link"])
def test_a_file_that_changed_since_it_was_verified_is_not_sealed_anew(bundle_path, tmp_path, name, how):
    bundle = open_bundle(bundle_path)
    data = (bundle_path / name).read_bytes()
    (bundle_path / name).unlink()
    if how == "other bytes":
        (bundle_path / name).write_bytes(data + b" ")
    elif how == "a link":
        (tmp_path / "aside").write_bytes(data)
        (bundle_path / name).symlink_to(tmp_path / "aside")
    with pytest.raises(BundleError, match=rf"{name}.*since its bundle was opened"):
        write(bundle, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir() if "new" in path.name) == []


@pytest.mark.parametrize("note", ["", "  ", "two\nlines", "a\x0bb"])
def test_a_note_is_one_line(bundle_path, tmp_path, note):
    with pytest.raises(ConfigError, match="one line"):
        write(open_bundle(bundle_path), tmp_path / "new", note=note)
    assert not (tmp_path / "new").exists()


def test_a_certificate_and_a_refusal_are_both_kept(tmp_path, factory):
    from workzone.bundle.writer import write_bundle

    for name, policy in (("sure", factory.certified_policy()), ("unsure", factory.refusing_policy())):
        old = write_bundle(tmp_path / name, factory.make_parts(tmp_path / f"{name}-parts", policy=policy))
        assert write(old, tmp_path / f"{name}-new").policy == policy
    calibrated = factory.make_parts(tmp_path / "p", calibrator=PlattCalibrator(slope=2.0, intercept=-1.0))
    old = write_bundle(tmp_path / "calibrated", calibrated)
    assert write(old, tmp_path / "calibrated-new").calibrator == calibrated.calibrator


def test_it_needs_neither_torch_nor_the_engine():
    code = (
        "import sys, workzone.bundle.operating_point\n"
        "heavy = {'torch', 'onnxruntime', 'onnx', 'scipy', 'pyarrow', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert not [m for m in sys.modules if m.startswith('workzone.engine')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
