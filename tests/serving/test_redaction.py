from __future__ import annotations

import base64
import logging
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workzone.serving.redaction import REDACTED, REQUEST_ID, Redaction

SECRET = "hunter2-ZmFrZQ"
TOKEN = f"wz_a1b2c3_{SECRET}"


def cleaned(msg: object = "", *args: object, **extra: object) -> logging.LogRecord:
    record = logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, msg, args, None, extra=extra)
    assert Redaction().filter(record)
    return record


@pytest.mark.parametrize(
    "text",
    [
        f"key {TOKEN} was used",
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {base64.b64encode(SECRET.encode()).decode()} {SECRET}",
        f"{{'authorization': 'Digest username=x, response={SECRET}'}}",
        f"[(b'authorization', b'{SECRET}')]",
        f"Cookie: a=b; session={SECRET}",
        f"Set-Cookie: session={SECRET}",
        f"bearer {SECRET}",
        f"GET /v1/predict?api_key={SECRET}&lat=1",
        f"?token={SECRET}",
        f'{{"password": "{SECRET}"}}',
        f"WORKZONE_SECRET_KEY={SECRET}",
        f"X-Api-Key: {SECRET}",
        f"postgres://user:{SECRET}@host/db",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    for record in (
        cleaned(text),
        cleaned("%s", text),
        cleaned("x", header=text),
        cleaned("x", a=[{"b": text}]),
    ):
        assert SECRET not in repr(vars(record))
        assert REDACTED in repr(vars(record))


@settings(max_examples=200)
@given(st.text(max_size=60), st.text(max_size=60))
def test_a_known_secret_is_taken_out_wherever_it_is(before: str, after: str) -> None:
    secret = "s3cr3t/Value"
    redaction = Redaction([secret, "s3cr3t"])
    assert secret not in redaction.text(before + secret + after)
    assert secret not in redaction.one_line(before + secret + after)
    assert redaction.text(secret) == REDACTED, "the longest of two first"


def test_fields_with_a_secrets_name_are_taken_out_whole_and_the_rest_stays() -> None:
    record = cleaned(
        "answered",
        api_key="abc",
        Authorization=["abc"],
        key_id="a1b2",
        headers={"X-Token": "abc"},
        n=3,
        ok=True,
    )
    assert "abc" not in repr(vars(record))
    assert (record.key_id, record.n, record.ok) == ("a1b2", 3, True)
    assert cleaned(f"key {TOKEN} was used").msg == f"key wz_a1b2c3_{REDACTED} was used"
    ordinary = "verdict none for 3 pictures at https://host:8000/v1/predict, authorization failed, 12:30:01"
    assert cleaned(ordinary).msg == ordinary


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=())))
def test_no_text_ends_or_reorders_its_line(text: str) -> None:
    record = cleaned("%s", text, field=text, nested={text: [text]})
    (key,) = record.nested
    for clean in (record.msg, record.field, key, record.nested[key][0]):
        assert len(clean.splitlines()) <= 1
        assert not set(clean) & set("\x1b\x00\x7f\x85\u2028\u202e\u2066")


def test_values_that_cannot_be_shown_fail_nobody() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    assert cleaned("%d pictures", "x").msg == "%d pictures (its arguments do not fit)"
    assert "cannot be shown" in cleaned(Broken(), Broken()).msg
    record = cleaned("x", broken=Broken(), nan=float("nan"), deep=[[[[[[[[[1]]]]]]]]])
    assert record.broken == "<Broken that cannot be shown>"
    assert record.nan == "nan"


def test_text_is_bounded_and_hostile_text_is_quick() -> None:
    assert len(cleaned("x" * 1_000_000).msg) < 9000
    start = time.perf_counter()
    for piece in (
        "token",
        "wz_",
        "://a:",
        "authorization ",
        "password=",
        "-----BEGIN A",
        "bearer ",
        'key"=',
        "a",
    ):
        cleaned(piece * 100_000)
    assert time.perf_counter() - start < 5


def test_a_traceback_keeps_its_end_and_loses_its_secrets() -> None:
    error = ValueError("x" * 100_000 + f"{TOKEN} at last")
    record = logging.LogRecord("x", 40, "f", 1, "m", (), (ValueError, error, None))
    Redaction().filter(record)
    assert record.exc_info is None
    assert record.exc_text is not None
    assert SECRET not in record.exc_text
    assert record.exc_text.endswith(f"wz_a1b2c3_{REDACTED} at last\n")
    assert len(record.exc_text) < 9000


def test_the_requests_id_rides_along_and_cleaning_twice_changes_nothing() -> None:
    token = REQUEST_ID.set("r-1\nforged")
    try:
        record = cleaned("a\nb")
    finally:
        REQUEST_ID.reset(token)
    assert record.request_id == "r-1\\u000aforged"
    before = dict(vars(record))
    Redaction().filter(record)
    assert vars(record) == before


@given(st.lists(st.sampled_from([
    "wz_ab_secretsecret", "WZ_ab_secretsecret", "Authorization: Bearer abcdefgh", "cookie=x",
    "basic QWxhZGRpbg==", "://u:p@h",
    "-----BEGIN RSA PRIVATE KEY-----\nabc", "password = hunter22", "api-key:12345678", "token", "street",
    "\u202e", "\n", " ", "é",
]), max_size=6).map("".join))  # fmt: skip
def test_what_looks_harmless_is_what_no_pattern_would_change(text):
    import workzone.serving.redaction as module

    slow = text
    for pattern, replacement in module._PATTERNS:
        slow = pattern.sub(replacement, slow)
    assert Redaction().text(text) == slow
    assert Redaction().one_line(text) == module._UNPRINTABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", slow)
