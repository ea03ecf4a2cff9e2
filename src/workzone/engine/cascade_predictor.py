"""A cascade that answers many pictures in turn: what `workzone predict` calls, without a service around it.

Knows the order of the stages and what all of them together promise; does not know deadlines or breakers, because here
every stage is in this process and nobody waits. So the path is always that of all stages, but for a picture that a
later stage cannot answer: that one is deferred.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from workzone.bundle.cascade import CascadeBundle, open_cascade
from workzone.core.types import Prediction, Verdict
from workzone.engine.predictor import Failure, Predictor, open_predictor
from workzone.imaging.decode import ImageInput


class CascadePredictor:
    """Answers pictures with one verified cascade.

    Attributes:
        cascade: The cascade that answers.
    """

    def __init__(self, cascade: CascadeBundle, stages: Sequence[Predictor]) -> None:
        """Join the predictors of the cascade's stages, in their order."""
        self.cascade = cascade
        self._stages = tuple(zip((stage.name for stage in cascade.manifest.stages), stages, strict=True))

    @property
    def identity(self) -> str:
        """Digest of the cascade."""
        return self.cascade.digest

    @property
    def max_batch(self) -> int:
        """The most pictures at once: the first stage's."""
        return self._stages[0][1].max_batch

    def predict_many(
        self, sources: Iterable[ImageInput], batch: int | None = None
    ) -> Iterator[Prediction | Failure]:
        """Answer pictures in their order, a batch at a time; memory is that of one batch.

        Args:
            sources: Pictures, as for `Predictor.predict`.
            batch: Pictures at once, at least 1; by default, and at most, the first stage's largest batch.

        Yields:
            A Prediction that names the stage which answered, or a Failure where the first stage has none.

        Raises:
            InferenceError: The runtime failed.
        """
        size = self.max_batch if batch is None else max(1, min(batch, self.max_batch))
        pictures = iter(sources)
        while part := list(islice(pictures, size)):
            yield from self._answer(part)

    def _answer(self, part: Sequence[ImageInput]) -> list[Prediction | Failure]:
        answers: list[Prediction | Failure] = []
        asked = list(range(len(part)))
        for number, (name, predictor) in enumerate(self._stages):
            found = list(predictor.predict_many([part[row] for row in asked]))
            if number == 0:
                answers = [self._named(answer, name) for answer in found]
            else:
                for row, answer in zip(asked, found, strict=True):
                    answers[row] = self._merged(answers[row], answer, name, number)
            asked = [row for row in asked if _goes_on(answers[row], name)]
            if not asked:
                break
        return [self._promised(answer) for answer in answers]

    def _named(self, answer: Prediction | Failure, name: str) -> Prediction | Failure:
        if isinstance(answer, Failure):
            return answer
        return replace(answer, stage=name, certified=self.cascade.paths[-1].certified)

    def _merged(
        self, before: Prediction | Failure, answer: Prediction | Failure, name: str, number: int
    ) -> Prediction | Failure:
        """Return what a later stage makes of a deferral; without an answer of its own the deferral stands."""
        assert isinstance(before, Prediction)
        if isinstance(answer, Failure):
            return replace(before, certified=self.cascade.paths[number - 1].certified)
        named = replace(answer, latency_ms=before.latency_ms + answer.latency_ms)
        return self._named(named, name)

    def _promised(self, answer: Prediction | Failure) -> Prediction | Failure:
        """Defer what has no certificate: such a path may do nothing else."""
        if isinstance(answer, Failure) or answer.certified:
            return answer
        return replace(answer, verdict=Verdict.DEFER)


def open_cascade_predictor(
    path: Path, *, backend: str | None = None, threads: int | None = None
) -> CascadePredictor:
    """Open a cascade, verify it, run every stage's golden pictures, and return what answers.

    Stages take turns here, so that each may have all the threads.

    Args:
        path: The cascade's directory.
        backend: A key of `engine.backend.BACKENDS`; None: each stage's own, that it was made with.
        threads: Of the runtime; None: as many as the process may use.

    Raises:
        BundleError: It or a stage was changed, is incomplete, or gives other answers than it was sealed with.
        ConfigError: The backend is unknown, cannot work here or computes in another precision than a stage's.
    """
    cascade = open_cascade(path)
    stages = [open_predictor(bundle.path, backend=backend, threads=threads) for bundle in cascade.stages]
    return CascadePredictor(cascade, stages)


def _goes_on(answer: Prediction | Failure, name: str) -> bool:
    """Whether the next stage is asked: this one was reached, and deferred."""
    return isinstance(answer, Prediction) and answer.stage == name and answer.verdict is Verdict.DEFER
