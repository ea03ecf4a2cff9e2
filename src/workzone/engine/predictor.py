"""From pictures to answers with one bundle: what `workzone.open` returns and every way of serving calls.

Knows decoding, the network, the calibrator and the policy in this order; does not know files of results,
HTTP or the journal. A picture that cannot be read is a `Failure` of its own and spoils no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.reader import Bundle, open_bundle
from workzone.core.errors import BundleError, DataError, InferenceError
from workzone.core.observer import Observer
from workzone.core.types import Prediction
from workzone.engine.backend import Backend, check_precision, open_backend
from workzone.engine.golden import check_golden
from workzone.engine.scorer import name_of, run_fitted, score_sources
from workzone.engine.threads import usable_threads
from workzone.imaging.decode import DecodeLimits, ImageInput

Clock = Callable[[], float]
"""Seconds from any start, never going back."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a picture has no answer."""

    image: str
    """Path or caller's name of the picture."""
    error: str
    """One paragraph: what was found, what was expected."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    name: str
    fitted: NDArray[np.uint8]
    decode_s: float


class Predictor:
    """Answers pictures with one verified bundle; may be called from several threads.

    Attributes:
        bundle: The bundle that answers.
    """

    def __init__(
        self,
        bundle: Bundle,
        backend: Backend,
        *,
        clock: Clock = time.perf_counter,
        limits: DecodeLimits | None = None,
    ) -> None:
        self.bundle = bundle
        self._backend = backend
        self._clock = clock
        self._limits = limits

    @property
    def identity(self) -> str:
        """Digest of the bundle."""
        return self.bundle.digest

    @property
    def max_batch(self) -> int:
        """The most pictures at once."""
        return self.bundle.preprocessing.max_batch

    def predict(self, source: ImageInput, name: str | None = None) -> Prediction:
        """Answer one picture.

        Args:
            source: Encoded bytes, a path, or pixels: uint8 [H, W, 3] in RGB order or [H, W] grey.
            name: What the answer calls it; by default its path.

        Raises:
            DataError: It cannot be decoded.
            InferenceError: The model gave no finite logit.
        """
        decoded = self._decode(source, name or name_of(source))
        answer = self._answer([decoded])[0]
        if isinstance(answer, Failure):
            raise InferenceError(answer.error)
        return answer

    def predict_many(
        self, sources: Iterable[ImageInput], batch: int | None = None
    ) -> Iterator[Prediction | Failure]:
        """Answer pictures in their order, a batch at a time; memory is that of one batch.

        Args:
            sources: Pictures, as for `predict`.
            batch: Pictures at once, at least 1; by default, and at most, the bundle's largest batch.

        Yields:
            A Prediction, or a Failure for a picture that cannot be decoded or gives no finite logit.

        Raises:
            InferenceError: The runtime failed.
        """
        largest = self.bundle.preprocessing.max_batch
        size = largest if batch is None else max(1, min(batch, largest))
        pictures = iter(sources)
        with ThreadPoolExecutor(usable_threads(), thread_name_prefix="decode") as pool:
            while part := list(islice(pictures, size)):
                decoded = list(pool.map(self._decode_or_fail, part))
                readable = [d for d in decoded if isinstance(d, _Decoded)]
                answers = iter(self._answer(readable) if readable else ())
                yield from [d if isinstance(d, Failure) else next(answers) for d in decoded]

    def score(
        self, sources: Sequence[ImageInput], *, observer: Observer | None = None, task: str = "score"
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return logits and features instead of answers; see `engine.scorer.score_sources`."""
        return score_sources(self._backend, self.bundle.preprocessing, sources, observer=observer, task=task)

    def _decode_or_fail(self, source: ImageInput) -> _Decoded | Failure:
        name = name_of(source)
        try:
            return self._decode(source, name)
        except DataError as error:
            return Failure(name, str(error))

    def _decode(self, source: ImageInput, name: str) -> _Decoded:
        start = self._clock()
        fitted = self.bundle.preprocessing.load(source, self._limits)
        return _Decoded(name, fitted, self._clock() - start)

    def _answer(self, decoded: Sequence[_Decoded]) -> list[Prediction | Failure]:
        start = self._clock()
        output = run_fitted(self._backend, self.bundle.preprocessing, [d.fitted for d in decoded])
        logits = output.logits.astype(np.float64)
        finite = np.isfinite(logits)
        safe = np.where(finite, logits, 0.0)  # the policy refuses a whole batch for one of them
        probs = self.bundle.calibrator.apply(safe)
        verdicts = self.bundle.policy.verdicts(safe, output.features)
        share_s = (self._clock() - start) / len(decoded)
        certified = self.bundle.policy.certified
        return [
            Prediction(
                image=d.name,
                probability=float(probs[i]),
                verdict=verdicts[i],
                logit=float(logits[i]),
                latency_ms=1000 * (d.decode_s + share_s),
                certified=certified,
            )
            if finite[i]
            else Failure(d.name, f"The model gave the logit {logits[i]} for {d.name}: the model is broken.")
            for i, d in enumerate(decoded)
        ]


def open_predictor(
    path: Path,
    *,
    backend: str | None = None,
    threads: int | None = None,
    clock: Clock = time.perf_counter,
    limits: DecodeLimits | None = None,
) -> Predictor:
    """Open a bundle, verify it, run its golden pictures, and return what answers.

    Args:
        path: The bundle's directory.
        backend: A key of `engine.backend.BACKENDS`; None: the one that the bundle was made with.
        threads: Of the runtime; None: as many as the process may use.
        clock: For latencies.
        limits: What a picture may cost.

    Raises:
        BundleError: The bundle was changed, is incomplete, or gives other answers than it was sealed with.
        ConfigError: The backend is unknown, cannot work here or computes in another precision than the bundle's.
    """
    bundle, loaded = open_verified(path, backend=backend, threads=threads)
    return Predictor(bundle, loaded, clock=clock, limits=limits)


def open_verified(
    path: Path, *, backend: str | None = None, threads: int | None = None
) -> tuple[Bundle, Backend]:
    """Open a bundle and its network, and run the golden pictures; see `open_predictor`.

    Raises:
        BundleError: The bundle was changed, is incomplete, or gives other answers than it was sealed with.
        ConfigError: The backend is unknown, cannot work here or computes in another precision than the bundle's.
    """
    bundle = open_bundle(path)
    if bundle.manifest.views != 1:
        raise BundleError(
            f"'{path}' reads {bundle.manifest.views} views of a picture; this engine gives it one."
        )
    serving = bundle.manifest.serving
    name = backend or serving.backend
    check_precision(name, serving.precision)
    loaded = open_backend(
        name,
        bundle.model_path,
        bundle.manifest.model,
        max_batch=bundle.preprocessing.max_batch,
        threads=threads,
    )
    check_golden(bundle, loaded, runtime=name)
    return bundle, loaded
