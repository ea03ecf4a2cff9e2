"""What the policies that are walked along a path have in common: who is counted, the record, the refusal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from workzone.calibration.certificate import Reaches, refuse_certificate
from workzone.calibration.groups import Grouped, group_pictures
from workzone.calibration.path import Path
from workzone.calibration.walk import WalkPlan, walk
from workzone.core.scores import Scores
from workzone.policy.binomial import binomial_cdf
from workzone.policy.certificate import Walk
from workzone.policy.risks import RISKS
from workzone.policy.settings import PolicySettings, RiskLimit


def populations(limits: Sequence[RiskLimit], calib: Grouped) -> list[int]:
    """Return, for each limit, how many calibration groups have a picture of its population."""
    return [len(calib.chosen[RISKS[limit.risk].population]) for limit in limits]


def walk_record(path: Path, start: int, passed: int, chosen: int) -> Walk:
    """Return the record of a walk."""
    return Walk(path.parameter, tuple(path.values.tolist()), start, passed, chosen)


def reaches_rule(
    path_of: Callable[[Scores], Path],
    settings: PolicySettings,
    plan: WalkPlan,
    chosen: int,
    split_sha256: str,
) -> Reaches:
    """Return the question whether the walk, made again on other pictures or labels, reaches the chosen rule."""

    def reaches(pictures: Scores, extra_events: int) -> bool:
        grouped = group_pictures(pictures, split_sha256)
        limits, delta, counting = settings.limits, settings.delta, settings.counting
        passed = walk(path_of(pictures), grouped, limits, delta, counting, plan, extra_events)
        return passed is not None and passed >= chosen

    return reaches


def refusal(path: Path, grouped: Grouped, settings: PolicySettings, start: int, instead: str) -> str:
    """Return why the first rule failed, by the risk that failed it most clearly, one picture a group."""
    worst: tuple[float, str] | None = None
    codes = path.codes(start)
    for limit in settings.limits:
        definition = RISKS[limit.risk]
        rows = grouped.chosen[definition.population]
        counted = int(np.sum(definition.counts(codes[rows])))
        events = int(np.sum(definition.events(grouped.labels[rows], codes[rows])))
        p_value = binomial_cdf(events, counted, limit.alpha)
        text = refuse_certificate(
            limit,
            settings.delta,
            counting=settings.counting,
            counted=counted,
            events=events,
            groups=len(rows),
            instead=instead,
        )
        if worst is None or p_value > worst[0]:
            worst = (p_value, text)
    assert worst is not None
    return worst[1]
