"""Pages by position, not by number: as quick on the last page as on the first, and nothing shown twice."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

MOST = 500
LONGEST = 200


class Keyset(CursorPagination):
    """`?limit=` up to 500 (50 by default) and `?cursor=` as the links of the answer give it. Orders by an integer."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = MOST
    ordering = "-id"

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("limit")
        if text is None:
            return self.page_size
        if not text.isascii() or not text.isdecimal() or len(text) > 4 or not 1 <= int(text) <= MOST:
            raise ValidationError({"limit": f"A whole number from 1 to {MOST}."})
        return int(text)

    def decode_cursor(self, request: Request) -> Cursor | None:
        text = request.query_params.get("cursor")
        if not text:
            return None
        try:
            cursor = super().decode_cursor(request) if len(text) <= LONGEST else None
        except Exception:  # noqa: BLE001 - whatever a forged cursor makes the decoder raise, it is no cursor
            cursor = None
        if cursor is None or not _is_id(cursor.position):  # ids differ, so every link we give names one
            raise ValidationError({"cursor": "Not a cursor that this list gave."})
        return cursor

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }


def _is_id(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= 18
