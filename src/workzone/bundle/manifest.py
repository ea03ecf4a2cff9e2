"""What `bundle.json` says: a bundle's contents, their hashes, and the digest of the manifest itself.

Knows the schema and the bytes of the manifest; does not open any other file. The text of the manifest is
canonical: a file that says the same in other bytes was not written here and is refused, so that no byte of it
can change unnoticed.

That is integrity, not authenticity: who can change a file can also write a new digest. Whom a bundle comes
from must be established by the way it travels (a signature, a trusted registry).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from workzone.core.errors import BundleError
from workzone.core.types import Lineage, Opening, Role
from workzone.imaging.preprocessing import Preprocessing
from workzone.storage.hashing import sha256_json

SCHEMA_VERSION = 3
"""2: every bundle has `seen.npz`, the pictures that it derives from. 3: and names the runtime that it was made with."""
MANIFEST_NAME = "bundle.json"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Text = Annotated[str, Field(min_length=1, max_length=1000)]
_Openings = tuple[tuple[_Text, Role], ...]


class Section(BaseModel):
    """A part of the manifest: cannot be changed and knows every key it has."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(Section):
    """One input or output of the network."""

    name: _Text
    dtype: Literal["float32"] = "float32"
    shape: tuple[int | str, ...] = Field(description="Sizes; a name stands for one that varies.")


class ModelSpec(Section):
    """What the network reads and gives."""

    input: TensorSpec
    outputs: tuple[TensorSpec, TensorSpec] = Field(description="logits, then features.")

    @property
    def views(self) -> int:
        """How many views of one picture the network reads at once."""
        return int(self.input.shape[1])

    @property
    def size_px(self) -> int:
        """Side of the square input."""
        return int(self.input.shape[3])

    @property
    def feature_dim(self) -> int:
        """Length of a feature vector."""
        return int(self.outputs[1].shape[1])


def model_spec(size_px: int, feature_dim: int, views: int = 1) -> ModelSpec:
    """Return the one layout that Workzone's frozen networks have (DESIGN, "The bundle")."""
    return ModelSpec(
        input=TensorSpec(name="images", shape=("batch", views, 3, size_px, size_px)),
        outputs=(
            TensorSpec(name="logits", shape=("batch",)),
            TensorSpec(name="features", shape=("batch", feature_dim)),
        ),
    )


class BackboneInfo(Section):
    """Whose network it is, and under which terms."""

    name: _Text
    licence: _Text


class Serving(Section):
    """Which model file answers, in which precision and runtime its promise was made."""

    model_file: Annotated[str, Field(pattern=r"^model[a-z0-9._-]*\.onnx$")] = "model.onnx"
    precision: _Text = "fp32"
    backend: _Text = "onnxruntime"


class OperatingPoint(Section):
    """The logit at which the answer to a challenge profile turns."""

    profile: _Text
    threshold: Annotated[float, Field(allow_inf_nan=False)]


class BundleManifest(Section):
    """The manifest without its digest, which is computed from it."""

    schema_version: Literal[3] = 3
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    created: datetime
    package_version: _Text
    files: dict[str, Sha256] = Field(description="Every other file of the bundle and its SHA-256.")
    preprocessing: Preprocessing
    calibrator: JsonValue = Field(description="As `policy.calibrators` writes it.")
    policy_kind: _Text
    operating_point: OperatingPoint | None = None
    model: ModelSpec
    views: int = Field(ge=1)
    backbone: BackboneInfo
    serving: Serving = Serving()
    lineage: _Openings = Field(description="(split hash, role) of all that policy and model know.")
    recertified_from: Sha256 | None = Field(None, description="Digest of the bundle whose model this is.")
    ancestor_lineage: _Openings = Field((), description="Lineage of the bundle it was re-certified from.")

    @property
    def opened(self) -> Lineage:
        """Everything that this bundle derives from, as a lineage."""
        return frozenset(Opening(split, role) for split, role in self.lineage)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the manifest: the identity of the bundle."""
        return sha256_json(self.model_dump(mode="json"))


def openings(lineage: Lineage) -> _Openings:
    """Return a lineage in the manifest's form, sorted."""
    return tuple((o.split_sha256, o.role) for o in sorted(lineage))


def render_manifest(manifest: BundleManifest) -> bytes:
    """Return the bytes of `bundle.json`."""
    return _text({**manifest.model_dump(mode="json"), "digest": manifest.digest})


def parse_manifest(data: bytes, where: str) -> BundleManifest:
    """Read the bytes of `bundle.json` and verify its digest.

    Args:
        data: The file's content.
        where: The file's name, for the error.

    Raises:
        BundleError: It was changed, is no manifest, or is of another schema version.
    """
    value = _object(data, where)
    version = value.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BundleError(
            f"'{where}' has schema version {version}; this Workzone reads version {SCHEMA_VERSION}. "
            "Open it with the newer Workzone that wrote it."
        )
    if isinstance(version, int) and version < SCHEMA_VERSION:
        raise BundleError(
            f"'{where}' has schema version {version}; this Workzone reads version {SCHEMA_VERSION}. "
            "Pack it again with this version: 'workzone run' with its recipe and directory."
        )
    digest = value.pop("digest", None)
    try:
        manifest = BundleManifest.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors()[:3])
        raise BundleError(
            f"'{where}' is not a manifest of schema version {SCHEMA_VERSION} ({faults})."
        ) from error
    if digest != manifest.digest or render_manifest(manifest) != data:
        raise BundleError(
            f"'{where}' was changed after the bundle was sealed: its digest does not fit its content. "
            "Get the bundle again from where it came from."
        )
    return manifest


def _text(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _object(data: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"'{where}' is not JSON ({error}): it was changed or cut off.") from error
    if not isinstance(value, dict):
        raise BundleError(f"'{where}' holds a JSON {type(value).__name__}, expected an object.")
    return value
