"""The card's form, an address's checksum, and what a README must not leave out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import ConfigError
from workzone.imaging.geometry import Geometry
from workzone.imaging.preprocessing import Preprocessing
from workzone.subnet.publishing.card import ModelCard, check_hotkey, check_repo
from workzone.subnet.publishing.readme import (
    Measure,
    PublishedModel,
    TransformersFacts,
    not_expressed,
    preprocessor_config,
    render_readme,
)

ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
"""Substrate's development account, the same in every chain's documentation."""
BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
CARD = ModelCard(
    "Road work, seen", "Says whether a street picture shows road work.", "1.2.3", ALICE, 1_790_000_000
)
PREPROCESSING = Preprocessing(
    size_px=64, geometry=Geometry.SQUASH, mean=(127.5, 100.0, 51.0), scale=(1 / 127.5, 1 / 51.0, 1 / 25.5)
)
MODEL = PublishedModel(
    bundle_digest="d" * 64,
    backbone="dinov2/vit-b",
    base_model="facebook/dinov2-base",
    licence="Apache-2.0",
    preprocessing=PREPROCESSING,
    profile="2026-01",
    threshold=-0.68125,
    measures=(Measure("mcc", 0.8349, 0.786, 0.8799), Measure("brier_reliability", 0.0028)),
    promise="With confidence 0.95 at most 0.05 are missed.",
    data="Rendered pictures, not photographs.",
    limits="- It knows no map.",
    transformers=TransformersFacts("ViTForImageClassification", 2e-6, 6, 0.03),
)


def test_the_card_has_the_fields_that_validators_look_for_and_no_others() -> None:
    assert json.loads(CARD.to_json()) == {
        "model_name": "Road work, seen",
        "description": "Says whether a street picture shows road work.",
        "version": "1.2.3",
        "submitted_by": ALICE,
        "submission_time": 1_790_000_000,
    }


@pytest.mark.parametrize("address", [ALICE, BOB])
def test_known_addresses_pass(address: str) -> None:
    assert check_hotkey(address) == address


def test_addresses_of_the_wallet_library_pass() -> None:
    wallet = pytest.importorskip("bittensor_wallet")
    for name in ("//Alice", "//Charlie", "//workzone//1"):
        address = wallet.Keypair.create_from_uri(name).ss58_address
        assert check_hotkey(address) == address


@given(st.integers(0, 47), st.sampled_from("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"))
def test_an_address_with_one_other_letter_is_refused(place: int, letter: str) -> None:
    changed = ALICE[:place] + letter + ALICE[place + 1 :]
    if changed == ALICE:
        return
    with pytest.raises(ConfigError, match=r"no hotkey's address|wrong checksum"):
        check_hotkey(changed)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "default",
        ALICE[:-1],
        ALICE + "1",
        ALICE.replace("G", "0", 1),
        "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5",  # the same key in Polkadot's own format
        "1" * 48,
        "é" * 48,
        "wallets/default/hotkeys/default",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="no hotkey's address"):
        check_hotkey(address)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "1.2"}, "X.Y.Z"),
        ({"version": "v1.2.3"}, "X.Y.Z"),
        ({"version": "1.2.03"}, "X.Y.Z"),
        ({"version": "1.2.3\n"}, "X.Y.Z"),
        ({"model_name": " "}, "model's name"),
        ({"model_name": "a\nb"}, "model's name"),
        ({"model_name": "a" * 101}, "model's name"),
        ({"description": ""}, "description"),
        ({"description": "x\x1b[2J"}, "description"),
        ({"submitted_by": "me"}, "hotkey's address"),
        ({"submission_time": 1_790_000_000_000}, "no time of a submission"),
        ({"submission_time": 0}, "no time of a submission"),
    ],
)
def test_a_card_that_validators_would_refuse_is_not_made(change: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        replace(CARD, **change)


@pytest.mark.parametrize("repo", ["owner/name", "o-w_n/r-w_1"])
def test_a_repository_that_validators_read(repo: str) -> None:
    assert check_repo(repo) == repo


@pytest.mark.parametrize(
    ("repo", "says"),
    [
        ("owner/road.work", "names with a dot"),
        ("name", "no repository"),
        ("a/b/c", "no repository"),
        ("a/../b", "no repository"),
        ("https://huggingface.co/a/b", "no repository"),
        ("ä/b", "no repository"),
        ("a/b\n", "no repository"),
        ("../b", "names with a dot"),
    ],
)
def test_a_repository_that_validators_cannot_read_is_refused(repo: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check_repo(repo)


def front_matter(text: str) -> dict[str, object]:
    _, front, _ = text.split("---\n", 2)
    value = yaml.safe_load(front)
    assert isinstance(value, dict)
    return value


def test_the_readme_says_what_a_stranger_needs() -> None:
    text = render_readme(CARD, MODEL)
    assert front_matter(text) == {
        "license": "apache-2.0",
        "pipeline_tag": "image-classification",
        "tags": ["road-work", "street-view", "bittensor"],
        "library_name": "transformers",
        "base_model": "facebook/dinov2-base",
    }
    for fact in (
        "# Road work, seen",
        "Version 1.2.3",
        ALICE,
        "d" * 64,
        "logit -0.68125",
        "`2026-01`",
        "| mcc | 0.8349 | 0.7860 to 0.8799 |",
        "| brier_reliability | 0.0028 | – |",
        "0.03 in the probability",
        "weights are under: Apache-2.0",
        "does not hold for this classifier. It reads: With confidence 0.95",
        "EXIF",
        "## Data\n\nRendered pictures, not photographs.\n",
        "The bundle's card says of it:\n\n- It knows no map.\n",
    ):
        assert fact in text


def test_the_readme_of_a_model_without_a_class_says_why_and_how_to_ask_it() -> None:
    text = render_readme(
        CARD,
        replace(MODEL, transformers="no class of transformers pools so.", licence="DINOv3 License (gated)"),
    )
    front = front_matter(text)
    assert "library_name" not in front
    assert front["license"] == "other"
    assert front["license_name"] == "dinov3-license"
    assert front["license_link"] == "LICENSE"
    assert "There is no `config.json`: no class of transformers pools so." in text
    assert "1 / (1 + exp(-0.68125 - logit))" in text
    assert "AutoModelForImageClassification" not in text


def test_without_an_operating_point_the_readme_says_so() -> None:
    text = render_readme(
        CARD, replace(MODEL, profile=None, threshold=0.0, measures=(), promise=None, data="", limits="")
    )
    assert "no operating point" in text
    assert text.count("See `CARD.md`") == 2
    assert "certificate" not in text
    assert "card says of it" not in text


def test_the_processor_normalises_as_the_record_does() -> None:
    config = json.loads(preprocessor_config(PREPROCESSING))
    assert config["size"] == {"height": 64, "width": 64}
    for channel in range(3):
        for pixel in (0.0, 128.0, 255.0):
            ours = (pixel - PREPROCESSING.mean[channel]) * PREPROCESSING.scale[channel]
            theirs = (pixel * config["rescale_factor"] - config["image_mean"][channel]) / config["image_std"][
                channel
            ]
            assert theirs == pytest.approx(ours, abs=1e-12)


def test_a_central_crop_is_a_processor_of_its_own() -> None:
    config = json.loads(preprocessor_config(PREPROCESSING.model_copy(update={"geometry": Geometry.CROP})))
    assert config["image_processor_type"] == "BitImageProcessor"
    assert config["size"] == {"shortest_edge": 64}
    assert config["crop_size"] == {"height": 64, "width": 64}


def test_what_the_processor_cannot_say_is_said() -> None:
    letterbox = PREPROCESSING.model_copy(update={"geometry": Geometry.LETTERBOX, "channel_order": "BGR"})
    assert json.loads(preprocessor_config(letterbox))["image_mean"][0] == pytest.approx(51.0 / 255)
    said = " ".join(not_expressed(letterbox))
    assert "letterboxed with black bars" in said
    assert "blue, green, red" in said
    assert "letterboxed" not in " ".join(not_expressed(PREPROCESSING))
    for sentence in not_expressed(letterbox):
        assert f"- {sentence}" in render_readme(CARD, replace(MODEL, preprocessing=letterbox))
