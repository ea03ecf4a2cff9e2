"""A multipart form taken apart in memory, with bounded parts, headers and texts.

Knows RFC 7578; does not know which fields mean what. Starlette's own reader is not used because it writes larger
files to a temporary directory, where a killed process would leave pictures behind.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from workzone.serving.faults import Code, refuse

_MAX_HEADERS = 8
_MAX_HEADER_BYTES = 1024
_MAX_TEXT_BYTES = 64 * 1024


@dataclass(slots=True)
class Part:
    """One field of a form."""

    name: str = ""
    pieces: list[bytes] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        """The field's bytes."""
        return b"".join(self.pieces)

    def text(self) -> str:
        """The field's text.

        Raises:
            Refused: 413: longer than 64 KiB; 400: no UTF-8.
        """
        data = self.data
        if len(data) > _MAX_TEXT_BYTES:
            raise refuse(Code.TOO_LARGE, "A text field of the form is longer than 64 KiB.")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise refuse(
                Code.BAD_REQUEST, "A field of the form other than 'image' is no UTF-8 text."
            ) from None


class _Reader:
    """Collects parts from the parser's callbacks."""

    def __init__(self, max_parts: int) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._max_parts = max_parts
        self._header: list[bytes] = []
        self._value: list[bytes] = []
        self._disposition = b""

    def on_part_begin(self) -> None:
        if len(self.parts) >= self._max_parts:
            raise refuse(Code.TOO_LARGE, f"The form has more than {self._max_parts} fields.")
        self.parts.append(Part())
        self._disposition = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header.append(data[start:end])

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value.append(data[start:end])

    def on_header_end(self) -> None:
        if b"".join(self._header).lower() == b"content-disposition":
            self._disposition = b"".join(self._value)
        self._header, self._value = [], []

    def on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise refuse(Code.BAD_REQUEST, "A part of the form has no name (Content-Disposition: form-data).")
        self.parts[-1].name = name.decode("utf-8", "replace")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].pieces.append(data[start:end])

    def on_end(self) -> None:
        self.ended = True


def read_parts(body: bytes, boundary: bytes, *, max_parts: int) -> list[Part]:
    """Return the fields of a form, in order.

    Raises:
        Refused: 400: it is no such form, or cut off; 413: it has too many fields.
    """
    reader = _Reader(max_parts)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": reader.on_part_begin,
            "on_header_field": reader.on_header_field,
            "on_header_value": reader.on_header_value,
            "on_header_end": reader.on_header_end,
            "on_headers_finished": reader.on_headers_finished,
            "on_part_data": reader.on_part_data,
            "on_end": reader.on_end,
        },
        max_header_count=_MAX_HEADERS,
        max_header_size=_MAX_HEADER_BYTES,
    )
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise refuse(Code.BAD_REQUEST, "The body is not the multipart form that its header says.") from None
    if not reader.ended:
        raise refuse(Code.BAD_REQUEST, "The multipart form is cut off: its last boundary is missing.")
    return reader.parts
