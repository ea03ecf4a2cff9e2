"""The arithmetic of the table of label suspects, on orders that are known."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.suspects import FLIPS, Subject, markdown, measure, of_the_hardest

from workzone.data.checks.suspects import Ranking, Suspects


def suspects(by_loss: list[int], by_quality: list[int], flagged: list[int]) -> Suspects:
    nothing = np.full(len(by_loss), np.nan)
    return Suspects(
        judged=np.ones(len(by_loss), dtype=bool),
        probs=nothing,
        loss=nothing,
        quality=nothing,
        by_loss=np.array(by_loss),
        by_quality=np.array(by_quality),
        flagged=np.array(flagged, dtype=np.intp),
        folds=5,
        penalty=1.0,
        auroc=0.9,
    )


def subject(n: int = 40) -> Subject:
    truth = (np.arange(n) % 2).astype(np.int8)
    logits = np.where(truth == 1, 1.0, -1.0) * (
        np.arange(n) - 3.5
    )  # rows 0..3 are called wrongly, 0 the surest
    groups = np.repeat([f"g{i:02d}" for i in range(n // 2)], 2)
    return Subject("s", np.zeros((n, 1), np.float32), truth, groups, logits)


def test_precision_and_recall_of_known_orders() -> None:
    found = suspects([3, 0, 1, 2, 4, 5], [0, 1, 2, 3, 4, 5], flagged=[0, 4, 5])
    wrong = np.array([3, 0])
    by_loss = measure(found, Ranking.LOSS, wrong)
    assert (by_loss.listed, by_loss.precision, by_loss.recall) == (3, 2 / 3, 1.0)
    assert (by_loss.at_share, by_loss.average_precision) == (1.0, 1.0)
    cleanlab = measure(found, Ranking.CLEANLAB, wrong)
    assert (cleanlab.listed, cleanlab.precision, cleanlab.recall) == (3, 1 / 3, 0.5)  # of what it flags
    assert cleanlab.at_share == 0.5
    assert cleanlab.average_precision == pytest.approx((1 / 1 + 2 / 4) / 2)


def test_an_empty_list_finds_nothing() -> None:
    nothing = measure(suspects([0, 1], [0, 1], []), Ranking.CLEANLAB, np.array([0]))
    assert (nothing.listed, nothing.precision, nothing.recall) == (0, 0.0, 0.0)


def test_the_hardest_are_those_called_wrongly_and_the_boundary_those_called_by_a_hair() -> None:
    generator = np.random.default_rng(0)
    assert set(of_the_hardest(subject(), 4, generator, boundary=False)) == {0, 1, 2, 3}
    assert set(of_the_hardest(subject(), 4, generator, boundary=True)) == {2, 3, 4, 5}


def test_whole_groups_are_flipped() -> None:
    rows = FLIPS["random groups"](subject(), 5, np.random.default_rng(0))
    assert len(rows) == 6
    assert all(row ^ 1 in set(rows.tolist()) for row in rows.tolist())


def test_the_table_has_a_line_a_flip() -> None:
    row = {
        "subject": "s", "pictures": 40, "clean_auroc": 0.9, "flips": "random pictures", "listed": 3.0,
        "precision": (0.5, 0.4, 0.6), "recall": (1.0, 1.0, 1.0), "precision_at_share": (0.2, 0.1, 0.3),
        "ahead": 0.0, "ahead_half_width": 0.1,
    }  # fmt: skip
    text = markdown([row | {"ranking": "loss"}, row | {"ranking": "cleanlab", "ahead": 0.02}])
    assert text.splitlines()[2:] == [
        "| s, 40 (0.90) | random pictures | 3 | 0.50 (0.40 to 0.60), 1.00 (1.00 to 1.00) | "
        "0.50 (0.40 to 0.60), 1.00 (1.00 to 1.00) | 0.20 (0.10 to 0.30) | 0.20 (0.10 to 0.30) | +0.020 ± 0.100 |"
    ]
