"""What a bundle's public repository holds, put together: card, README, weights, licence.

Knows the bundle and which form of the model is published; sends nothing. Where `transformers` has a class that says
what the bundle says, the model is published as that class reads it, with the operating point in its weights; else the
bundle's own `model.onnx` and `model.safetensors`, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from pydantic import JsonValue

from workzone.bundle.reader import Bundle
from workzone.core.errors import ConfigError
from workzone.export.transformers_model import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    Converted,
    Convertible,
    convert,
    find_class,
)
from workzone.models.backbone_table import BACKBONES
from workzone.phases.subnet_asking import logit_at_half
from workzone.subnet.publishing.card import CARD_NAME, ModelCard
from workzone.subnet.publishing.hub import RepoFile
from workzone.subnet.publishing.readme import (
    PROCESSOR_NAME,
    README_NAME,
    Measure,
    PublishedModel,
    TransformersFacts,
    preprocessor_config,
    render_readme,
)

LICENCE_NAME = "LICENSE"
BUNDLE_CARD_NAME = "CARD.md"
ONNX_NAME = "model.onnx"
OURS = frozenset(
    {
        CARD_NAME,
        README_NAME,
        LICENCE_NAME,
        BUNDLE_CARD_NAME,
        ONNX_NAME,
        WEIGHTS_NAME,
        CONFIG_NAME,
        PROCESSOR_NAME,
    }
)
"""Every name that a publication may have: what one does not have, it takes away."""
SHOWN = (
    "mcc_at_half",
    "accuracy_at_half",
    "recall_at_half",
    "specificity_at_half",
    "auroc",
    "auprc",
    "brier",
    "mcc",
    "accuracy",
)
"""Measures of the README, in this order; the bundle's own card has them all."""
_OWN_LICENCE = "Apache-2.0"
_MAX_LICENCE_BYTES = 1 << 20
_NO_LOGIT = 1e5
"""`logit_at_half` is far beyond it where the probability crosses one half nowhere."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A repository's content.

    Attributes:
        card: The submission.
        files: All of it, sorted by name.
        transformers: The class that loads it, or the sentence that says why there is none.
        notes: What the publisher should know first, a sentence each.
    """

    card: ModelCard
    files: tuple[RepoFile, ...]
    transformers: TransformersFacts | str
    notes: tuple[str, ...]

    def text(self, name: str) -> str:
        """Return the content of one of its documents."""
        content = next(file.content for file in self.files if file.name == name)
        data = content if isinstance(content, bytes) else content.read_bytes()
        return data.decode("utf-8")


def build_publication(
    bundle: Bundle,
    card: ModelCard,
    scratch: Path,
    *,
    repo: str = "OWNER/NAME",
    licence: Path | None = None,
    as_onnx: bool = False,
    without_point: bool = False,
) -> Publication:
    """Put together what is published of a bundle.

    Args:
        bundle: A verified bundle.
        card: The submission.
        scratch: A directory that lives as long as the publication: large files may lie in it.
        repo: For the README's example.
        licence: File with the licence's text; needed for every licence but Apache-2.0.
        as_onnx: Publish `model.onnx` even where `transformers` has a class.
        without_point: Publish a bundle even if it has no operating point; its answer then turns at logit 0.

    Raises:
        ConfigError: The bundle has no operating point, or the text of the licence is missing or is none.
        BundleError: The bundle's `model.onnx` cannot be loaded.
        DataError: A golden picture cannot be decoded.
        MissingExtraError: `transformers` has a class, but it or torch is not installed.
    """
    manifest, point = bundle.manifest, bundle.manifest.operating_point
    if point is None and not without_point:
        raise ConfigError(
            f"The bundle '{bundle.path}' has no operating point: published, it would turn at logit 0, which is not "
            "what a miner answers. Make a bundle that has one (workzone subnet point BUNDLE DATASET --profile NAME "
            "--out NEW) and publish that; or say --without-point."
        )
    threshold = point.threshold if point is not None else 0.0
    text = _licence_text(manifest.backbone.licence, licence)
    facts, large = _model_files(bundle, scratch / "model", threshold, as_onnx=as_onnx)
    certificate = bundle.policy.certificate
    known = BACKBONES.get(manifest.backbone.name)
    described = PublishedModel(
        bundle_digest=bundle.digest,
        backbone=manifest.backbone.name,
        base_model=known.hub_id if known is not None else None,
        licence=manifest.backbone.licence,
        preprocessing=bundle.preprocessing,
        profile=point.profile if point is not None else None,
        threshold=threshold,
        measures=_measures(bundle.metrics),
        promise=certificate.statement if certificate is not None else None,
        data=_section(bundle.card, "Data"),
        limits=_section(bundle.card, "Limits"),
        transformers=facts,
    )
    contents: dict[str, bytes | Path] = {
        CARD_NAME: card.to_json(),
        README_NAME: render_readme(card, described, repo).encode(),
        LICENCE_NAME: text,
        BUNDLE_CARD_NAME: bundle.card.encode(),
        PROCESSOR_NAME: preprocessor_config(bundle.preprocessing),
        **large,
    }
    files = tuple(RepoFile.of(name, contents[name]) for name in sorted(contents))
    return Publication(card, files, facts, _notes(bundle, facts, as_onnx=as_onnx))


def _model_files(
    bundle: Bundle, output: Path, threshold: float, *, as_onnx: bool
) -> tuple[TransformersFacts | str, dict[str, bytes | Path]]:
    """Return how `transformers` loads the model, or why not, and the files of the model."""
    found = find_class(bundle)
    reason = "it was asked for without." if as_onnx else ""
    if not as_onnx:
        made = (
            convert(
                bundle,
                found,
                output,
                processor=preprocessor_config(bundle.preprocessing),
                threshold=threshold,
            )
            if isinstance(found, Convertible)
            else found
        )
        if isinstance(made, Converted):
            facts = TransformersFacts(
                made.architecture, made.max_abs_logit, made.n_pictures, made.processor_shift
            )
            return facts, {name: made.path / name for name in (WEIGHTS_NAME, CONFIG_NAME)}
        reason = made.reason
    return reason, {name: bundle.path / name for name in (ONNX_NAME, WEIGHTS_NAME)}


def _licence_text(licence: str, path: Path | None) -> bytes:
    if path is not None:
        try:
            with path.open("rb") as handle:
                text = handle.read(_MAX_LICENCE_BYTES + 1)
            text.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"The licence's text '{path}' cannot be read as UTF-8 text: {error}."
            ) from error
        if not text.strip() or len(text) > _MAX_LICENCE_BYTES:
            raise ConfigError(
                f"'{path}' is no licence's text: it has {len(text)} bytes; expected up to 1 MiB."
            )
        return text
    own = _own_licence() if licence == _OWN_LICENCE else None
    if own is None:
        raise ConfigError(
            f"The backbone's licence is '{licence}'; what is derived from it is published with the licence's text. "
            "Give the file with --licence-file, after reading whether it lets you publish at all."
        )
    return own.encode()


def _own_licence() -> str | None:
    """Return the text of Apache-2.0 as this package is installed with it."""
    try:
        return distribution("workzone").read_text("licenses/LICENSE")
    except PackageNotFoundError:
        return None


def _measures(metrics: JsonValue) -> tuple[Measure, ...]:
    """Return the measures that are shown and were measured; `metrics.json` may be any document."""
    rows = metrics.get("measures") if isinstance(metrics, dict) else None
    found: dict[str, Measure] = {}
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict) or row.get("name") not in SHOWN:
            continue
        estimate, low, high = (_number(row.get(key)) for key in ("estimate", "low", "high"))
        if estimate is not None:
            name = str(row["name"])
            found[name] = Measure(name, estimate, low, high)
    return tuple(found[name] for name in SHOWN if name in found)


def _section(card: str, title: str) -> str:
    """Return what stands under a heading of the bundle's card; empty where it has no such heading."""
    _, found, rest = f"\n{card}".partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0].strip() if found else ""


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, float | int) and not isinstance(value, bool) else None


def _place_of_half(bundle: Bundle) -> str:
    logit = logit_at_half(bundle.calibrator)
    return f"at logit {logit:.4f}" if abs(logit) < _NO_LOGIT else "at no logit that a model gives"


def _notes(bundle: Bundle, facts: TransformersFacts | str, *, as_onnx: bool) -> tuple[str, ...]:
    notes = []
    if bundle.manifest.operating_point is None:
        notes.append(
            "The bundle has no operating point: the published answer turns at logit 0, and the bundle's own "
            f"probability is one half {_place_of_half(bundle)}. `workzone subnet point` fits one."
        )
    if isinstance(facts, str) and not as_onnx:
        notes.append(f"It is published as model.onnx, without config.json: {facts}")
    if not isinstance(facts, str) and bundle.manifest.serving.precision != "fp32":
        notes.append(
            f"The bundle serves in {bundle.manifest.serving.precision}; what is published is float32."
        )
    return tuple(notes)
