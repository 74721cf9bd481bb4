"""What one call and one request may measure, and how a row says that it cannot be taken."""

from __future__ import annotations

from dataclasses import dataclass

from common.text import without_poison

CALL_BYTES = 32 * 1024
BODY_BYTES = 500 * 1024
ITEMS = 500
DEPTH = 32
KEYS = 200
KEY_CHARS = 64
STRING_BYTES = 8 * 1024
INTEGER = 2**63 - 1
NAME_CHARS = 200
ID_CHARS = 255


class Refused(Exception):
    """One row cannot be taken. `code` is for programs, `path` such as "properties.total", `message` for people.

    Both texts can be stored everywhere, whatever they quote of the row.
    """

    def __init__(self, code: str, path: str, message: str) -> None:
        super().__init__(message)
        self.code, self.path, self.message = code, without_poison(path)[:200], without_poison(message)


class BadBody(Exception):
    """A whole request cannot be read; `status` is the HTTP answer (400, 413 or 415)."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one call: "stored", "known" (its message id was there) or "rejected" with code and path."""

    index: int
    status: str
    code: str = ""
    path: str = ""
    message: str = ""

    @property
    def ok(self) -> bool:
        return self.status != "rejected"
