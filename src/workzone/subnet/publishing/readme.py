"""README.md and preprocessor_config.json of a published model: what a stranger needs to use it rightly.

Knows the texts; every fact is given to it. Says what the files cannot: `transformers` has its own way to bring a
picture to the network's size, and a promise of the bundle's policy is none of the published classifier's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from workzone.imaging.geometry import Geometry
from workzone.imaging.preprocessing import Preprocessing
from workzone.subnet.publishing.card import ModelCard

README_NAME = "README.md"
PROCESSOR_NAME = "preprocessor_config.json"
BILINEAR = 2
"""Pillow's number for it."""
_HUB_LICENCES: Mapping[str, str] = MappingProxyType(
    {
        "Apache-2.0": "apache-2.0",
        "MIT": "mit",
        "BSD-3-Clause": "bsd-3-clause",
        "CC0-1.0": "cc0-1.0",
        "CC-BY-4.0": "cc-by-4.0",
    }
)
"""Licence as a bundle names it → the hub's word for it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured number with its interval, as the bundle's evaluation gave it."""

    name: str
    estimate: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class TransformersFacts:
    """That `transformers` loads the repository, and how closely.

    Attributes:
        architecture: Its class.
        max_abs_logit: Largest difference of a logit from the bundle's model, of the same pixels.
        n_pictures: On how many pictures.
        processor_shift: Largest difference of a probability when `transformers` prepares the pictures itself, too.
    """

    architecture: str
    max_abs_logit: float
    n_pictures: int
    processor_shift: float


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """What the README says of a model.

    Attributes:
        bundle_digest: Of the bundle that it was made from.
        backbone: Its name.
        base_model: Its repository, where there is one.
        licence: Of the backbone's weights.
        preprocessing: How a picture is prepared.
        profile: Challenge profile of the operating point; None: there is no operating point.
        threshold: The logit at which the answer turns: at probability 0.5.
        measures: Of the bundle's evaluation, in the order they are shown.
        promise: The statement of the bundle's certificate, if it has one.
        data: What the bundle's card says of its data, in Markdown.
        limits: Its limits as the bundle's card lists them, in Markdown.
        transformers: How `transformers` loads it, or the sentence that says why it does not.
    """

    bundle_digest: str
    backbone: str
    base_model: str | None
    licence: str
    preprocessing: Preprocessing
    profile: str | None
    threshold: float
    measures: Sequence[Measure]
    promise: str | None
    data: str
    limits: str
    transformers: TransformersFacts | str


def preprocessor_config(preprocessing: Preprocessing) -> bytes:
    """Return `preprocessor_config.json`: size, mean and deviation as `transformers` reads them.

    A central crop is one of its own processors; a letterbox is none: there the picture is stretched, which is the same
    for a picture that is square already. See `not_expressed`.
    """
    size = preprocessing.size_px
    # transformers names the channels R, G, B, whatever order the network reads them in.
    order = slice(None) if preprocessing.channel_order == "RGB" else slice(None, None, -1)
    config: dict[str, object] = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": size, "width": size},
        "resample": BILINEAR,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [mean / 255 for mean in preprocessing.mean][order],
        "image_std": [1 / (255 * scale) for scale in preprocessing.scale][order],
    }
    if preprocessing.geometry is Geometry.CROP:
        config |= {
            "image_processor_type": "BitImageProcessor",
            "size": {"shortest_edge": size},
            "do_center_crop": True,
            "crop_size": {"height": size, "width": size},
            "do_convert_rgb": True,
        }
    return (json.dumps(config, indent=2) + "\n").encode()


def not_expressed(preprocessing: Preprocessing) -> tuple[str, ...]:
    """Return, a sentence each, what of the preprocessing `preprocessor_config.json` cannot say."""
    said = [
        "Shrinking averages areas here (OpenCV's INTER_AREA); the file says bilinear, which is antialiased in "
        "Pillow but weighs pixels otherwise.",
        "Large JPEGs are decoded at 1/2, 1/4 or 1/8 of their size first, never below twice what the network reads.",
        "Pictures are turned upright by their EXIF orientation before anything else.",
    ]
    if preprocessing.geometry is Geometry.LETTERBOX:
        said.insert(
            0,
            "A picture that is not square is letterboxed with black bars here; the file stretches it to the "
            "square, which changes the answer. Letterbox it yourself before you hand it over.",
        )
    if preprocessing.channel_order == "BGR":
        said.insert(
            0,
            "The network reads blue, green, red, for which the file has no word: reverse the channels of what the "
            "processor gives.",
        )
    return tuple(said)


def render_readme(card: ModelCard, model: PublishedModel, repo: str = "OWNER/NAME") -> str:
    """Return README.md of the repository `repo`: front matter for the hub, then what a reader must know."""
    sections = [
        _front_matter(model),
        f"# {card.model_name}",
        card.description,
        f"Version {card.version}, submitted by `{card.submitted_by}`. Made from the Workzone bundle with digest "
        f"`{model.bundle_digest}`.",
        "## Answer",
        _answer(model, repo),
        "## What it measured",
        _measures(model.measures),
        "## Data",
        model.data or "See `CARD.md`, the bundle's own card.",
        "## Preparing a picture",
        _preparing(model),
        "## Licence",
        _licence(model),
        "## Limits",
        _limits(model),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(model: PublishedModel) -> str:
    licence = _HUB_LICENCES.get(model.licence)
    fields: dict[str, object] = {"license": licence or "other"}
    if licence is None:
        fields |= {"license_name": _slug(model.licence), "license_link": "LICENSE"}
    fields |= {"pipeline_tag": "image-classification", "tags": ["road-work", "street-view", "bittensor"]}
    if not isinstance(model.transformers, str):
        fields["library_name"] = "transformers"
    if model.base_model:
        fields["base_model"] = model.base_model
    # JSON is YAML, and quotes whatever a name may hold.
    return "---\n" + "\n".join(f"{k}: {json.dumps(v)}" for k, v in fields.items()) + "\n---"


def _answer(model: PublishedModel, repo: str) -> str:
    point = (
        f"The answer turns at logit {model.threshold:.6g}, the operating point for the challenge profile "
        f"`{model.profile}`."
        if model.profile is not None
        else "It has no operating point: the answer turns at logit 0, wherever its best decision may be."
    )
    if isinstance(model.transformers, str):
        return (
            "`model.onnx` reads float32 [batch, 1, 3, size, size] and gives `logits` [batch] and `features`. The "
            f"probability of road work is 1 / (1 + exp({model.threshold!r} - logit)); above 0.5 it is road work. "
            f"{point}\n\n`model.onnx` and `model.safetensors` are the bundle's own. There is no `config.json`: "
            f"{model.transformers}"
        )
    facts = model.transformers
    return (
        f"`{facts.architecture}` of `transformers` loads it. Two classes, 0 `None` and 1 `Roadwork`; the softmax of "
        f"class 1 is the probability of road work. {point} That shift is in the weights already: 0.5 is the place.\n\n"
        "```python\n"
        "from transformers import AutoImageProcessor, AutoModelForImageClassification\n\n"
        f'processor = AutoImageProcessor.from_pretrained("{repo}")\n'
        f'model = AutoModelForImageClassification.from_pretrained("{repo}")\n'
        'probability = model(**processor(image, return_tensors="pt")).logits.softmax(-1)[0, 1]\n'
        "```\n\n"
        f"Asked about the same pixels, it differs from the bundle's model by at most {facts.max_abs_logit:.2g} in the "
        f"logit ({facts.n_pictures} pictures); where `transformers` also prepares the pictures, by at most "
        f"{facts.processor_shift:.2g} in the probability."
    )


def _measures(measures: Sequence[Measure]) -> str:
    if not measures:
        return "See `CARD.md`, the bundle's own card."
    lines = ["| measure | estimate | 95 % interval |", "|---|---|---|"]
    for m in measures:
        interval = "–" if m.low is None or m.high is None else f"{m.low:.4f} to {m.high:.4f}"
        lines.append(f"| {m.name} | {m.estimate:.4f} | {interval} |")
    return (
        "\n".join(lines)
        + "\n\nOn held-out pictures of the bundle's own data set, groups resampled. `_at_half` is the decision at 0.5 "
        "of the bundle's calibrated probability, not where the answer above turns. More in `CARD.md`."
    )


def _preparing(model: PublishedModel) -> str:
    p = model.preprocessing
    lines = [
        f"{p.size_px} × {p.size_px} px, {p.geometry.value}, channels {p.channel_order}, then (pixel − mean) · scale "
        f"on the 0..255 scale with mean {_numbers(p.mean)} and scale {_numbers(p.scale)}.",
        "What `preprocessor_config.json` cannot say of it:",
        "\n".join(f"- {sentence}" for sentence in not_expressed(p)),
    ]
    return "\n\n".join(lines)


def _licence(model: PublishedModel) -> str:
    return (
        f"Derived from the backbone `{model.backbone}`, whose weights are under: {model.licence}. The weights were "
        "changed by training. The text of the licence is in `LICENSE`."
    )


def _limits(model: PublishedModel) -> str:
    limits = [
        "- It always answers: the bundle's policy, which may defer, is not part of what is published.",
        "- How it does on other cities, cameras and seasons than its data set's is not known from these measures.",
    ]
    if model.promise:
        limits.insert(
            1,
            "- The bundle's certificate is about that policy and does not hold for this classifier. It reads: "
            f"{model.promise}",
        )
    said = f"\n\nThe bundle's card says of it:\n\n{model.limits}" if model.limits else ""
    return "\n".join(limits) + said


def _numbers(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"


def _slug(text: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in text.split("(")[0].lower()).split()
    return "-".join(words)[:60] or "unknown"
