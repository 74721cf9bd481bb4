"""JSON bodies, read by the same careful reader as the doors of ingest: no body may become a server error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, Any

from rest_framework.exceptions import ErrorDetail, ParseError, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.settings import api_settings

from common.text import has_poison
from segments.api.refusals import MOST_ERRORS, TooLarge
from segments.ingest.body import Poison, read_json
from segments.ingest.limits import BODY_BYTES, BadBody

WHY = {
    "bad_text": "The text holds a character that cannot be stored (NUL or half a surrogate pair).",
    "not_a_number": "NaN and Infinity are not JSON.",
    "number_too_large": "The number does not fit into 64 bits.",
    "too_deep": "It nests too deeply.",
    "duplicate_key": "The object has a key twice.",
}


class CarefulJSON(BaseParser):
    """Refuses what JSON can carry and a database cannot: NaN, NUL, lone surrogates, absurd nesting and numbers."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(BODY_BYTES + 1)
        if len(raw) > BODY_BYTES:
            raise TooLarge(f"The body is larger than {BODY_BYTES} bytes.")
        try:
            value = read_json(raw)
        except BadBody as bad:
            raise ParseError(bad.message, code=bad.code) from None
        found: dict[str, list[ErrorDetail]] = {}
        for path, why in islice(poison_in(value), MOST_ERRORS):
            found.setdefault(path or api_settings.NON_FIELD_ERRORS_KEY, []).append(ErrorDetail(WHY[why], code=why))
        if found:
            raise ValidationError(found)
        return value


def poison_in(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(place, what) of everything that cannot be stored; the reader has bounded the nesting."""
    if isinstance(value, Poison):
        yield path, value.code
    elif isinstance(value, str) and has_poison(value):
        yield path, "bad_text"
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if has_poison(key):
                yield path, "bad_text"
            yield from poison_in(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from poison_in(part, f"{path}.{index}" if path else str(index))
