from __future__ import annotations

import base64
import hashlib
import itertools
import json
import logging
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workzone.serving import redaction
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


SEED = "449316ecaa1c6ce34d132b64f997f69d5abfa5fab8a0db8e6ac00a8397984423"
PHRASE = "switch jungle type twenty cook sing parrot cattle umbrella guide dinosaur stock"
KEYFILE = {"ss58Address": "5FByStvqUBMCSPENvqk3E1zF4WDzoRxj2GpVaRUHiwKhbJQN", "secretPhrase": PHRASE,
           "secretSeed": f"0x{SEED}", "privateKey": f"0x{SEED}{SEED[::-1]}"}  # fmt: skip
"""Made for these tests; nothing was ever paid to it."""


@pytest.mark.parametrize(
    "text",
    [
        f"seed 0x{SEED} was read",
        f"0X{SEED.upper()}{SEED.upper()}",
        f"key=0x{SEED}",
        f"b'0x{SEED}'",
        f"0x{SEED[:40]} is what was left of it",
        f"secretSeed: {SEED}",
        f"'privateKey': '{SEED}{SEED}'",
        json.dumps(KEYFILE),
        json.dumps(json.dumps(KEYFILE)),
        json.dumps(json.dumps(json.dumps(KEYFILE))),
        repr(KEYFILE),
        repr(json.dumps(KEYFILE)),
        str(json.dumps(KEYFILE, indent=2).encode()),
        f"the phrase is {PHRASE} and it was read",
        f"mnemonic: {PHRASE}",
        PHRASE.upper(),
        PHRASE.replace(" ", "\n"),
        repr(PHRASE.replace(" ", "\r\n")),
        repr(PHRASE.split()),
        json.dumps(PHRASE.split(), indent=4),
        "\n".join(f"{n:2}. {word}" for n, word in enumerate(PHRASE.split(), 1)),
        f"{PHRASE} {PHRASE}",
        f"ordinary words before them {PHRASE}, ordinary words after them",
        '{"password": "two words"}',
        "{'token': 'two words', 'n': 3}",
        "X-Vault-Token: hvs.CAESIJ3f9QhZk2vT7nXw8rLmYc4dBpGsAaEe",
        "with hvs.CAESIJ3f9QhZk2vT7nXw8rLmYc4dBpGsAaEe",
        "with hvb.AAAAAQJ3f9QhZk2vT7nXw8rLmYc4dBpGsAaEe",
        "with s.J3f9QhZk2vT7nXw8rLmYc4dB,",
        "with s.J3f9QhZk2vT7nXw8rLmYc4dB.nSp1D",
        "with 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",
        "https://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@huggingface.co/a/b",
    ],
)
def test_key_material_is_taken_out(text: str) -> None:
    pieces = [
        "J3f9QhZk",
        "c4dB",
        "QmZtRkWv",
        "MwEr",
        "two words",
        SEED[:20],
        SEED[:20].upper(),
        SEED[::-1][:20],
    ]
    pieces += ["switch", "cattle umbrella", "stock"]
    for clean in (cleaned(text).msg, repr(vars(cleaned("x", field=text))), Redaction().text(text, end=True)):
        assert REDACTED in clean
        assert [piece for piece in pieces if piece.lower() in clean.lower()] == []


@pytest.mark.parametrize("words", [12, 15, 18, 21, 24])
def test_every_mnemonic_of_the_sdk_is_taken_out(words: int) -> None:
    keypair = pytest.importorskip("bittensor_wallet").Keypair
    for _ in range(40):
        assert Redaction().text(f"it is: {keypair.generate_mnemonic(words)}.") == f"it is: {REDACTED}."


def test_the_words_are_those_of_bip_39() -> None:
    path = Path(redaction.__file__).with_name("bip39_english.txt")
    # As published: github.com/bitcoin/bips, bip-0039/english.txt.
    published = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == published
    assert len(redaction._mnemonic_words()) == 2048


@pytest.mark.parametrize(
    "text",
    [
        f"the bundle {SEED} was opened",
        f"sha256:{SEED}",
        f"pictures/{SEED[:2]}/{SEED}.jpg",
        hashlib.sha512(b"x").hexdigest(),
        "5FByStvqUBMCSPENvqk3E1zF4WDzoRxj2GpVaRUHiwKhbJQN asked, uid 12, stake 3000.5",
        "hotkey=5FByStvqUBMCSPENvqk3E1zF4WDzoRxj2GpVaRUHiwKhbJQN, "
        "coldkey=5FHbPRvRuWgbciczEyUBjjuWK9bA2PaAUb8VkQhDKFW1Hrzu",
        "<function f at 0x7f3c2a1b9d30>",
        "0x1f",
        "seed=42, seed 0",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "from huggingface_hub import hf_hub_download; hf_transfer is not installed",
        "models.yolo and s.decode() and b.something_else_that_is_rather_long and os.path",
        "hvac.exceptions.VaultDown, hvac.api.secrets_engines.kv_v2",
        " ".join(PHRASE.split()[:11]),
        "that picture must have shown road work although every sign which could tell about this street was "
        "covered with snow when someone drove past there",
        "The service was started with the large model, three pictures were answered, none deferred, and the queue "
        "stayed empty until the miner was told that there were no challenges",
        "retry later when there will have been only some just then about your own list this day",
        'File "/usr/lib/python3.11/asyncio/runners.py", line 190, in run return runner.run(main) File "x.py", line 3',
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert Redaction().text(text) == text


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(["switch", "jungle", "type", "of", "the", "street", "roadwork", "zoo"]), max_size=40
    )
)
def test_a_row_of_twelve_of_its_words_is_what_makes_a_mnemonic(words: list[str]) -> None:
    listed = {"switch", "jungle", "type", "street", "zoo"}
    rows, row = [], 0
    for word in [*words, "of"]:
        row = row + 1 if word in listed else (rows.append(row) or 0)
    text = " ".join(words)
    clean = Redaction().text(text)
    assert clean.count(REDACTED) == sum(n >= 12 for n in rows)
    assert clean.replace(REDACTED, "").split() == [
        word
        for here, group in itertools.groupby(words, listed.__contains__)
        for kept in [list(group)]
        if not (here and len(kept) >= 12)
        for word in kept
    ]


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
        "abandon ",
        "\\nabandon",
        "abc. ",
        "0x",
        "hvs.",
        "token='",
        'token\\"=\\"\\',
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
    "0x" + "aB" * 17, "hvs.abcdefghijklmnopqrst", " s.J3f9QhZk2vT7nXw8rLmYc4dB ", "hf_abcdefghijklmnopq",
    "secretSeed': 'a b'",
    "\u202e", "\n", " ", "é",
]), max_size=6).map("".join))  # fmt: skip
def test_what_looks_harmless_is_what_no_pattern_would_change(text):
    import workzone.serving.redaction as module

    slow = text
    for _, pattern, replacement in module._PATTERNS:
        slow = pattern.sub(replacement, slow)
    assert Redaction().text(text) == slow
    assert Redaction().one_line(text) == module._UNPRINTABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", slow)
