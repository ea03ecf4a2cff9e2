"""The profiles against the facts of the subnet's history, and their look-up."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from workzone.core.errors import ConfigError
from workzone.subnet.profiles import (
    Distortion,
    Framing,
    Source,
    distortion_parameter,
    in_force,
    load_profiles,
    profile,
)


def test_the_four_profiles_in_the_order_of_their_days() -> None:
    assert list(load_profiles()) == ["2026-01", "2026-04", "2026-05", "halted"]
    first_days = [one.first_day for one in load_profiles().values()]
    assert first_days[1:] == [date(2026, 4, 6), date(2026, 5, 3), date(2026, 5, 6)]
    assert first_days == sorted(first_days)
    last = None
    for one in load_profiles().values():
        assert one.first_day <= one.last_seen
        assert last is None or last < one.first_day
        last = one.last_seen


@pytest.mark.parametrize(
    ("name", "size_px", "n_levels", "sources"),
    [
        ("2026-01", 224, 4, {Source.SYNTHETIC: 0.5, Source.REAL: 0.5}),
        ("2026-04", 224, 4, {Source.SYNTHETIC: 0.5, Source.REAL: 0.5}),
        ("2026-05", None, 1, {Source.SYNTHETIC: 1 / 3, Source.REAL: 1 / 3, Source.CUSTOMER: 1 / 3}),
        ("halted", None, 0, {}),
    ],
)
def test_what_each_sends(name, size_px, n_levels, sources) -> None:
    found = profile(name)
    assert (found.name, found.size_px, len(found.levels)) == (name, size_px, n_levels)
    assert found.sources == pytest.approx(sources)
    assert found.jpeg_quality == 75
    assert found.sends is (n_levels > 0)
    assert all(level.probability == 1 / n_levels for level in found.levels)
    assert [level.number for level in found.levels] == list(range(n_levels))


def test_levels_and_the_order_of_their_distortions() -> None:
    some = ((Distortion.CHROMA, 1), (Distortion.CONTRAST, 1), (Distortion.RESAMPLING, 1))
    all_of_them = tuple((distortion, 2) for distortion in Distortion)
    assert [d for d, _ in all_of_them] == ["chroma", "contrast", "resampling", "noise", "blur"]
    for name in ("2026-01", "2026-04"):
        assert [level.distortions for level in profile(name).levels] == [(), (), some, all_of_them]
    assert [level.framing for level in profile("2026-01").levels] == [
        Framing.CENTRE_CROP, Framing.ROTATED_CROP, Framing.ROTATED_CROP, Framing.ROTATED_CROP,
    ]  # fmt: skip
    assert [level.framing for level in profile("2026-04").levels] == [
        Framing.LETTERBOX, Framing.ROTATED_LETTERBOX, Framing.ROTATED_LETTERBOX, Framing.ROTATED_LETTERBOX,
    ]  # fmt: skip
    assert profile("2026-05").level(0).framing is Framing.FULL


@pytest.mark.parametrize(
    ("distortion", "parameters"),
    [
        (Distortion.CHROMA, [0.4, 0.3, 0.2, 0.1, 0.0]),
        (Distortion.CONTRAST, [0.85, 0.725, 0.6, 0.475, 0.35]),
        (Distortion.RESAMPLING, [2, 3, 4, 5, 6]),
        (Distortion.NOISE, [0.001, 0.002, 0.005, 0.01, 0.05]),
        (Distortion.BLUR, [7, 9, 13, 17, 21]),
    ],
)
def test_distortion_parameters_by_level(distortion, parameters) -> None:
    assert [distortion_parameter(distortion, level) for level in range(1, 6)] == parameters
    for level in (0, 6):
        with pytest.raises(ConfigError, match="1 to 5"):
            distortion_parameter(distortion, level)


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2026, 1, 1), "2026-01"),
        (date(2026, 4, 5), "2026-01"),
        (date(2026, 4, 6), "2026-04"),
        (date(2026, 5, 2), "2026-04"),
        (date(2026, 5, 3), "2026-05"),
        (date(2026, 5, 5), "2026-05"),
        (date(2026, 5, 6), "halted"),
        (date(2031, 1, 1), "halted"),
    ],
)
def test_which_is_in_force(day, name) -> None:
    assert in_force(day).name == name


def test_before_the_first_day_nothing_is_known() -> None:
    with pytest.raises(ConfigError, match=r"'2026-01', began on 2026-01-01"):
        in_force(profile("2026-01").first_day - timedelta(days=1))


def test_a_wrong_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean '2026-04'"):
        profile("2026-4")
    with pytest.raises(ConfigError, match="has no level 4; it has 0, 1, 2, 3"):
        profile("2026-01").level(4)
    with pytest.raises(ConfigError, match="nothing is sent"):
        profile("halted").level(0)


def test_profiles_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        profile("2026-01").sources[Source.CUSTOMER] = 1.0  # type: ignore[index]
    with pytest.raises(TypeError):
        load_profiles()["mine"] = profile("2026-01")  # type: ignore[index]
