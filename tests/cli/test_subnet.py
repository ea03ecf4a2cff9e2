"""`workzone subnet score` and `point` with whole bundles through the engine: numbers, files, and what is refused."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workzone.bundle.reader import open_bundle
from workzone.bundle.seen import SeenPictures
from workzone.bundle.writer import write_bundle
from workzone.cli.subnet import app as subnet_app
from workzone.cli.subnet import point, score
from workzone.core.types import Label
from workzone.data.dataset import write_dataset
from workzone.data.schema import NewSample
from workzone.phases.subnet_asking import DEFAULT_CHALLENGES
from workzone.subnet.profiles import load_profiles

CHALLENGES = ("--challenges", 200)
PLAIN = ("--profile", "2026-05", *CHALLENGES)
SCORED = (*PLAIN, "--resamples", 50)
"""Pictures as they are: quick."""


def street(rng: np.random.Generator, number: int, *, orange: bool) -> bytes:
    """A picture of noise about a colour between grey and orange, or between grey and blue."""
    far = rng.uniform(0.05, 0.9)
    end = np.array((240, 130, 10) if orange else (20, 60, 200))
    pixels = rng.normal(120 + far * (end - 120), 12, (20, 24, 3)).clip(0, 255).astype(np.uint8)
    pixels[0, 0] = number % 256, number // 256, 0
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def streets(seed: int, n: int, *, wrong_every: int = 6) -> list[NewSample]:
    """Every second with road work; every sixth, or so, looks like the other."""
    rng = np.random.default_rng(seed)
    return [
        NewSample(
            street(rng, number, orange=(number % 2 == 1) ^ (number % wrong_every == 0)),
            Label(number % 2),
            24,
            20,
            group=f"{seed}-{number}",
            synthetic=seed == 2 and number % 2 == 0,
        )
        for number in range(n)
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory, colour_builders) -> Path:
    """`data`, the `bundle` whose select is half of it, and `elsewhere`, which it has never seen."""
    root = tmp_path_factory.mktemp("home")
    select, unseen = streets(0, 60), streets(1, 72)
    write_dataset(root / "data", [*select, *unseen], name="home")
    write_dataset(root / "elsewhere", streets(2, 60), name="elsewhere")
    kept = colour_builders.seen_pictures()
    seen = SeenPictures.from_ids(
        train=kept.ids("train"),
        select=[hashlib.sha256(sample.image).hexdigest() for sample in select],
        calib=kept.ids("calib"),
    )
    write_bundle(root / "bundle", colour_builders.make_parts(root / "parts", seen=seen))
    return root


@pytest.fixture
def there(home, tmp_path, monkeypatch) -> Path:
    """A copy of `home`, as the working directory."""
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


def test_a_score_tells_both_rewards_and_the_gain_with_all_digits(invoke, there) -> None:
    said = invoke("subnet", "score", "bundle", "data", *SCORED, "--json", "--out", "found.json")
    assert said.code == 0, said.err
    assert said.err == ""
    answer = json.loads(said.out)
    assert json.loads((there / "found.json").read_text(encoding="utf-8")) == answer
    assert answer["bundle"] == "bundle"
    assert answer["profile"] == "2026-05"
    assert answer["scored"] | {"n": 72, "n_groups": 72, "n_roadwork": 36} == answer["scored"]
    assert answer["left_out"] == {"n_seen": 60, "n_in_seen_groups": 60, "n_unknown": 0, "n_ambiguous": 0}
    plain, mapped = answer["plain"], answer["mapped"]
    assert mapped["origin"] == "select"
    assert mapped["fit"]["counts"]["n"] == 60
    assert plain["low"] <= plain["mean"] <= plain["high"]
    assert mapped["gain"]["estimate"] == pytest.approx(mapped["reward"]["mean"] - plain["mean"])
    assert plain["missing"] == [[0, "synthetic"], [0, "customer"], [1, "synthetic"], [1, "customer"]]
    assert answer["by_confidence"] == []
    assert answer["profile_state"]["now"] == "halted"
    assert answer["profile_state"]["now_sends_challenges"] is False


def test_a_person_reads_state_left_out_missing_table_and_gain(invoke, there) -> None:
    said = invoke(
        "subnet",
        "score",
        "bundle",
        "data",
        "--profile",
        "2026-01",
        *CHALLENGES,
        "--abstain",
        "--resamples",
        50,
    )
    assert said.code == 0, said.err
    text = " ".join(said.out.split())
    for part in (
        "Profile 2026-01, in force from 2026-01-01, last seen 2026-04-05",
        "The subnet now: profile 'halted' since 2026-05-06",
        "Look at the chain before you spend.",
        "72 of 72 groups, 36 with road work",
        "Left out: 60 in groups that the bundle has learned from.",
        "The data lack what validators send: synthetic without road work, synthetic with road work.",
        "level 3",
        "Gain of the map, on the same challenges:",
        "fitted on 200 challenges of 60 pictures of `select`",
        "no answer below confidence",
        "at nine tenths of the reward after ",
        "`workzone mine` has no such option",
    ):
        assert part in text, part


def test_without_abstain_nothing_is_said_of_it(invoke, there) -> None:
    said = invoke("subnet", "score", "bundle", "data", *SCORED)
    assert said.code == 0
    assert "no answer below" not in said.out


def test_elsewhere_only_the_plain_reward_is_told(invoke, there) -> None:
    """There only pictures without road work are synthetic: of that source alone nothing is earned or known."""
    said = invoke("subnet", "score", "bundle", "elsewhere", *SCORED, "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert answer["mapped"] is None
    assert "no decided picture of the 60" in answer["no_map"]
    by_source = {row["name"]: row for row in answer["plain"]["by_source"]}
    assert by_source["synthetic"]["mean"] is None
    assert by_source["synthetic"]["recall"] is None
    said = invoke("subnet", "score", "bundle", "elsewhere", *SCORED)
    assert "Without the map to 0.5: Data set 'elsewhere' holds no decided picture" in said.out
    assert "Synthetic are the data set's own" in said.out
    assert "nan" not in said.out


def test_a_point_is_the_one_that_a_score_fits_and_is_then_used_everywhere(invoke, there) -> None:
    fitted = json.loads(invoke("subnet", "score", "bundle", "data", *SCORED, "--json").out)["mapped"]
    said = invoke("subnet", "point", "bundle", "data", *PLAIN, "--out", "pointed", "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert answer["fit"] == fitted["fit"]
    old, new = open_bundle(there / "bundle"), open_bundle(there / "pointed")
    assert new.digest == answer["digest"] != old.digest
    assert new.manifest.operating_point is not None
    assert new.manifest.operating_point.profile == "2026-05"
    assert new.manifest.operating_point.threshold == fitted["threshold"]
    assert new.policy == old.policy
    assert "60 pictures of `select`" in new.card
    assert invoke("bundle", "verify", "pointed").code == 0
    again = json.loads(invoke("subnet", "score", "pointed", "data", *SCORED, "--json").out)
    assert (again["mapped"]["origin"], again["mapped"]["threshold"]) == ("bundle", fitted["threshold"])
    assert again["mapped"]["reward"] == fitted["reward"]
    assert again["mapped"]["gain"] == fitted["gain"]
    away = json.loads(invoke("subnet", "score", "pointed", "elsewhere", *SCORED, "--json").out)
    assert away["mapped"]["origin"] == "bundle"
    other = invoke(
        "subnet", "score", "pointed", "elsewhere", "--profile", "2026-04", *CHALLENGES, "--resamples", 20
    )
    assert "operating point is for profile '2026-05', not for '2026-04'" in other.out


def test_a_point_says_what_it_did(invoke, there) -> None:
    said = invoke("subnet", "point", "bundle", "data", *PLAIN, "--out", "pointed")
    assert said.code == 0, said.err
    assert "200 challenges of 60 pictures of `select`" in said.out
    assert "logit" in said.out
    assert "digest" in said.out
    looks = (there / "data" / "openings.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(look)["role"] for look in looks] == ["select"]


def test_a_threshold_that_need_not_move_is_left_and_said_to_be(invoke, there, colour_builders) -> None:
    """Every colour of `select` is right, and the plain threshold tells them all apart."""
    clean = streets(3, 60, wrong_every=1000)[1:]
    write_dataset(there / "clean", [*clean, *streets(1, 72)], name="clean")
    kept = colour_builders.seen_pictures()
    seen = SeenPictures.from_ids(
        train=kept.ids("train"),
        select=[hashlib.sha256(sample.image).hexdigest() for sample in clean],
        calib=kept.ids("calib"),
    )
    write_bundle(there / "sure", colour_builders.make_parts(there / "parts2", seen=seen))
    said = invoke("subnet", "point", "sure", "clean", *PLAIN, "--out", "pointed")
    assert said.code == 0, said.err
    assert (
        "stays at a probability of 0.5: logit -0.0667." in said.out
    )  # Platt's, of slope 1.5 and intercept 0.1
    assert "kept where the probability is one half" in open_bundle(there / "pointed").card
    said = invoke("subnet", "score", "sure", "clean", *SCORED)
    assert said.code == 0, said.err
    text = " ".join(said.out.split())
    assert "changes none of these rewards, so they are shown once." in text
    assert "no other threshold earned more" in text
    assert "Gain" not in text
    assert "mapped" not in text


def test_a_row_of_all_challenges_stands_once(invoke, there) -> None:
    """Under 2026-05 there is one level, and these data have one source."""
    said = invoke("subnet", "score", "bundle", "data", *SCORED)
    assert said.code == 0, said.err
    text = " ".join(said.out.split())
    assert "All challenges are 'level 0 and real': the numbers are those of 'all'." in text
    assert table_rows(said.out) == ["all", "as the bundle answers"]
    assert "openings.jsonl in the data set" in text
    said = invoke("subnet", "score", "bundle", "elsewhere", *SCORED)
    assert "All challenges are 'level 0':" in said.out
    assert table_rows(said.out) == ["all", "synthetic", "real", "as the bundle answers"]


def table_rows(text: str) -> list[str]:
    """Return the first cell of every row of the tables."""
    return [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")]


def test_a_drawing_leaves_out_what_the_table_leaves_out(invoke, there) -> None:
    pytest.importorskip("matplotlib")
    turned = ("--profile", "2026-01", *CHALLENGES, "--resamples", 20)
    for arguments, drawn, left_out in (
        (("data", *SCORED), ("all",), ("level 0", "real", "mapped to 0.5")),
        (("data", *turned), ("all", "level 0", "level 3", "mapped to 0.5"), ("real",)),
        (("elsewhere", *SCORED), ("all", "real", "synthetic"), ("level 0", "mapped to 0.5")),
    ):
        assert invoke("subnet", "score", "bundle", *arguments, "--plot", "rewards.svg").code == 0
        text = (there / "rewards.svg").read_text(encoding="utf-8")
        for name in drawn:
            assert f"<!-- {name} -->" in text, (arguments, name)
        for name in left_out:
            assert f"<!-- {name} -->" not in text, (arguments, name)


def test_help_names_every_command_and_every_profile(invoke) -> None:
    text = " ".join(invoke("subnet", "--help").out.partition("Options")[0].split())
    for command in subnet_app.registered_commands:
        assert (command.name or command.callback.__name__) in text
    for command in ("score", "point"):
        text = invoke("subnet", command, "--help").out
        for name in load_profiles():
            assert name in text


def test_a_point_is_fitted_on_nothing_but_select(invoke, there) -> None:
    said = invoke("subnet", "point", "bundle", "elsewhere", *PLAIN, "--out", "pointed")
    assert said.code == 1
    said.sentence("no decided picture of the 60", "Name the data set that the bundle was made with")
    assert not (there / "pointed").exists()


def test_a_point_never_takes_the_place_of_files(invoke, there) -> None:
    for taken in ("data", "bundle", "bundle/new"):
        said = invoke("subnet", "point", "bundle", "data", *PLAIN, "--out", taken)
        assert said.code == 2
        assert "challenges" not in said.err  # known before anything was asked
    open_bundle(there / "bundle")
    shutil.rmtree(there / "elsewhere" / "images")
    (there / "bundle" / "model.onnx").write_bytes(b"no model")  # known even before the bundle is verified
    said = invoke("subnet", "point", "bundle", "elsewhere", *PLAIN, "--out", "data")
    assert said.code == 2
    said.sentence("'data' exists and is not empty")


@pytest.mark.parametrize("command", ["score", "point"])
@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("2026-1", ("no challenge profile '2026-1'", "'2026-01'")),
        ("halted", ("send no challenges", "2026-05", "before you spend")),
    ],
)
def test_a_profile_that_cannot_be_replayed_is_refused_first(invoke, there, command, name, fragments) -> None:
    more = ("--out", "new") if command == "point" else ()
    said = invoke("subnet", command, "nowhere", "nothing", "--profile", name, *more)
    assert said.code == 2
    said.sentence(*fragments)


@pytest.mark.parametrize("command", ["score", "point"])
def test_a_cascade_is_refused(invoke, there, command, colour_builders) -> None:
    cascade = colour_builders.make_cascade(there / "stages")
    more = ("--out", "new") if command == "point" else ()
    said = invoke("subnet", command, cascade, "data", *PLAIN, *more)
    assert said.code == 2
    said.sentence("is a cascade", "bundle of one stage")


def test_a_data_set_that_the_bundle_knows_whole_is_refused(invoke, there) -> None:
    write_dataset(there / "select", streets(0, 60), name="select")
    said = invoke("subnet", "score", "bundle", "select", *SCORED)
    assert said.code == 1
    said.sentence("has learned from all 60 pictures", "Label pictures of other places")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_drawing_is_made_and_the_same_numbers_give_the_same(invoke, there, suffix) -> None:
    pytest.importorskip("matplotlib")
    for name in ("one", "two"):
        said = invoke("subnet", "score", "bundle", "data", *SCORED, "--plot", f"{name}.{suffix}")
        assert said.code == 0, said.err
        assert f"Written: {name}.{suffix}" in said.out
    drawn = (there / f"one.{suffix}").read_bytes()
    assert drawn == (there / f"two.{suffix}").read_bytes()
    assert drawn[:4] in (b"\x89PNG", b"<?xm", b"%PDF")


def test_what_cannot_be_drawn_is_refused_before_anything_is_asked(invoke, there, monkeypatch) -> None:
    said = invoke("subnet", "score", "bundle", "data", *SCORED, "--plot", "rewards.docx")
    assert said.code == 2
    said.sentence("rewards.docx", ".png, .svg, .pdf")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "workzone.core.lazy.importlib.util.find_spec",
        lambda name: None if name == "matplotlib" else found(name),
    )
    said = invoke("subnet", "score", "bundle", "data", *SCORED, "--plot", "rewards.png")
    assert said.code == 1
    said.sentence("matplotlib", "workzone[report]")
    assert not (there / "data" / "openings.jsonl").exists()


def test_the_commands_default_is_the_librarys() -> None:
    defaults = [inspect.signature(command).parameters["challenges"].default for command in (score, point)]
    assert defaults == [DEFAULT_CHALLENGES] * 2


@pytest.mark.parametrize("command", ["score", "point"])
def test_who_stops_it_is_promised_no_more_than_is_so(invoke, there, monkeypatch, command) -> None:
    """Neither keeps the challenges that were answered: given again, they begin anew."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("workzone.phases.subnet_point.ask_in_batches", stop)
    said = invoke("subnet", command, "bundle", "data", *PLAIN, "--out", "new")
    assert said.code == 130
    assert "interrupted Whatever was finished is kept: the same command does the rest." in said.err
    assert "goes on" not in said.err
    assert not (there / "new").exists()
