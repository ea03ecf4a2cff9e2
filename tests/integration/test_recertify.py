"""`bundle recertify`: an old model, a new place; certified where the data suffice, refused where they don't."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import beta

from workzone.bundle.reader import open_bundle
from workzone.cli.app import run
from workzone.core.types import Verdict

POSITIVES, NEGATIVES = 160, 60
ORANGE, BLUE = (240, 130, 10), (20, 60, 200)


@pytest.fixture(scope="module")
def colour_data(tmp_path_factory) -> Path:
    """Noisy orange places with road work, noisy blue ones without, two frames a place, imported as a user would."""
    root = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for label, colour, places in (("roadwork", ORANGE, POSITIVES), ("none", BLUE, NEGATIVES)):
        (root / "photos" / label).mkdir(parents=True)
        for place in range(places):
            for frame in range(2):
                pixels = np.clip(rng.normal(colour, 12, (16, 16, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / "photos" / label / f"{label}{place}_{frame}.png")
    arguments = ["--group-from", r"(\w+)_\d\.png", "--licence", "CC0-1.0"]
    assert (
        run(["data", "import", "folder", str(root / "photos"), "--out", str(root / "data"), *arguments]) == 0
    )
    return root / "data"


def recertify(bundle: Path, data: Path, out: Path, *options: str) -> tuple[int, dict[str, object], set[str]]:
    """Run the command in a fresh process; return its exit code, what it said, and the modules it loaded."""
    arguments = ["bundle", "recertify", str(bundle), str(data), "--out", str(out), "--json", *options]
    script = (
        "import sys\nfrom workzone.cli.app import run\n"
        f"code = run({arguments!r})\n"
        "sys.stderr.write('\\n' + ' '.join({m.split('.')[0] for m in sys.modules}))\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), set(done.stderr.splitlines()[-1].split())


def test_a_city_with_enough_groups_is_certified_without_torch(colour_bundle, colour_data, tmp_path) -> None:
    code, said, modules = recertify(colour_bundle, colour_data, tmp_path / "new", "--alpha", "0.05")
    assert code == 0
    assert said["certified"] is True
    assert not {"torch", "transformers", "lightning", "sklearn", "onnx", "hydra", "matplotlib"} & modules
    assert run(["bundle", "verify", str(tmp_path / "new")]) == 0
    old, new = open_bundle(colour_bundle), open_bundle(tmp_path / "new")
    dataset = json.loads((colour_data / "dataset.json").read_text(encoding="utf-8"))
    certificate = new.policy.certificate
    assert certificate is not None
    assert certificate.dataset_sha256 == dataset["sha256"] != old.policy.certificate.dataset_sha256
    (claim,) = certificate.claims
    assert (claim.n, claim.events) == (0.75 * POSITIVES, 0)  # a model that errs nowhere, 3/4 of groups
    assert claim.bound == pytest.approx(beta.ppf(0.95, 1, claim.n))
    assert claim.bound <= 0.05
    assert new.manifest.recertified_from == old.digest
    assert {role for _, role in new.manifest.lineage} == {"select", "calib"}
    assert set(new.manifest.ancestor_lineage) == set(old.manifest.lineage)
    assert new.manifest.files["model.onnx"] == old.manifest.files["model.onnx"]
    assert "data" in new.card.splitlines()[2]
    openings = [json.loads(line) for line in (colour_data / "openings.jsonl").read_text().splitlines()]
    assert {entry["role"] for entry in openings} == {"select", "calib"}


def test_the_new_bundle_answers_by_its_new_policy(
    colour_bundle, colour_data, colour_builders, tmp_path
) -> None:
    import workzone

    assert recertify(colour_bundle, colour_data, tmp_path / "new", "--alpha", "0.05")[0] == 0
    predictor = workzone.open(tmp_path / "new")
    verdicts = [predictor.predict(colour_builders.plain(colour, 16)).verdict for colour in (ORANGE, BLUE)]
    assert verdicts == [Verdict.ROADWORK, Verdict.NONE]
    assert predictor.predict(colour_builders.plain(ORANGE, 16)).certified


def test_a_stricter_promise_than_the_data_carry_exits_with_3(colour_bundle, colour_data, tmp_path) -> None:
    code, said, _ = recertify(colour_bundle, colour_data, tmp_path / "new", "--alpha", "0.02")
    assert code == 3
    assert "at least 149 are needed: 29 more" in str(said["statement"])
    assert open_bundle(tmp_path / "new").policy.t_lo == -np.inf


def test_another_city_too_small_for_a_certificate(tiny_run, tmp_path, capsys) -> None:
    data, out = tmp_path / "city", tmp_path / "new"
    render = f"data render --out {data} --sequences 60 --frames 1 --shift city --workers 1"
    assert run(render.split()) == 0
    capsys.readouterr()
    code = run(["bundle", "recertify", str(tiny_run.bundle), str(data), "--out", str(out)])
    said = capsys.readouterr()
    if (
        code == 1
    ):  # a model of two epochs may rank the pictures of another city backwards: no use there at all
        assert "higher logits do not mean road work" in said.err
        assert not out.exists()
        return
    assert code == 3
    assert "Cannot certify" in said.out
    assert run(["bundle", "verify", str(out)]) == 0
    new = open_bundle(out)
    assert new.policy.certificate is None
    assert new.manifest.recertified_from == open_bundle(tiny_run.bundle).digest
    assert "No certificate" in new.card


def test_a_certified_bundle_is_not_written_over(colour_bundle, colour_data, tmp_path, capsys) -> None:
    before = {path.name: path.read_bytes() for path in colour_bundle.iterdir()}
    assert (
        run(["bundle", "recertify", str(colour_bundle), str(colour_data), "--out", str(colour_bundle)]) == 2
    )
    assert "is not empty" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in colour_bundle.iterdir()} == before


@pytest.mark.parametrize("option", ["--alpha=0", "--alpha=1", "--delta=1.5", "--beta=-0.1", "--alpha=nan"])
def test_a_rate_that_is_none_is_a_usage_error(
    colour_bundle, colour_data, tmp_path, capsys, option: str
) -> None:
    assert (
        run(
            [
                "bundle",
                "recertify",
                str(colour_bundle),
                str(colour_data),
                "--out",
                str(tmp_path / "n"),
                option,
            ]
        )
        == 2
    )
    assert option[2:].partition("=")[0] in capsys.readouterr().err
    assert not (tmp_path / "n").exists()
