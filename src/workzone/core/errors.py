"""The one error tree of Workzone, split by who can act.

WorkzoneError
├── ConfigError            the caller: a recipe, option or argument is wrong
├── DataError              the owner of the data: a picture, label, table or split is wrong
├── ArtifactError          the run: an artifact is missing, changed, or derives from what it must not
├── BundleError            the owner of the bundle: it was changed, or is of another version
├── InferenceError         the service: it could not answer
│   ├── Overloaded
│   ├── DeadlineExceeded
│   ├── ModelUnavailable
│   └── JournalError
└── MissingExtraError      the installer: names the pip command

A message is one paragraph: what was found, what was expected, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WorkzoneError(Exception):
    """Any error that Workzone raises on purpose."""


class ConfigError(WorkzoneError):
    """A recipe, an option or an argument is wrong."""


class DataError(WorkzoneError):
    """A picture, a label file, a table or a split is wrong."""


class ArtifactError(WorkzoneError):
    """An artifact is missing, was changed, or derives from a split that it must not know."""


class BundleError(WorkzoneError):
    """A bundle was changed, is incomplete, or gives other answers than it was sealed with."""


class InferenceError(WorkzoneError):
    """An answer could not be given."""


class Overloaded(InferenceError):  # noqa: N818 - the field's name for it
    """More was asked than can be answered in time; try again later.

    Attributes:
        retry_after_s: In how many seconds a new attempt is likely to be taken, by the measured throughput.
    """

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(InferenceError):  # noqa: N818
    """The answer would come too late to be of use."""


class ModelUnavailable(InferenceError):  # noqa: N818
    """The model that should answer cannot be reached or is broken."""


class JournalError(InferenceError):
    """The record of an answer cannot be written, so the answer must not be given."""


class MissingExtraError(WorkzoneError):
    """An optional dependency is not installed.

    Attributes:
        extra: The extra that brings it.
    """

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(
            f"This needs the Python package '{module}', which is not installed. "
            f"Install it with: pip install 'workzone[{extra}]'"
        )
        self.extra = extra


def nearest(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the known word closest to `word`, else the list of known words.

    >>> nearest("wether", ["weather", "daytime"])
    " Did you mean 'weather'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Known: {', '.join(names)}." if names else ""
