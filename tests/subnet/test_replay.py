"""What is sent, how often, and what is never sent."""

from __future__ import annotations

import dataclasses
import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from workzone.core.errors import ConfigError, DataError
from workzone.subnet.profiles import Source, profile
from workzone.subnet.replay import Deck, LabelledPicture, replay

JANUARY = profile("2026-01")
BOTH = (Source.SYNTHETIC, Source.REAL)


def rng() -> np.random.Generator:
    return np.random.default_rng(12)


def test_labels_are_even_and_sources_and_levels_by_their_shares(brightness, pictures) -> None:
    sent = list(replay(Deck.of(pictures(sources=BOTH), JANUARY), rng(), 200))
    assert Counter(one.label for one in sent) == {0: 100, 1: 100}
    assert Counter(one.source for one in sent)[Source.REAL] == pytest.approx(100, abs=35)
    levels = Counter(one.level for one in sent)
    assert sorted(levels) == [0, 1, 2, 3]
    assert min(levels.values()) > 25
    for one in sent[:40]:
        assert Image.open(io.BytesIO(one.jpeg)).format == "JPEG"
        assert brightness(one.jpeg) == one.label
        assert one.picture.startswith(f"{one.source.value}-{one.label}-")
        assert one.group.startswith(f"{one.source.value}-{one.label}-")


def test_every_picture_of_a_kind_comes_before_one_comes_again(pictures) -> None:
    sent = list(replay(Deck.of(pictures(n=7), JANUARY), rng(), 28))
    assert set(Counter(one.picture for one in sent).values()) == {2}
    assert len({one.picture for one in sent if one.label == 1} - {one.picture for one in sent[:14]}) == 0
    odd = list(replay(Deck.of(pictures(n=7), JANUARY), rng(), 5))
    assert len(odd) == 5


def test_a_seed_repeats_everything_and_where_pictures_are_sent_as_they_are_there_is_one_level(
    pictures,
) -> None:
    deck = Deck.of(pictures(), JANUARY)
    assert list(replay(deck, rng(), 9)) == list(replay(deck, rng(), 9))
    assert {one.level for one in replay(Deck.of(pictures(), profile("2026-05")), rng(), 6)} == {0}


def test_full_resolution_is_kept(pictures) -> None:
    sent = next(replay(Deck.of(pictures(), profile("2026-05")), rng(), 1))
    assert Image.open(io.BytesIO(sent.jpeg)).size == (40, 40)


def test_missing_sources_are_known_and_their_shares_go_to_the_others(pictures) -> None:
    real = pictures()
    deck = Deck.of(real, JANUARY)
    assert deck.missing == ((0, Source.SYNTHETIC), (1, Source.SYNTHETIC))
    assert deck.shares(0) == {Source.REAL: 1.0}
    assert {one.source for one in replay(deck, rng(), 10)} == {Source.REAL}
    synthetic = [one for one in pictures(sources=(Source.SYNTHETIC,)) if one.label == 1]
    half = Deck.of(real + synthetic, JANUARY)
    assert half.missing == ((0, Source.SYNTHETIC),)
    assert half.shares(1) == {Source.SYNTHETIC: 0.5, Source.REAL: 0.5}
    assert Deck.of(pictures(sources=BOTH), JANUARY).missing == ()


def test_pictures_of_sources_that_a_profile_does_not_use_stay_out(pictures) -> None:
    mixed = pictures(n=3, sources=(Source.REAL, Source.CUSTOMER))
    deck = Deck.of(mixed, JANUARY)
    assert deck.of_other_sources == 6
    assert {one.source for one in deck.pictures} == {Source.REAL}
    assert Deck.of(mixed, profile("2026-05")).of_other_sources == 0


@pytest.mark.parametrize(
    ("label", "caption", "source", "sent"),
    [
        (1, "cones in the right lane", Source.REAL, True),
        (1, "", Source.REAL, False),
        (0, "cones in the right lane", Source.REAL, False),
        (0, "", Source.REAL, True),
        (1, None, Source.REAL, True),
        (0, None, Source.REAL, True),
        (1, "", Source.SYNTHETIC, True),
        (0, "a street", Source.SYNTHETIC, True),
    ],
)
def test_the_label_rule_is_for_real_pictures_with_known_captions(
    file_of, pictures, label, caption, source, sent
) -> None:
    one = LabelledPicture("it", lambda: file_of(label), label, "its", source, caption)
    deck = Deck.of([*pictures(n=1, sources=BOTH), one], JANUARY)
    assert (one in deck.pictures) is sent
    assert deck.against_label_rule == (0 if sent else 1)


def test_a_replay_that_cannot_be_is_refused(pictures) -> None:
    with pytest.raises(DataError, match="Of 4 pictures none with the label 1"):
        Deck.of([one for one in pictures(n=4) if one.label == 0], JANUARY)
    with pytest.raises(DataError, match="none with the label 0"):
        Deck.of([dataclasses.replace(one, caption="a caption") for one in pictures(n=4)], JANUARY)
    with pytest.raises(ConfigError, match="send no challenges"):
        Deck.of(pictures(), profile("halted"))
    with pytest.raises(DataError, match="label -1; challenges have 0 or 1"):
        LabelledPicture("it", lambda: b"", -1, "its")
    deck = Deck.of(pictures(), JANUARY)
    with pytest.raises(ConfigError, match="0 challenges are none"):
        replay(deck, rng(), 0)


def test_a_broken_picture_is_an_error_not_a_challenge(pictures) -> None:
    broken = [dataclasses.replace(one, load=lambda: b"no picture") for one in pictures(n=2)]
    with pytest.raises(DataError, match=r"Picture 'real-\d-\d' makes no challenge: .*10 bytes"):
        list(replay(Deck.of(broken, JANUARY), rng(), 1))
