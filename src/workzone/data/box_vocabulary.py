"""The one small vocabulary of work-zone objects, and how the class names of published data sets map to it.

The table is `box_vocabulary.yaml`; here is how a name is looked up. Knows nothing of pictures, boxes or labels: which
objects make a picture "road work" is a default in the table, and `importers.label_rule` applies it.

A class that the table does not know is never guessed at: it keeps its own name, as context, and whoever imports it
says so. Half a match ("cone" in "ice cream cone") would be a wrong label.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from workzone.core.errors import ConfigError, nearest
from workzone.data.schema import BoxCategory

_TABLE = Path(__file__).with_name("box_vocabulary.yaml")
_MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A kind of object.

    Attributes:
        name: As boxes.parquet has it in `type`.
        category: What it says about road work.
        qualifies: Whether one of it in sight makes a picture road work, unless told otherwise.
        known: Whether the table has it; else it is a published class under its own name.
    """

    name: str
    category: BoxCategory
    qualifies: bool = False
    known: bool = True


@dataclass(frozen=True, slots=True)
class BoxVocabulary:
    """The table.

    Attributes:
        types: By name.
        names: From each known name, normalised, to the type it means.
    """

    types: Mapping[str, ObjectType]
    names: Mapping[str, ObjectType]

    @property
    def qualifying(self) -> frozenset[str]:
        """The types of which one in sight makes a picture road work, by default."""
        return frozenset(name for name, kind in self.types.items() if kind.qualifies)

    def lookup(self, published: str) -> ObjectType:
        """Return what a published class name means; an unknown one is context, under its own name.

        Case, dashes, underscores, joined words and plurals do not matter. A name with a colon that is not known
        means what stands before the colon.

        >>> box_vocabulary().lookup("Traffic_Cones").name
        'cone'
        >>> box_vocabulary().lookup("Temporary Traffic Control Sign: left arrow").name
        'work_sign'
        >>> box_vocabulary().lookup("Ice-cream cone")
        ObjectType(name='ice_cream_cone', category='context', qualifies=False, known=False)
        """
        found = self._find(published)
        if found is None and ":" in published:
            found = self._find(published.partition(":")[0])
        return found or ObjectType(own_name(published), "context", known=False)

    def choose(self, names: str) -> frozenset[str]:
        """Return the types that a list names: ours or published ones, apart by commas.

        Raises:
            ConfigError: A name is not known, or there is none.
        """
        chosen = [name.strip() for name in names.split(",") if name.strip()]
        for name in chosen:
            if not self.lookup(name).known:
                raise ConfigError(f"'{name}' is no object of the vocabulary.{nearest(name, self.types)}")
        if not chosen:
            raise ConfigError(
                "No qualifying object is named; name some, apart by commas, as 'cone,drum,worker'."
            )
        return frozenset(self.lookup(name).name for name in chosen)

    def _find(self, published: str) -> ObjectType | None:
        name = normalised(published)
        return next((self.names[form] for form in (name, *_singular(name)) if form in self.names), None)


def normalised(name: str) -> str:
    """Return a class name in lower case with single spaces between its words.

    >>> normalised("TTC_Message-Board"), normalised("trafficCone")
    ('temporary traffic control message board', 'traffic cone')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name[:1000])
    words = re.sub(r"[\W_]+", " ", apart).lower().split()
    return " ".join("temporary traffic control" if word == "ttc" else word for word in words)


def own_name(published: str) -> str:
    """Return the type under which a class that is not known is kept: lower case, underscores, bounded."""
    return normalised(published).replace(" ", "_")[:_MAX_NAME] or "unnamed"


@cache
def box_vocabulary() -> BoxVocabulary:
    """Return the table, read once."""
    table = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))["types"]
    types: dict[str, ObjectType] = {}
    names: dict[str, ObjectType] = {}
    for name, entry in table.items():
        kind = ObjectType(name, entry["category"], entry.get("qualifies", False))
        types[name] = kind
        for known in (normalised(name), *entry.get("names", ())):
            if names.setdefault(known, kind) is not kind:
                raise ValueError(f"{_TABLE.name}: '{known}' means both '{names[known].name}' and '{name}'")
    return BoxVocabulary(types, names)


def _singular(name: str) -> list[str]:
    """What `name` may be the plural of: only its last word is one ("traffic cones", "other roadwork objects")."""
    forms = []
    for plural, singular in (("men", "man"), ("ies", "y"), ("es", ""), ("s", "")):
        if name.endswith(plural) and len(name) > len(plural) + 2:
            forms.append(name.removesuffix(plural) + singular)
    return forms
