"""The page loads nothing, runs nothing, escapes what others wrote, and is the same every time."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from workzone.core.errors import DataError, MissingExtraError
from workzone.core.types import Role
from workzone.evaluation import html as page_module
from workzone.evaluation.claims import percent, walk_sentence
from workzone.evaluation.html import MAX_THUMBNAIL_BYTES, render_html, write_report_html
from workzone.evaluation.measures import TITLES
from workzone.evaluation.records import SliceColumn
from workzone.evaluation.report import THUMBNAIL_PX, Gallery, Thumbnail, TrainingCurve, thumbnail

HOSTILE = (
    "<script>alert(1)</script>\"' onerror=alert(1) $x_{2}$ http://evil.example/ <img src=//evil.example/x>"
)
CURVES = (
    TrainingCurve("loss", "train", (1.0, 2.0, 3.0), (0.9, 0.5, 0.3)),
    TrainingCurve("loss", "select", (1.0, 2.0, 3.0), (0.95, 0.6, 0.5)),
    TrainingCurve("MCC", "select", (1.0, 2.0, 3.0), (0.1, 0.6, 0.7)),
)


class Page(HTMLParser):
    """Every element with its attributes, and whether each is closed."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def picture(seed: int, caption: str = "a picture", side: int = 300) -> Thumbnail:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return thumbnail(pixels, caption)


@pytest.fixture(scope="module")
def galleries() -> tuple[Gallery, ...]:
    return (
        Gallery("Missed", "Road work that was answered none.", (picture(1, "first"), picture(2, "second"))),
    )


@pytest.fixture(scope="module")
def text(report, galleries) -> str:
    return render_html(report, CURVES, galleries)


def check_self_contained(text: str) -> Page:
    page = Page(text)
    assert page.open == []
    assert {tag for tag, _ in page.elements}.isdisjoint(
        {"script", "link", "iframe", "object", "embed", "base", "form"}
    )
    for _, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            if name in {"src", "href", "srcset", "xlink:href", "action", "data"}:
                assert value is not None
                assert value.startswith(("data:image/jpeg;base64,", "#")), value
    styles = re.findall(r"<style>.*?</style>", text, flags=re.DOTALL) + re.findall(r'style="[^"]*"', text)
    assert not any(re.search(r"url\((?!#)|@import", style) for style in styles)
    return page


def test_nothing_is_loaded_from_outside(text):
    check_self_contained(text)
    assert not re.search(r"https?:|//\w", re.sub(r"base64,[A-Za-z0-9+/=]*", "", text))


def test_ids_are_unique_and_what_is_referred_to_exists(text):
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {a["href"][1:] for _, a in page.elements if "href" in a} | set(
        re.findall(r"url\(#([^)]*)\)", text)
    )
    assert used <= set(ids)


def test_drawings_follow_the_colours_of_the_page(text):
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) == 6
    for drawing in drawings:
        assert "var(--series-1)" in drawing
        assert not re.search(r"#0[1-7]0[1-7]0[1-7]", drawing)
        assert "<metadata" not in drawing
    assert not re.search(r"20\d\d-\d\d-\d\d", text)


def test_pictures_and_drawings_have_alternative_texts(text):
    page = Page(text)
    images = [a for tag, a in page.elements if tag == "img"]
    assert [a["alt"] for a in images] == ["first", "second"]
    assert all(a.get("aria-label") for _, a in page.elements if a.get("role") == "img")


def test_the_same_report_has_the_same_bytes(report, galleries, text, tmp_path):
    write_report_html(tmp_path / "report.html", report, CURVES, galleries)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == text


def test_the_page_says_what_matters(report, text):
    said = re.sub(r"\s+", " ", "".join(Page(text).text))
    assert "Cannot certify: no miss rate is promised" in said
    assert report.policy.refusal in said
    assert "opened 2 times" in said
    assert f"revision {report.provenance.dataset_revision}, licence" in said
    assert report.provenance.dataset_sha256 in said
    assert "4 ambiguous" in said
    for title in TITLES.values():
        assert title in said
    for opening in Role:
        assert opening.value in said
    assert f"{report.evaluation.measure('mcc').estimate:.3f}" in said
    assert "too few" in said or all(
        m.estimate is not None for m in report.evaluation.slices[0].slices[0].measures
    )


@pytest.fixture(scope="module")
def certified_text(certified_report) -> str:
    return render_html(certified_report)


def test_the_certificate_is_shown_with_all_that_it_rests_on(certified_report, certified_text):
    certificate = certified_report.policy.certificate
    (claim,) = certificate.claims
    said = re.sub(r"\s+", " ", "".join(Page(certified_text).text)).replace("\xa0", " ")
    assert certificate.statement in said
    assert claim.estimand in said
    assert certificate.assumption in said
    assert walk_sentence(certificate) in said
    assert "no ambiguous picture" in said
    for row in claim.label_noise:
        assert percent(row.bound) in said
    assert certified_text.count("<del>") == sum(not row.holds for row in claim.label_noise)


def test_policies_are_compared_on_the_page_and_none_is_hidden(certified_report, certified_text):
    said = re.sub(r"\s+", " ", "".join(Page(certified_text).text))
    compared = certified_report.policies
    assert compared.statement in said
    for row in compared.rows:
        assert row.title in said
    assert "could not be fitted" in said
    assert "All of it was <b>wrong</b>." in said  # escaped, not bold
    assert "30 more groups are needed." in said
    assert "above it with a chance of" in said
    assert compared.costs in said
    assert certified_report.frontier.statement in said
    assert "an example: the recipe states none" in said


def test_the_drawings_of_policies_keep_to_the_page(certified_text):
    check_self_contained(certified_text)
    drawings = re.findall(r"<svg.*?</svg>", certified_text, flags=re.DOTALL)
    assert len(drawings) == 6
    for drawing in drawings:
        assert not re.search(r"#0[1-7]0[1-7]0[1-7]", drawing)
        assert "font:" not in drawing
    assert "limit of the promise, 5 %" in certified_text


@pytest.mark.parametrize("kind", ["frames", "two", "precision", "gate", "sets", "crc", "scrc"])
def test_every_kind_of_policy_has_its_page(report, kinds, kind):
    policy = kinds[kind]
    said = "".join(Page(render_html(replace(report, policy=policy))).text).replace("\xa0", " ")
    assert policy.certificate.statement in said
    assert policy.rule in said
    for claim in policy.certificate.claims:
        assert percent(claim.bound) in said
    assert ("Chance that this draw is above" in said) == (policy.certificate.kind == "average")


def test_hostile_words_stay_words(report, draw, measured):
    scores = draw()
    evaluation = measured(scores, slices=[SliceColumn.of(HOSTILE, [HOSTILE] * 120)])
    provenance = replace(
        report.provenance, dataset_name=HOSTILE, dataset_licence=HOSTILE, backbone=HOSTILE, notes=(HOSTILE,)
    )
    hostile = replace(report, evaluation=evaluation, provenance=provenance)
    curves = (TrainingCurve(HOSTILE, HOSTILE, (1.0, 2.0), (0.5, 0.4)),)
    page = check_self_contained(
        render_html(hostile, curves, (Gallery(HOSTILE, HOSTILE, (picture(1, HOSTILE),)),))
    )
    assert "".join(page.text).count("<script>alert(1)</script>") >= 8
    assert [a["alt"] for tag, a in page.elements if tag == "img"] == [HOSTILE]


def test_a_report_of_one_class_without_extras_still_renders(report, draw, measured):
    scores = draw()
    page = check_self_contained(
        render_html(replace(report, evaluation=measured(scores.take(scores.labels == 0))))
    )
    assert "no picture in its denominator" in "".join(page.text)


def test_the_page_stays_small(report):
    many = tuple(picture(seed, side=256) for seed in range(60))
    text = render_html(report, (), (Gallery("A", "", many), Gallery("B", "", many)))
    assert len(text) < 3_000_000
    assert (
        4 / 3 * MAX_THUMBNAIL_BYTES
        > len("".join(re.findall(r"base64,[^\"]*", text)))
        > MAX_THUMBNAIL_BYTES / 2
    )
    left_out = [int(n) for n in re.findall(r"(\d+) more pictures left out", text)]
    assert sum(left_out) + text.count("<img") == 120


def test_thumbnails_are_small_jpegs():
    from io import BytesIO

    from PIL import Image

    made = thumbnail(np.zeros((300, 900, 3), dtype=np.uint8), "wide")
    with Image.open(BytesIO(made.jpeg)) as opened:
        assert (opened.format, opened.size) == ("JPEG", (THUMBNAIL_PX, round(THUMBNAIL_PX / 3)))
    with pytest.raises(DataError, match="no JPEG"):
        Thumbnail(b"<svg onload=alert(1)>", "hostile")


def test_a_missing_extra_is_named(report, monkeypatch):
    def missing(module: str, extra: str) -> None:
        raise MissingExtraError(module, extra)

    monkeypatch.setattr(page_module, "require", missing)
    with pytest.raises(MissingExtraError, match=r"workzone\[report\]"):
        render_html(report)
