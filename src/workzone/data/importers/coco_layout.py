"""Which JSON files of a directory belong together, and where the pictures that they name are.

Roboflow puts `_annotations.coco.json` beside the pictures of each part; COCO and ROADWork have a directory
`annotations` with a file a part and a directory of pictures somewhere beside it. ROADWork publishes several splits
of the same pictures: which one is meant has to be said, since a picture that is in train of one is in test of
another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from workzone.core.errors import DataError
from workzone.data.importers.published_splits import family_and_part, part_named, protected_first
from workzone.data.importers.tree import Tree

ROBOFLOW_FILE = "_annotations.coco.json"


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """A JSON file, relative to the data set, and the part of the published split that it holds."""

    path: str
    part: str | None


def find_annotations(tree: Tree, patterns: Sequence[str]) -> list[AnnotationFile]:
    """Return the files to read, those of a test before those of a train.

    Args:
        tree: The data set.
        patterns: Which files, as "annotations/instances_*_gps_split.json"; none means: find out.

    Raises:
        DataError: There is none, or files of more than one published split and no pattern.
    """
    names = sorted(path for path in tree.files if path.endswith(".json"))
    if patterns:
        chosen = [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
        if not chosen:
            raise DataError(f"No file of '{tree.root}' is {_listed(patterns)}.{_there(names)}")
    else:
        chosen = _found(tree, names)
    files = [AnnotationFile(name, _part_of(name)) for name in chosen]
    return sorted(files, key=lambda file: (protected_first(file.part), file.path))


def picture_directory(tree: Tree, file: AnnotationFile, named: Sequence[str], given: str | None) -> str:
    """Return the directory, relative with "/" at its end or "", below which most named pictures are.

    Raises:
        DataError: None of the pictures is found.
    """
    candidates = (
        [f"{given.strip('/')}/" if given.strip("/.") else ""] if given is not None else _candidates(file)
    )
    counts = [sum(f"{directory}{name}" in tree.files for name in named) for directory in candidates]
    best = max(range(len(candidates)), key=lambda at: counts[at])  # the first of equals
    if not counts[best]:
        looked = ", ".join(f"'{directory or '.'}'" for directory in candidates)
        raise DataError(
            f"None of the {len(named):,} pictures that '{file.path}' names, as '{named[0]}', was found in {looked} of "
            f"'{tree.root}'. Name the directory of the pictures, relative to the data set."
        )
    return candidates[best]


def _found(tree: Tree, names: Iterable[str]) -> list[str]:
    names = list(names)
    roboflow = [name for name in names if PurePosixPath(name).name == ROBOFLOW_FILE]
    if roboflow:
        return roboflow
    annotations = [name for name in names if PurePosixPath(name).parent.name in {"annotations", ""}]
    instances = [name for name in annotations if PurePosixPath(name).name.startswith("instances")]
    families: dict[str, list[str]] = {}
    for name in instances or annotations:
        families.setdefault(family_and_part(PurePosixPath(name).stem)[0], []).append(name)
    if not families:
        raise DataError(
            f"'{tree.root}' has no annotations: expected '{ROBOFLOW_FILE}' beside the pictures, or JSON files in "
            "'annotations/'."
        )
    if len(families) > 1:
        listed = "; ".join(f"{family}: {', '.join(files)}" for family, files in sorted(families.items())[:8])
        raise DataError(
            f"'{tree.root}' has the annotations of {len(families)} published splits ({listed}). Name those of one, as "
            f"'{next(iter(families.values()))[0]}' or with a star: a picture in train of one may be in test of another."
        )
    return next(iter(families.values()))


def _part_of(name: str) -> str | None:
    path = PurePosixPath(name)
    if path.name == ROBOFLOW_FILE:
        return part_named(path.parent.name)
    return family_and_part(path.stem)[1]


def _candidates(file: AnnotationFile) -> list[str]:
    """Where pictures may be, the likely before the less likely."""
    here = PurePosixPath(file.path).parent
    above = here.parent
    part_words = [word for word in PurePosixPath(file.path).stem.split("_") if part_named(word)]
    directories = [here, here / "images", above / "images", above]
    for word in part_words:
        directories += [above / "images" / word, above / word, here / word, here / "images" / word]
    texts = ["" if directory == PurePosixPath(".") else f"{directory}/" for directory in directories]
    return list(dict.fromkeys(texts))


def _listed(patterns: Sequence[str]) -> str:
    return " or ".join(f"'{pattern}'" for pattern in patterns)


def _there(names: Sequence[str]) -> str:
    return f" There are: {', '.join(names[:12])}." if names else " It has no JSON file at all."
