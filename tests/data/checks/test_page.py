"""The page: whole in itself, bounded, and unmoved by what names and captions say."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest

from workzone.core.errors import MissingExtraError
from workzone.core.types import Label, Status
from workzone.data.checks import page
from workzone.data.checks.check import DataCheck, check_dataset
from workzone.data.checks.outcome import CheckResult, Offender
from workzone.data.checks.page import render_page, write_page

pytest.importorskip("jinja2")

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def checked(clean_subject) -> DataCheck:
    """A check with one hostile FAIL over real pictures, one of which is gone."""
    offenders = tuple(
        Offender(str(sample_id), str(path), f"{HOSTILE} {number}")
        for number, (sample_id, path) in enumerate(zip(clean_subject.ids, clean_subject.paths, strict=True))
    )[:20]
    gone = Offender("0" * 64, f"images/{HOSTILE}.jpg", HOSTILE)
    result = CheckResult(
        "near_duplicates", Status.FAIL, 21, 48, HOSTILE, HOSTILE, (gone, *offenders), (), ("0" * 64,) * 21
    )
    passed = CheckResult("decodable", Status.PASS, 0, 48, "0 of 48 pictures cannot be decoded.")
    return DataCheck(Status.FAIL, (passed, result), HOSTILE, clean_subject)


def test_nothing_hostile_comes_through(checked, clean_subject):
    named = replace(clean_subject.dataset, name=HOSTILE, revision=HOSTILE)
    text = render_page(replace(checked, subject=replace(clean_subject, dataset=named)))
    assert "<script" not in text
    assert "onerror=alert(2)>" not in text
    assert "&lt;script&gt;" in text
    assert "{{ 7 * 7 }}" in text  # not evaluated
    tags = set(re.findall(r"<([a-z0-9]+)", text.split("</style>")[1]))
    allowed = (
        "head body main header section h1 h2 small p span code div table thead tbody tr th td ul li img a"
    )
    assert tags <= set(allowed.split())
    assert re.findall(r"<img (?!src=\"data:image/jpeg;base64,)", text) == []


def test_it_loads_nothing_from_outside(checked):
    text = render_page(checked)
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")
    assert "url(" not in text


def test_thumbnails_are_made_anew_and_bounded(checked, monkeypatch):
    text = render_page(checked)
    images = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", text)
    assert len(images) == page.MAX_THUMBNAILS - 1  # one cannot be shown
    assert "cannot be shown" in text
    assert all(base64.b64decode(image).startswith(b"\xff\xd8\xff") for image in images)
    assert "9 more in check.json" in text
    monkeypatch.setattr(page, "MAX_THUMBNAIL_BYTES", 10_000)
    fewer = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", render_page(checked))
    assert 0 < sum(len(base64.b64decode(image)) for image in fewer) <= 10_000


def test_all_checks_are_on_it(bench, tmp_path):
    dataset = bench.write(bench.samples({0: {"caption": HOSTILE}, 3: {"label": Label.UNKNOWN}}))
    checked = check_dataset(dataset)
    write_page(tmp_path / "check.html", checked)
    text = (tmp_path / "check.html").read_text()
    for result in checked.results:
        assert result.name in text
    assert "labelled none, with a caption" in text
    assert "near-duplicates compared by descriptor, labels judged by descriptor" in text


def test_without_jinja_it_says_which_extra(checked, monkeypatch):
    def missing(module, extra):
        raise MissingExtraError(module, extra)

    monkeypatch.setattr(page, "require", missing)
    with pytest.raises(MissingExtraError, match=r"workzone\[report\]"):
        render_page(checked)
