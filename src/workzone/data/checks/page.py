"""`check.html`: what was found, on one self-contained page with the worst pictures. Needs Jinja (extra `report`).

Nothing is loaded from outside and nothing runs: styles are inline, thumbnails are data, there is no script. File names,
captions and groups come from whoever made the data set, so everything is escaped. Thumbnails are made anew from decoded
pixels, never copied, and their number and bytes are bounded.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from workzone.core.errors import DataError
from workzone.core.lazy import require
from workzone.core.observer import NullObserver, Observer, track
from workzone.core.types import Status
from workzone.data.checks.check import DESCRIPTOR, DataCheck
from workzone.data.checks.outcome import CheckResult, Offender
from workzone.imaging.decode import decode_image
from workzone.storage.atomic import write_bytes

TEMPLATE = "page.html.j2"
MAX_THUMBNAILS = 12
"""Of one check."""
MAX_THUMBNAIL_BYTES = 1_800_000
"""Of JPEG on the page, shared evenly by the checks that show any."""
_SIDE_PX = 200


@dataclass(frozen=True, slots=True)
class _Shown:
    """An offender as the page shows it; `image` is a data URI, or "" where the picture cannot be shown."""

    image: str
    path: str
    detail: str


@dataclass(frozen=True, slots=True)
class _Section:
    result: CheckResult
    shown: tuple[_Shown, ...]

    @property
    def left_out(self) -> int:
        """Offending pictures that are not shown."""
        return len(self.result.samples) - len(self.shown)


def render_page(checked: DataCheck, observer: Observer | None = None) -> str:
    """Return the page.

    Raises:
        MissingExtraError: Jinja is not installed.
    """
    jinja2 = require("jinja2", "report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    told = [result for result in checked.results if result.status is not Status.PASS]
    budget = MAX_THUMBNAIL_BYTES // max(1, sum(bool(result.offenders) for result in told))
    root = checked.subject.dataset.root
    sections = [
        _Section(result, _shown(root, result, budget))
        for result in track(told, observer or NullObserver(), "thumbnails")
    ]
    page = environment.get_template(TEMPLATE).render(
        checked=checked,
        dataset=checked.subject.dataset,
        split=checked.subject.split,
        n=len(checked.subject),
        near_m=checked.subject.near_m,
        compared_by=DESCRIPTOR,
        sections=sections,
    )
    return str(page)


def write_page(path: Path, checked: DataCheck, observer: Observer | None = None) -> None:
    """Write `check.html` atomically; raises as `render_page`."""
    write_bytes(path, render_page(checked, observer).encode("utf-8", "backslashreplace"))


def _shown(root: Path, result: CheckResult, budget: int) -> tuple[_Shown, ...]:
    shown: list[_Shown] = []
    used = 0
    for offender in result.offenders[:MAX_THUMBNAILS]:
        jpeg = _thumbnail(root, offender)
        used += len(jpeg)
        if used > budget:
            break
        data = base64.b64encode(jpeg).decode("ascii")
        shown.append(_Shown(f"data:image/jpeg;base64,{data}" if jpeg else "", offender.path, offender.detail))
    return tuple(shown)


def _thumbnail(root: Path, offender: Offender) -> bytes:
    """A small JPEG; b"" of what cannot be decoded."""
    try:
        pixels = decode_image(root / offender.path, target_px=_SIDE_PX, target_side="longer")
    except DataError:
        return b""
    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE_PX, _SIDE_PX))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=75)
    return buffer.getvalue()
