"""`cascade.json`: which bundles answer in which order, what each costs, and what each path promises.

Knows the document and its seal; does not know files beside it. Sealed as a bundle is: canonical text, with a digest of
itself; integrity, not authenticity.

The decision a reader would question: a stage has a name and no path. Its bundle lies in `stages/<name>` of the cascade
and nowhere else, so no document can point outside, and whoever copies the directory has copied the cascade.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from workzone.bundle.manifest import Section, Sha256
from workzone.core.errors import ArtifactError, BundleError
from workzone.policy.cascade import Reach
from workzone.storage.hashing import sha256_json
from workzone.storage.jsonfile import parse_json

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class CascadeStage(Section):
    """One stage: a bundle that answers, or defers to the next."""

    name: _Name = Field(description="Also the directory of its bundle, under stages/.")
    digest: Sha256 = Field(description="Of the bundle.")
    cost: float = Field(
        ge=0, allow_inf_nan=False, description="Of asking it for one picture, in any one unit."
    )
    deadline_ms: float = Field(gt=0, allow_inf_nan=False, description="It is late after this.")
    fallback: Literal["defer"] = Field("defer", description="What is answered while it is out or late.")


class CascadeManifest(Section):
    """`cascade.json` without its digest, which is computed from it."""

    schema_version: Literal[1] = 1
    name: _Name
    created: datetime
    package_version: Annotated[str, Field(min_length=1, max_length=1000)]
    stages: tuple[CascadeStage, ...] = Field(min_length=2, max_length=20)
    reach: Reach = Field(description="How many of the pictures that it was certified on each stage is asked.")
    paths: JsonValue = Field(description="For 1, 2, ... stages: the certificate, or why there is none.")
    seen_sha256: Sha256 = Field(description="Of seen.npz.")

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the manifest: the identity of the cascade."""
        return sha256_json(self.model_dump(mode="json"))


def render_cascade(manifest: CascadeManifest) -> bytes:
    """Return the content of `cascade.json`."""
    value = {**manifest.model_dump(mode="json"), "digest": manifest.digest}
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode()


def parse_cascade(data: bytes, where: str) -> CascadeManifest:
    """Read what `render_cascade` gave.

    Args:
        data: The file's content.
        where: The file's name, for the error.

    Raises:
        BundleError: It is something else, or was changed.
    """
    try:
        value: Any = parse_json(data, f"'{where}'")
    except ArtifactError as error:
        raise BundleError(str(error)) from error
    digest = value.pop("digest", None) if isinstance(value, dict) else None
    try:
        manifest = CascadeManifest.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise BundleError(f"'{where}' is not a cascade of schema version 1 ({faults(error)}).") from error
    if digest != manifest.digest or render_cascade(manifest) != data:
        raise BundleError(
            f"'{where}' was changed after the cascade was sealed: its digest does not fit its content. "
            "Get the cascade again from where it came from."
        )
    return manifest


def faults(error: ValidationError) -> str:
    """Return the first few things that are wrong, by key."""
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors()[:3])
