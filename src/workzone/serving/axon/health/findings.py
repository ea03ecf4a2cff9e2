"""When a number is a concern, and in which words: of clocks, of models, of burning, of silence, of age.

Pure functions; they know neither the chain nor the miner. The bounds are reasoned, not measured on the live subnet:
each says its reason. A finding always says what goes on, since none of them stops anything.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from workzone.serving.axon.guard.headers import AHEAD_S, STALE_AFTER_S
from workzone.serving.axon.health.concerns import Finding

BLOCK_S = 12.0
"""A block of the chain; its timestamp is its author's clock when it was begun."""
CLOCK_BEHIND_S = 5.0
"""A block can't be from the future but by the authors' own error, which time servers keep below a second or two."""
CLOCK_AHEAD_S = 3 * BLOCK_S
"""The newest block is 0 to 13 s old; a skipped author and a slow node add a block each. Beyond: our clock, or a node
that lags, which looks the same from one side."""
CLOCK_RIGHT_S = BLOCK_S
"""No clock is further ahead than the newest block looks old by it, and a validator's request, which waits 9 s, is
refused from 13 s on: up to here it isn't our clock that makes requests look too old."""
CALLERS_BEHIND_S = 3.0
CALLERS_AHEAD_S = 6.0
"""A request takes 0 to 2 s from its nonce to us; the SDK refuses those older than the caller's time limit + 4 s."""
LEAST_CALLERS = 3
"""Clocks of callers whose median says anything."""
BURNT_SHARES = (0.1, 0.5, 0.999)
MODEL_AGES_DAYS = (45, 55, 75, 90)
"""As announced: full reward for 45 days after a submission, then falling to nothing at 90."""


def clock_finding(lag_s: float | None, offsets_s: Sequence[float] = (), too_old: int = 0) -> Finding | None:
    """Judge our clock by the chain's newest block, by the clocks of callers, and last by those that were refused.

    In that order, because anyone can send what is refused: no signature was looked at. So it is evidence only where
    nothing else is, and the chain doesn't contradict it.

    Args:
        lag_s: Our clock less the newest block's timestamp, in seconds; None: not known.
        offsets_s: Our clock less each caller's newest verified nonce, in seconds, one a hotkey.
        too_old: Requests refused in the same time because they looked too old to verify.
    """
    by_callers = statistics.median(offsets_s) if len(offsets_s) >= LEAST_CALLERS else None
    if lag_s is not None and lag_s < -CLOCK_BEHIND_S:
        return Finding(
            f"The clock of this machine is at least {-lag_s:.0f} s behind: the chain's newest block lies in its "
            f"future. {_CLOCK_ADVICE}",
            "behind",
        )
    if by_callers is not None and not -CALLERS_BEHIND_S <= by_callers <= CALLERS_AHEAD_S:
        way = "ahead of" if by_callers > 0 else "behind"
        return Finding(
            f"The clock of this machine is about {abs(by_callers):.0f} s {way} those of {len(offsets_s)} callers. "
            f"{_CLOCK_ADVICE}",
            way,
        )
    if lag_s is not None and lag_s > CLOCK_AHEAD_S:
        return _old_block_finding(lag_s, callers_agree=by_callers is not None)
    if too_old >= LEAST_CALLERS and not offsets_s and (lag_s is None or lag_s > CLOCK_RIGHT_S):
        return Finding(
            f"{too_old} requests of late looked too old to verify, and none was verified, so the clock of this machine "
            f"may be ahead; but anyone can send such requests. {_CLOCK_ADVICE}",
            "ahead of",
        )
    return None


def _old_block_finding(lag_s: float, *, callers_agree: bool) -> Finding:
    if callers_agree:  # it is the node that lags
        return Finding(
            f"The newest block that the chain's node shows is {lag_s:.0f} s old, and callers' clocks agree with ours: "
            "the node lags. What it said last goes on serving; take another node if it stays so.",
            "node",
        )
    return Finding(
        f"The clock of this machine is {lag_s:.0f} s ahead of the chain's newest block, expected at most "
        f"{CLOCK_AHEAD_S:.0f} s: it is wrong, or the chain's node lags. {_CLOCK_ADVICE}",
        "ahead of",
    )


_CLOCK_ADVICE = (
    "Requests go on being answered, but a clock that is ahead by more than the caller's time limit + "
    f"{STALE_AFTER_S:g} s makes every request look too old to verify, and one that is more than {AHEAD_S:g} s late "
    "makes it look signed in the future. Let a time service (chrony, systemd-timesyncd) set it."
)


def models_finding(states: Mapping[str, str]) -> Finding | None:
    """Judge the models by their breakers.

    Args:
        states: Model → "closed", "open" (also of one that is dead) or "half_open"; empty: not known.
    """
    out = [name for name, state in states.items() if state != "closed"]
    if not out:
        return None
    serving = [name for name in states if name not in out]
    how = " and ".join(
        f"the {name} model is out (its breaker is {states[name].replace('_', ' ')})" for name in out
    )
    if serving:
        goes_on = f"the {' and '.join(serving)} one goes on answering alone"
    else:
        goes_on = "nothing answers, and challenges go on being told -1"
    return Finding(
        f"{how[0].upper()}{how[1:]}: {goes_on}. One that failed repeatedly is tried again after a while, one that is "
        "broken for good comes back only by a restart of the miner; the log of errors says why.",
        " ".join(out),
    )


def burnt_finding(share: float | None) -> Finding | None:
    """Judge the share of the miners' incentive that the subnet burns, in [0, 1]; None: not known."""
    if share is None or share < BURNT_SHARES[0]:
        return None
    passed = sum(share >= bound for bound in BURNT_SHARES)
    what = "the whole" if passed == len(BURNT_SHARES) else f"{100 * share:.0f} % of the"
    return Finding(
        f"The subnet burns {what} miners' share (incentive that goes to its owner's keys), so miners earn that much "
        "less, whatever they answer. Challenges go on being answered; look at the subnet's announcements before you "
        "spend more on it.",
        f"{BURNT_SHARES[passed - 1]:g}",
    )


def quiet_finding(quiet: timedelta, after: timedelta, *, none_yet: bool) -> Finding | None:
    """Judge how long no challenge came; told anew each time that it has doubled.

    Args:
        quiet: Since the last challenge, or since the start.
        after: From when on it is a concern, more than nothing.
        none_yet: Whether none came since the start.
    """
    if quiet < after:
        return None
    since = "since the start" if none_yet else "since the last"
    return Finding(
        f"No challenge came for {_span(quiet)} {since}. The miner goes on listening. Look whether the subnet sends any "
        "(a halted profile or a burnt share says no), whether the address on the chain is ours and its port open, and "
        "whether our hotkey is still registered.",
        f"{int(math.log2(quiet / after))}",
    )


def model_age_finding(age: timedelta) -> Finding | None:
    """Judge the age of the submitted model."""
    passed = [bound for bound in MODEL_AGES_DAYS if age >= timedelta(days=bound)]
    if not passed:
        return None
    first, last = MODEL_AGES_DAYS[0], MODEL_AGES_DAYS[-1]
    now = "this one pays nothing by now" if passed[-1] == last else "this one pays less each day"
    return Finding(
        f"The model was submitted {age.days} days ago. By the subnet's announcement a submission pays in full for "
        f"{first} days and nothing from day {last}, so {now}. The miner goes on answering; check whether that rule is "
        "in force, and train and submit a better model.",
        f"{passed[-1]}",
    )


def stale_finding(age: timedelta | None, after: timedelta) -> Finding | None:
    """Judge the age of the table of neurons; None: there is none yet."""
    if age is None:
        return Finding(
            "The table of neurons has not been read yet, so every caller is refused with 503 until it is.",
            "none",
        )
    if age < after:
        return None
    return Finding(
        f"The table of neurons is {_span(age)} old, expected under {_span(after)}. It goes on serving: who registered "
        "since is refused, and who left is let in. See whether the chain's node can be reached.",
        "old",
    )


def halted_finding(profile: str, today: datetime) -> Finding:
    """Say that the challenge profile in force sends nothing."""
    return Finding(
        f"The challenge profile in force on {today:%Y-%m-%d} is '{profile}': by what is known of the subnet, "
        "validators send no challenges. The miner goes on listening; check the subnet's state before you spend on it.",
        profile,
    )


def _span(span: timedelta) -> str:
    """Return `span` for a reader: minutes under two hours, hours under two days, else days."""
    minutes = span.total_seconds() / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{span.days} days"
