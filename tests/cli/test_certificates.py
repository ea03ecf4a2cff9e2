"""A certificate on the command line: earned again elsewhere, checked by a third party, planned before."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workzone.bundle.reader import open_bundle
from workzone.bundle.writer import write_bundle
from workzone.cli.app import run
from workzone.policy.conformal import ConformalPolicy
from workzone.policy.gate import GatePolicy
from workzone.policy.risks import Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    Counting,
    GateSettings,
    RiskLimit,
    ThresholdSettings,
)
from workzone.policy.threshold import ThresholdPolicy

PLACES = 160
MISS, ALARM = RiskLimit(Risk.COMMITTED_MISS_RATE, 0.3), RiskLimit(Risk.FALSE_ALARM_RATE, 0.3)
FNR = (RiskLimit(Risk.SELECTIVE_FNR, 0.3),)
WHY = "certified nowhere yet"


def pictures(root: Path, seed: int, mislabelled: int = 0) -> Path:
    """Two frames a place; half of the places have road work. A few are hard: their colour says little."""
    rng = np.random.default_rng(seed)
    for place in range(PLACES):
        named, colour = [("roadwork", (240, 130, 10)), ("none", (20, 60, 200))][place % 2]
        if place % 10 in (0, 1):
            colour = (130, 110, 110)
        label = "none" if named == "roadwork" and place // 2 < mislabelled else named
        (root / "photos" / label).mkdir(parents=True, exist_ok=True)
        for frame in range(2):
            pixels = np.clip(rng.normal(colour, 25, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "photos" / label / f"{place}_{frame}.png")
    options = ["--group-from", r"(\d+)_\d\.png", "--licence", "CC0-1.0"]
    assert run(["data", "import", "folder", str(root / "photos"), "--out", str(root / "data"), *options]) == 0
    return root / "data"


@pytest.fixture(scope="module")
def streets(tmp_path_factory) -> Path:
    return pictures(tmp_path_factory.mktemp("streets"), 0)


def gate() -> GatePolicy:
    settings = GateSettings(FNR, 0.2, features=("logit_norm", "roadwork"))
    return GatePolicy(math.inf, 0.0, (0.0,) * 2, (1.0,) * 2, (0.0,) * 2, 0.0, None, settings, None, WHY)


def threshold(settings: ThresholdSettings) -> ThresholdPolicy:
    return ThresholdPolicy(-math.inf, 1.0, settings, None, WHY)


def conformal(method: ConformalMethod, limits: tuple[RiskLimit, ...]) -> ConformalPolicy:
    settings = ConformalSettings(method, limits, 0.2, beta=0.2)
    return ConformalPolicy(-math.inf, math.inf, math.inf, math.inf, settings, None, WHY)


POLICIES = {
    "threshold": threshold(ThresholdSettings(FNR, 0.2, 0.2)),
    "all frames": threshold(ThresholdSettings(FNR, 0.2, 0.2, Counting.ALL_FRAMES)),
    "two risks": threshold(ThresholdSettings((*FNR, RiskLimit(Risk.FALSE_ALARM_RATE, 0.4)), 0.2, 0.05)),
    "sets": conformal(ConformalMethod.SETS, (MISS, ALARM)),
    "crc": conformal(ConformalMethod.CRC, (MISS,)),
    "scrc": conformal(ConformalMethod.SCRC, FNR),
    "gate": gate(),
}


def packed(colour_builders, directory: Path, name: str) -> Path:
    parts = colour_builders.make_parts(directory / "parts", policy=POLICIES[name])
    return write_bundle(directory / "bundle", parts).path


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_is_certified_anew_and_checked_from_the_data(
    invoke, colour_builders, streets, tmp_path, name
) -> None:
    bundle, new = packed(colour_builders, tmp_path, name), tmp_path / "new"
    said = invoke("bundle", "recertify", bundle, streets, "--out", new, "--json")
    assert said.code == 0, said.err + said.out
    document = json.loads(said.out)
    opened = open_bundle(new)
    assert document["certified"]
    assert type(opened.policy) is type(POLICIES[name])
    assert opened.policy.settings == POLICIES[name].settings
    said = invoke("bundle", "verify", new, "--certificate", streets)
    assert said.code == 0, said.out
    assert "follows from the data" in " ".join(said.out.split())
    assert json.loads(invoke("bundle", "show", new, "--json").out)["certified"]


def test_other_labels_are_noticed(invoke, colour_builders, streets, tmp_path) -> None:
    """The same pictures, two places labelled otherwise: the counts are no longer those of the certificate."""
    bundle, new = packed(colour_builders, tmp_path, "threshold"), tmp_path / "new"
    assert invoke("bundle", "recertify", bundle, streets, "--out", new).code == 0
    relabelled = pictures(tmp_path / "other", 0, mislabelled=80)
    said = invoke("bundle", "verify", new, "--certificate", relabelled, "--json")
    assert said.code == 3
    document = json.loads(said.out)
    assert document["verified"]  # nothing of the bundle was changed
    assert document["certificate_holds"] is False
    assert document["differences"]


def reseal(bundle: Path, change) -> None:
    """Edit policy.json and make hash and digest fit, as whoever can write the files could."""
    import hashlib

    from workzone.bundle.manifest import parse_manifest, render_manifest

    path = bundle / "policy.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    manifest = parse_manifest((bundle / "bundle.json").read_bytes(), "bundle.json")
    files = {**manifest.files, "policy.json": hashlib.sha256(path.read_bytes()).hexdigest()}
    (bundle / "bundle.json").write_bytes(render_manifest(manifest.model_copy(update={"files": files})))


def grid(document) -> None:
    document["certificate"]["walk"]["sequence"][0] -= 5.0


def dataset(document) -> None:
    document["certificate"]["dataset_sha256"] = "0" * 64


def exceedance(document) -> None:
    document["certificate"]["claims"][0]["exceedance"] = 0.01


def stake(document) -> None:
    """Tuned after the groups were seen, with all numbers derived from it again."""
    from workzone.policy.certificate import Claim
    from workzone.policy.strict_json import read_record
    from workzone.policy.verification import NOISE_ROWS, claim_bound, claim_p_value, noise_row

    claim = document["certificate"]["claims"][0]
    claim["stake"] *= 0.97
    made = read_record(Claim, claim, "claim")
    claim["bound"], claim["p_value"] = claim_bound(made, "pac", 0.2), claim_p_value(made, "pac")
    for row, stated in zip(
        (noise_row(made, "pac", 0.2, m) for m in NOISE_ROWS), claim["label_noise"], strict=True
    ):
        stated["bound"], stated["holds"] = row.bound, stated["holds"] and row.holds


@pytest.mark.parametrize(
    ("name", "change"),
    [("threshold", grid), ("threshold", dataset), ("crc", exceedance), ("all frames", stake)],
)
def test_a_certificate_that_was_edited_and_sealed_again_does_not_follow_from_the_data(
    invoke, colour_builders, streets, tmp_path, name, change
) -> None:
    bundle, new = packed(colour_builders, tmp_path, name), tmp_path / "new"
    assert invoke("bundle", "recertify", bundle, streets, "--out", new).code == 0
    reseal(new, change)
    assert invoke("bundle", "verify", new).code == 0  # every number follows from its own counts,
    said = invoke("bundle", "verify", new, "--certificate", streets)
    assert said.code == 3  # but not from the data
    assert "does not follow" in " ".join(said.out.split())


def test_the_number_of_certifications_is_counted(invoke, colour_builders, tmp_path) -> None:
    data = pictures(tmp_path / "here", 4)
    bundle = packed(colour_builders, tmp_path, "threshold")
    for number, seed in enumerate((0, 1), 1):
        said = invoke(
            "bundle", "recertify", bundle, data, "--out", tmp_path / str(seed), "--seed", seed, "--json"
        )
        assert json.loads(said.out)["certifications"] == number


def test_a_data_set_is_no_bundle(invoke, streets) -> None:
    invoke("bundle", "verify", streets).sentence("is not a bundle: it is a data set")


def test_a_data_set_without_labels_is_refused_before_it_is_scored(invoke, colour_builders, tmp_path) -> None:
    root = tmp_path / "photos"
    (root / "unknown").mkdir(parents=True)
    for number in range(40):
        Image.new("RGB", (16, 16), (number, 60, 200)).save(root / "unknown" / f"{number}_0.png")
    options = ["--group-from", r"(\d+)_\d\.png", "--licence", "CC0-1.0"]
    assert run(["data", "import", "folder", str(root), "--out", str(tmp_path / "data"), *options]) == 0
    bundle = packed(colour_builders, tmp_path, "threshold")
    invoke("bundle", "recertify", bundle, tmp_path / "data", "--out", tmp_path / "x").sentence(
        "40 of unknown label", "Label some of each"
    )


def test_other_pictures_are_no_evidence(invoke, colour_builders, streets, tmp_path) -> None:
    bundle, new = packed(colour_builders, tmp_path, "threshold"), tmp_path / "new"
    assert invoke("bundle", "recertify", bundle, streets, "--out", new).code == 0
    invoke("bundle", "verify", new, "--certificate", pictures(tmp_path / "far", 9)).sentence(
        "lacks pictures that bundle", "byte for byte"
    )


def test_without_a_certificate_there_is_nothing_to_check(invoke, colour_builders, streets, tmp_path) -> None:
    bundle = packed(colour_builders, tmp_path, "gate")
    invoke("bundle", "verify", bundle, "--certificate", streets).sentence("no certificate to verify", WHY)


def test_wishes_change_the_promise_and_unfitting_ones_are_refused(
    invoke, colour_builders, streets, tmp_path
) -> None:
    bundle = packed(colour_builders, tmp_path, "two risks")
    options = ["--alpha", "0.35", "--second-alpha", "0.45", "--delta", "0.25", "--beta", "0.1"]
    assert invoke("bundle", "recertify", bundle, streets, "--out", tmp_path / "new", *options).code == 0
    settings = open_bundle(tmp_path / "new").policy.settings
    assert [limit.alpha for limit in settings.limits] == [0.35, 0.45]
    assert (settings.delta, settings.beta) == (0.25, 0.1)
    one = packed(colour_builders, tmp_path / "one", "threshold")
    invoke("bundle", "recertify", one, streets, "--out", tmp_path / "x", "--second-alpha", "0.1").sentence(
        "promises one risk"
    )
    shut = packed(colour_builders, tmp_path / "gate", "gate")
    invoke("bundle", "recertify", shut, streets, "--out", tmp_path / "x", "--beta", "0.1").sentence("a gate")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ([], 149),
        (["--risk", "false_omission_rate"], 149),
        (["--average"], 49),
        (["--all-frames"], 149),
        (["--alpha", "0.05"], 59),
    ],
)
def test_every_certificate_is_planned(invoke, options, needed) -> None:
    document = json.loads(invoke("plan", "certificate", *options, "--answered", "0.5", "--json").out)
    assert document["rows"][0]["groups_needed"] == pytest.approx(needed, abs=1)
    assert document["groups_to_label"] == 2 * document["groups_for_power"]


def test_plans_that_make_no_sense_are_refused(invoke) -> None:
    invoke("plan", "certificate", "--risk", "selective_fn").sentence("selective_fnr")
    invoke("plan", "certificate", "--average", "--risk", "selective_fnr").sentence("ratio")
    invoke("plan", "certificate", "--answered", "0").sentence("answered")
    invoke("plan", "certificate", "--risk", "false_alarm_rate", "--expected-miss", "0.03").sentence(
        "A policy whose risk is 0.03 cannot be certified"
    )


def test_a_plan_says_what_it_is_for(invoke) -> None:
    mean = " ".join(invoke("plan", "certificate", "--average").out.split())
    assert "From 49 counted groups on" in mean
    frames = " ".join(invoke("plan", "certificate", "--all-frames", "--answered", "0.7").out.split())
    assert "wholly right or wholly in error" in frames
    assert "Where 70% of the groups will count, label" in frames
