"""Pictures of every kind, through the commands: each is answered, or ends in one sentence that names it."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

ORANGE, BLUE, GREY = (240, 130, 10), (20, 60, 200), (120, 120, 120)


def picture(colour: tuple[int, int, int] = ORANGE, side: int = 48, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(-8, 9, (side, side, 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, rows: bytes) -> bytes:
    """Return a PNG made by hand, whose header may promise more than its rows hold."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bomb() -> bytes:
    """A whole PNG of 40,000 × 40,000 black pixels: 4.8 GB decoded, 5 MB as it lies there."""
    size = 40_000 * (1 + 3 * 40_000)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush a block stands for itself, so one of a thousandth can be repeated.
    block = packer.compress(bytes(size // 1000)) + packer.flush(zlib.Z_FULL_FLUSH)
    adler32 = (size % 65521) << 16 | 1  # of zeros
    rows = b"\x78\xda" + 1000 * block + b"\x03\x00" + struct.pack(">I", adler32)
    return png(40_000, 40_000, rows)


def odd_pictures() -> dict[str, tuple[bytes, str]]:
    """Return name → (bytes, the verdict that it must get). All are of orange, but for `exif.jpg`."""
    orange = picture()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    sixteen = np.asarray(orange.convert("L")).astype(np.uint16) * 257
    animated = [orange, picture(BLUE)]
    return {
        "cmyk.jpg": (encoded(orange.convert("CMYK"), "JPEG", quality=95), "roadwork"),
        "sixteen.png": (encoded(Image.fromarray(sixteen), "PNG"), "defer"),
        "grey.png": (encoded(picture(GREY).convert("L"), "PNG"), "defer"),
        "alpha.png": (encoded(orange.convert("RGBA"), "PNG"), "roadwork"),
        "clear.png": (encoded(Image.new("RGBA", (32, 32), (*ORANGE, 0)), "PNG"), "defer"),  # a neutral ground
        "palette.png": (encoded(orange.convert("P"), "PNG"), "roadwork"),
        "exif.jpg": (encoded(picture(BLUE), "JPEG", exif=exif), "none"),
        "animated.gif": (encoded(orange, "GIF", save_all=True, append_images=animated[1:]), "roadwork"),
        "plain.webp": (encoded(orange, "WEBP"), "roadwork"),
        "plain.bmp": (encoded(orange, "BMP"), "roadwork"),
        "plain.tif": (encoded(orange, "TIFF"), "roadwork"),
        "narrow.png": (encoded(orange.crop((0, 0, 48, 1)), "PNG"), "defer"),
    }


def bad_pictures() -> dict[str, tuple[bytes, str]]:
    """Return name → (bytes, what the error says of it)."""
    whole = encoded(picture(side=200), "JPEG")
    return {
        "truncated.jpg": (whole[: len(whole) // 2], "truncated"),
        "bomb.png": (png(40_000, 40_000, zlib.compress(bytes(10_000))), "40000 x 40000"),
        "text.jpg": (b"This is a text, whatever its name says.\n", "no picture's signature"),
        "empty.jpg": (b"", "empty"),
        "page.png": (b"<html><body>404</body></html>", "no picture's signature"),
        "torn.png": (encoded(picture(side=200), "PNG")[:-3000], "truncated"),
    }


ODD, BAD = odd_pictures(), bad_pictures()


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A directory of twelve odd pictures that can be answered, and six that cannot."""
    directory = tmp_path / "album"
    directory.mkdir()
    for name, (data, _) in {**ODD, **BAD}.items():
        (directory / name).write_bytes(data)
    return directory


@pytest.mark.parametrize("name", ODD)
def test_an_odd_picture_is_answered(invoke, colour_bundle, tmp_path, name: str) -> None:
    data, verdict = ODD[name]
    (tmp_path / name).write_bytes(data)
    said = invoke("predict", colour_bundle, tmp_path / name, "--json")
    assert (said.code, said.err) == (0, "")
    answer = json.loads(said.out)
    assert answer["image"] == str(tmp_path / name)
    assert answer["verdict"] == verdict
    assert answer["error"] is None


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_one_sentence_that_names_it(invoke, colour_bundle, tmp_path, name: str) -> None:
    data, reason = BAD[name]
    (tmp_path / name).write_bytes(data)
    said = invoke("predict", colour_bundle, tmp_path / name)
    assert said.code == 1
    assert len(said.out.splitlines()) == 1
    assert said.out.startswith("error ")
    assert name in said.out
    assert reason in said.out
    row = json.loads(invoke("predict", colour_bundle, tmp_path / name, "--json").out)
    assert reason in row["error"]
    assert row["verdict"] is row["probability"] is None


def test_a_whole_bomb_costs_no_memory(colour_bundle, tmp_path) -> None:
    """5 MB on disk that would be 4.8 GB: refused by a process that may not have more than 2.5 GB."""
    (tmp_path / "bomb.png").write_bytes(bomb())
    done = subprocess.run(
        [sys.executable, "-m", "workzone", "predict", str(colour_bundle), str(tmp_path / "bomb.png")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (5 << 29, 5 << 29)),
    )
    assert done.returncode == 1, done.stderr
    assert "40000 x 40000" in done.stdout


def test_one_bad_picture_spoils_no_other(invoke, colour_bundle, album) -> None:
    said = invoke("predict", colour_bundle, album, "--json")
    assert said.code == 1
    rows = {Path(row["image"]).name: row for row in map(json.loads, said.out.splitlines())}
    assert rows.keys() == ODD.keys() | BAD.keys()
    assert {name: row["verdict"] for name, row in rows.items() if name in ODD} == {
        n: v for n, (_, v) in ODD.items()
    }
    for name, (_, reason) in BAD.items():
        assert reason in rows[name]["error"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_directory_goes_to_a_file(invoke, colour_bundle, album, tmp_path, suffix: str) -> None:
    out = tmp_path / f"answers.{suffix}"
    said = invoke("predict", colour_bundle, album, "--out", out)
    assert said.code == 1  # six pictures have no answer
    assert "18 pictures" in said.out
    assert "6 without an answer" in said.out
    if suffix == "jsonl":
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    elif suffix == "csv":
        with out.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
    else:
        rows = pq.read_table(out).to_pylist()
    verdicts = {Path(row["image"]).name: row["verdict"] or None for row in rows}
    assert verdicts == {**{n: v for n, (_, v) in ODD.items()}, **dict.fromkeys(BAD)}
    assert {path.name for path in tmp_path.iterdir()} == {"album", "colour-bundle", out.name}


def test_names_that_are_no_text_and_names_that_look_like_markup(invoke, colour_bundle, tmp_path) -> None:
    odd = tmp_path / "odd"
    (odd / "[").mkdir(parents=True)
    for name in (os.fsdecode(b"caf\xe9.png"), "[/b].png", "[red]x.png", "straße.png", "new\nline.png"):
        (odd / name).write_bytes(ODD["plain.bmp"][0])
    said = invoke("predict", colour_bundle, odd, "--json")
    assert said.code == 0, said.err
    assert [json.loads(line)["verdict"] for line in said.out.splitlines()] == ["roadwork"] * 5
    said = invoke("predict", colour_bundle, odd)
    assert said.code == 0
    assert "[/b].png  probability" in said.out
    assert "[red]x.png  probability" in said.out
    said = invoke("predict", colour_bundle, odd, "--out", odd / "[" / "b].csv")
    assert said.code == 0, said.err
    assert "[/b].csv" in said.out


def test_import_keeps_what_can_be_read_and_says_what_cannot(invoke, tmp_path) -> None:
    photos = tmp_path / "photos"
    for label, entries in (("roadwork", ODD), ("none", BAD)):
        (photos / label).mkdir(parents=True)
        for name, (data, _) in entries.items():
            (photos / label / name).write_bytes(data)
    (photos / "none" / "blue.png").write_bytes(encoded(picture(BLUE), "PNG"))
    said = invoke("data", "import", "folder", photos, "--out", tmp_path / "data", "--json")
    assert said.code == 0, said.err
    summary = json.loads(said.out)
    assert summary["total"]["pictures"] == len(ODD) + 1
    assert summary["skipped"] == len(BAD)
    log = [json.loads(line) for line in (tmp_path / "data" / "import_log.jsonl").read_text().splitlines()]
    reasons = {Path(entry["path"]).name: entry["reason"] for entry in log}
    assert reasons.keys() == BAD.keys()
    for name, (_, reason) in BAD.items():
        assert reason in reasons[name]
