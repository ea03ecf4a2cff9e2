"""Where one picture's time goes, step by step.

The predictor itself runs, over a copy of its bundle and backend whose parts note how long each call took: no
step is written down twice, and a predictor that is not timed pays nothing. Reading the file and hashing it are
the steps that a service has around the predictor. Knows one picture at a time; does not know batches or waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr

from workzone.bundle.reader import Bundle
from workzone.core.errors import ConfigError, DataError, InferenceError
from workzone.core.types import Prediction
from workzone.engine.backend import Backend
from workzone.engine.predictor import Clock, Failure, Predictor, open_verified
from workzone.imaging.decode import DecodeLimits, ImageInput
from workzone.imaging.files import read_file
from workzone.imaging.preprocessing import Preprocessing
from workzone.policy.calibrators import AnyCalibrator
from workzone.policy.policies import AnyPolicy
from workzone.storage.hashing import sha256_bytes

P = ParamSpec("P")
R = TypeVar("R")

WARM_UP = 3
"""Runs between the first and those that count."""


class Step(StrEnum):
    """A part of the way from a file to a verdict, in its order."""

    READ = "read"
    """The file's bytes."""
    HASH = "hash"
    """SHA-256 of the bytes: what a service's cache and journal go by; `predict` alone does without."""
    DECODE = "decode"
    """Bytes to pixels."""
    FIT = "fit"
    """Pixels to the network's size."""
    NORMALISE = "normalise"
    """Pixels to the network's numbers."""
    NETWORK = "network"
    """The backend."""
    CALIBRATE = "calibrate"
    """Logit to probability."""
    POLICY = "policy"
    """Logit and features to the verdict."""
    OTHER = "other"
    """What lies between the steps."""


@dataclass(frozen=True, slots=True)
class StepTime:
    """How long one step took."""

    step: Step
    first_ms: float
    """When the picture was first answered."""
    median_ms: float
    """Of the repeats."""
    share: float
    """Of the repeats' whole time, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One picture's time.

    Medians of steps need not add up to the median of the whole; shares do add up to 1.
    """

    repeats: int
    first_ms: float
    """From file to verdict, the first time since the bundle was opened."""
    median_ms: float
    """Of the repeats, after a warm-up."""
    low_ms: float
    high_ms: float
    steps: tuple[StepTime, ...]


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """What a picture was answered, and in what time; None: it has no answer."""

    answer: Prediction | Failure
    timing: Timing | None


class _Watch:
    """Adds up seconds by step."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._seconds = dict.fromkeys(Step, 0.0)

    @contextmanager
    def timed(self, step: Step) -> Iterator[None]:
        begun = self.clock()
        try:
            yield
        finally:
            self._seconds[step] += self.clock() - begun

    def timing(self, step: Step, call: Callable[P, R]) -> Callable[P, R]:
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.timed(step):
                return call(*args, **kwargs)

        return timed

    def take(self) -> dict[Step, float]:
        """Return the seconds so far and begin anew."""
        taken, self._seconds = self._seconds, dict.fromkeys(Step, 0.0)
        return taken


class _Timed:
    """Another object, one of whose methods is timed."""

    def __init__(self, inner: object, method: str, step: Step, watch: _Watch) -> None:
        self._inner = inner
        self.__dict__[method] = watch.timing(step, getattr(inner, method))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _TimedPreprocessing(Preprocessing):
    """Timed from within, because `load` is made of two steps."""

    _watch: _Watch = PrivateAttr()

    @classmethod
    def over(cls, record: Preprocessing, watch: _Watch) -> _TimedPreprocessing:
        made = cls(**record.model_dump())
        made._watch = watch
        return made

    def decode(self, source: ImageInput, limits: DecodeLimits | None = None) -> NDArray[np.uint8]:
        with self._watch.timed(Step.DECODE):
            return super().decode(source, limits)

    def fit(self, image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with self._watch.timed(Step.FIT):
            return super().fit(image_rgb_u8)

    def normalise(self, images_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._watch.timed(Step.NORMALISE):
            return super().normalise(images_u8)


class TimedPredictor:
    """Answers pictures as `Predictor` does, and says where the time went; one caller at a time.

    Attributes:
        opened_ms: How long opening took: hashes, loading the network, golden pictures.
    """

    def __init__(
        self,
        bundle: Bundle,
        backend: Backend,
        *,
        clock: Clock = time.perf_counter,
        limits: DecodeLimits | None = None,
        opened_ms: float = 0.0,
    ) -> None:
        self.opened_ms = opened_ms
        self._limits = limits or DecodeLimits()
        self._watch = _Watch(clock)
        self._plain = Predictor(bundle, backend, clock=clock, limits=limits)
        self._timed = _timed_predictor(bundle, backend, self._watch, limits)

    def time(self, path: Path, repeats: int) -> TimedAnswer:
        """Answer one picture again and again.

        Args:
            path: Its file.
            repeats: Runs that count, at least 1, after the first and a warm-up.

        Returns:
            The first run's answer; for a picture without one, the failure that `Predictor` gives.

        Raises:
            ConfigError: `repeats` is below 1.
            InferenceError: The runtime failed.
        """
        if repeats < 1:
            raise ConfigError(f"A timing takes at least 1 repeat, got {repeats}.")
        try:
            answer, first = self._run(path)
        except (DataError, InferenceError):
            return TimedAnswer(next(self._plain.predict_many([path])), None)
        for _ in range(WARM_UP):
            self._run(path)
        return TimedAnswer(answer, _summary(first, [self._run(path)[1] for _ in range(repeats)]))

    def _run(self, path: Path) -> tuple[Prediction, dict[Step, float]]:
        watch = self._watch
        watch.take()
        begun = watch.clock()
        with watch.timed(Step.READ):
            data = read_file(path, self._limits.max_bytes)
        with watch.timed(Step.HASH):
            sha256_bytes(data)
        answer = self._timed.predict(data, str(path))
        whole = watch.clock() - begun
        seconds = watch.take()
        seconds[Step.OTHER] = max(0.0, whole - sum(seconds.values()))
        return answer, seconds


def open_timed(
    path: Path,
    *,
    backend: str | None = None,
    threads: int | None = None,
    clock: Clock = time.perf_counter,
    limits: DecodeLimits | None = None,
) -> TimedPredictor:
    """Open a bundle as `open_predictor` does; see there."""
    begun = clock()
    bundle, loaded = open_verified(path, backend=backend, threads=threads)
    return TimedPredictor(bundle, loaded, clock=clock, limits=limits, opened_ms=1000 * (clock() - begun))


def _timed_predictor(
    bundle: Bundle, backend: Backend, watch: _Watch, limits: DecodeLimits | None
) -> Predictor:
    timed = replace(
        bundle,
        preprocessing=_TimedPreprocessing.over(bundle.preprocessing, watch),
        calibrator=cast("AnyCalibrator", _Timed(bundle.calibrator, "apply", Step.CALIBRATE, watch)),
        policy=cast("AnyPolicy", _Timed(bundle.policy, "verdicts", Step.POLICY, watch)),
    )
    network = cast("Backend", _Timed(backend, "run", Step.NETWORK, watch))
    return Predictor(timed, network, clock=watch.clock, limits=limits)


def _summary(first: Mapping[Step, float], runs: list[dict[Step, float]]) -> Timing:
    wholes = [sum(run.values()) for run in runs]
    together = sum(wholes)
    steps = tuple(
        StepTime(
            step=step,
            first_ms=1000 * first[step],
            median_ms=1000 * median(run[step] for run in runs),
            share=sum(run[step] for run in runs) / together if together else 0.0,
        )
        for step in Step
    )
    return Timing(
        repeats=len(runs),
        first_ms=1000 * sum(first.values()),
        median_ms=1000 * median(wholes),
        low_ms=1000 * min(wholes),
        high_ms=1000 * max(wholes),
        steps=steps,
    )
