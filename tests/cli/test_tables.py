"""What `workzone report` prints of any kind of policy."""

from __future__ import annotations

import re

import pytest

from workzone.cli.console import out
from workzone.cli.tables import SHOWN_MEASURES, print_measures
from workzone.evaluation.measures import TITLES

MEASURES = [
    {"name": name, "estimate": 0.5, "low": 0.4, "high": 0.6, "n": 9, "n_groups": 9, "reason": None}
    for name in TITLES
]


def document(certificate, policies=None):
    return {
        "answer": {"headline": "Certified: at most 5 %", "warning": None},
        "policy": {"certificate": certificate, "refusal": "30 more groups [are] needed."},
        "evaluation": {"measures": MEASURES, "baseline": None, "slices": []},
        "provenance": {
            "test_openings": 1,
            "dataset_name": "kerb",
            "dataset_revision": "7",
            "dataset_sha256": "ab" * 32,
            "split_sha256": "cd" * 32,
        },
        "policies": policies,
    }


def claim(**more):
    return {"risk": "selective_fnr", "events": 2, "n": 313, "bound": 0.0199, "exceedance": None} | more


def printed(value) -> str:
    with out.capture() as captured:
        print_measures(value)
    return re.sub(r"\s+", " ", captured.get())


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        (None, "30 more groups [are] needed."),
        (
            {"kind": "pac", "delta": 0.05, "claims": [claim()]},
            "(confidence 0.95; selective_fnr: 2 of 313 groups, bound 0.0199).",
        ),
        (
            {"kind": "average", "delta": 0.05, "claims": [claim(exceedance=0.46)]},
            "a draw like this one is above it with a chance of 0.46",
        ),
    ],
)
def test_each_kind_of_promise_is_printed(certificate, said):
    text = printed(document(certificate))
    assert said in text
    assert ("onfidence" in text) == (certificate is not None and certificate["kind"] == "pac")


def test_policies_are_printed_with_the_warning():
    rows = [
        {"title": "Two thresholds", "chosen": True, "promise": "pac", "measures": MEASURES},
        {"title": "Gate", "chosen": False, "promise": None, "measures": []},
    ]
    text = printed(document(None, {"rows": rows}))
    assert "Two thresholds *" in text
    assert "Test chose none of them" in text
    assert set(SHOWN_MEASURES) <= set(TITLES)


def test_revision_and_hash_of_the_data_are_named():
    assert "Data set kerb, revision 7, hash abababababab; split cdcdcdcdcdcd." in printed(document(None))


def test_each_source_is_printed_with_intervals_where_there_are_several():
    def row(value, estimate):
        few = {
            "name": "coverage",
            "estimate": None,
            "low": None,
            "high": None,
            "reason": "too few: 3 pictures",
        }
        mcc = {"name": "mcc", "estimate": estimate, "low": 0.1, "high": 0.9, "reason": None}
        return {"value": value, "n": 40, "n_groups": 20, "n_positives": 9, "measures": [mcc, few]}

    report = document(None)
    assert "source" not in printed(report)
    rows = [row("[kerb]", 0.512), row("tram", 0.701)]
    report["evaluation"]["slices"] = [{"name": "daytime", "slices": rows}, {"name": "source", "slices": rows}]
    text = printed(report)
    for said in ("[kerb]", "tram", "0.512 (0.100 to 0.900)", "0.701 (0.100 to 0.900)", "too few: 3 pictures"):
        assert text.count(said) in (1, 2)
    assert text.count("[kerb]") == 1, "of the properties, only the source"
