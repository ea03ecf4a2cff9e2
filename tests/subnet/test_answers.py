"""What a model is given, what is kept of its answers, and what they weigh."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import pytest

from workzone.core.errors import DataError
from workzone.subnet.answers import Answers, Logits, answer_weights, ask, ask_logits
from workzone.subnet.profiles import Source, profile
from workzone.subnet.replay import Deck, LabelledPicture, Sent, replay

JANUARY = profile("2026-01")


@pytest.fixture
def sent(pictures: Callable[..., list[LabelledPicture]]) -> Callable[..., list[Sent]]:
    """The first challenges of a replay."""
    return lambda n=12: list(replay(Deck.of(pictures(), JANUARY), np.random.default_rng(4), n))


def zip_to(jpegs: Iterator[bytes], values: list[float]) -> list[float]:
    return [value for _, value in zip(jpegs, values, strict=True)]


class Recorder:
    def __init__(self) -> None:
        self.done: list[tuple[int, int | None]] = []
        self.notes: list[str] = []

    def progress(self, task: str, done: int, total: int | None) -> None:
        assert task == "challenges"
        self.done.append((done, total))

    def note(self, message: str) -> None:
        self.notes.append(message)


def test_each_challenge_is_asked_once_in_order(sent, brightness) -> None:
    given, seen, watcher = sent(), [], Recorder()

    def predict(jpeg: bytes) -> float:
        seen.append(jpeg)
        return brightness(jpeg)

    answers = ask(predict, iter(given), total=12, observer=watcher)
    assert seen == [one.jpeg for one in given]
    assert answers.labels.tolist() == answers.probs.tolist() == [one.label for one in given]
    assert answers.levels.tolist() == [one.level for one in given]
    assert answers.groups.tolist() == [one.group for one in given]
    assert answers.pictures.tolist() == [one.picture for one in given]
    assert set(answers.sources) == {"real"}
    assert len(answers) == 12
    assert watcher.done[-1] == (12, 12)
    assert watcher.notes == []


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 1.5, -0.2])
def test_what_is_no_probability_is_no_answer_and_told(sent, value: float) -> None:
    watcher = Recorder()
    answers = ask(lambda _: value, sent(3), observer=watcher)
    assert answers.probs.tolist() == [-1.0] * 3
    assert watcher.notes == ["3 of 3 challenges were not answered by a probability."]


def test_what_the_model_raises_is_not_hidden(sent) -> None:
    def broken(jpeg: bytes) -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(broken, sent(1))


def test_logits_become_answers_at_an_operating_point(sent) -> None:
    logits = ask_logits(lambda jpegs: zip_to(jpegs, [-3.0, 0.0, 1.0, -2.0, 2.0, 40.0]), sent(6))
    assert (logits.at(0.0).probs > 0.5).tolist() == [False, False, True, False, True, True]
    assert (logits.at(1.0).probs > 0.5).tolist() == [False, False, False, False, True, True]
    assert logits.at(1.0).groups is logits.groups


def test_a_model_that_answers_in_batches_is_asked_the_same(sent, brightness) -> None:
    """Five at a time, and each batch's answers only when the next one is known."""
    given, watcher = sent(12), Recorder()

    def late(jpegs: Iterator[bytes]) -> Iterator[float]:
        waiting: list[float] = []
        while batch := list(islice(jpegs, 5)):
            yield from waiting
            waiting = [brightness(jpeg) for jpeg in batch]
        yield from waiting

    found = ask_logits(late, iter(given), total=12, observer=watcher)
    plain = ask(brightness, given)
    assert found.logits.tolist() == plain.probs.tolist()
    for ours, theirs in zip(found.columns, plain.columns, strict=True):
        assert ours.tolist() == theirs.tolist()
    assert watcher.done[-1] == (12, 12)


@pytest.mark.parametrize("n", [5, 7])
def test_a_model_that_skips_or_adds_answers_is_refused(sent, n: int) -> None:
    with pytest.raises(DataError, match=f"gave {n} numbers for 6 challenges"):
        ask_logits(lambda jpegs: np.zeros(len(list(jpegs)) + n - 6), sent(6))


def test_weights_restore_the_profiles_shares() -> None:
    """Twice as many real ones as synthetic, and level 0 three times as often as the others."""
    places = [
        (label, source, level)
        for label in (0, 1)
        for source in ("real", "real", "synthetic")
        for level in (0, 0, 0, 1, 2, 3)
    ]
    labels, sources, levels = (np.array(column) for column in zip(*places, strict=True))
    names = np.arange(len(places)).astype(str)
    probs = np.full(len(places), 0.5)
    answers = Answers(labels.astype(np.int8), sources, levels.astype(np.int8), names, names, probs)
    weights = answer_weights(answers, JANUARY)
    for label in (0, 1):
        of = answers.labels == label
        assert weights[of].sum() == pytest.approx(1)
        assert weights[of & (answers.sources == "real")].sum() == pytest.approx(0.5)
        for level in range(4):
            assert weights[of & (answers.levels == level)].sum() == pytest.approx(0.25)
    uneven = dataclasses.replace(JANUARY, sources={Source.REAL: 0.9, Source.SYNTHETIC: 0.1})
    weights = answer_weights(answers, uneven)
    assert weights[answers.sources == "real"].sum() == pytest.approx(2 * 0.9)


def test_levels_that_were_not_asked_leave_their_weight_to_the_others() -> None:
    answers = Answers(
        labels=np.array([0, 0, 0, 1], dtype=np.int8),
        sources=np.array([Source.REAL.value] * 4),
        levels=np.array([0, 0, 3, 1], dtype=np.int8),
        groups=np.array(list("abcd")),
        pictures=np.array(list("abcd")),
        probs=np.array([0.1, 0.2, 0.3, 0.4]),
    )
    assert answer_weights(answers, JANUARY) == pytest.approx([0.25, 0.25, 0.5, 1.0])
    with pytest.raises(DataError, match="Nothing that was asked with label 1"):
        answer_weights(answers, profile("2026-05"))


def test_columns_that_do_not_fit_are_refused(sent) -> None:
    good = ask(lambda _: 0.5, sent(3))
    with pytest.raises(DataError, match="'probs' has"):
        dataclasses.replace(good, probs=np.array([0.5]))
    with pytest.raises(DataError, match=r"1 of 3 answers, 1\.2 among them"):
        dataclasses.replace(good, probs=np.array([0.5, 1.2, -1.0]))
    with pytest.raises(DataError, match="neither"):
        dataclasses.replace(good, probs=np.array([0.5, np.nan, -1.0]))
    with pytest.raises(DataError, match="'logits' has"):
        Logits(*good.columns, np.zeros((3, 1)))
    with pytest.raises(DataError, match="No challenge was put"):
        ask(lambda _: 0.5, [])
