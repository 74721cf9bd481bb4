"""Text as people and wires write it: cleaning, slugs, two languages."""

from __future__ import annotations

import re
import unicodedata

from django.utils.translation import get_language

_SPACES = re.compile(r"\s+")
_NOT_UTM = re.compile(r"[^\w.~-]+", re.UNICODE)
CHINESE = "zh-hans"


def is_chinese(language: str | None = None) -> bool:
    """Whether the given (or the active) language is any Chinese."""
    return (language or get_language() or "en").lower().startswith("zh")


def say(english: str, chinese: str, language: str | None = None) -> str:
    """One of two sentences by language; for sentences built by plug-ins, which keep both side by side."""
    return chinese if is_chinese(language) else english


def one_line(value: str) -> str:
    """Collapse all white space, so that a subject or header holds one line."""
    return _SPACES.sub(" ", value).strip()


def has_poison(value: str) -> bool:
    """Whether text cannot be stored on every database: NUL or a lone surrogate."""
    return "\x00" in value or any("\ud800" <= ch <= "\udfff" for ch in value)


def without_poison(value: str) -> str:
    """NUL and lone surrogates become U+FFFD."""
    return "".join("�" if ch == "\x00" or "\ud800" <= ch <= "\udfff" else ch for ch in value)


def utm_value(value: str) -> str:
    """Normalise a UTM value when it is saved: lower case, spaces to '-', only letters, digits and ._~-"""
    text = unicodedata.normalize("NFC", value).strip().lower()
    return _NOT_UTM.sub("-", _SPACES.sub("-", text)).strip("-")


def formula_safe(value: object) -> str:
    """A cell that no spreadsheet runs as a formula: a leading = + - @ (also wide, or after blanks and marks that
    nobody sees), tab or line end gets a quote before it (OWASP, CSV injection)."""
    text = "" if value is None else str(value)
    seen = text.lstrip(_UNSEEN)
    if text[:1] in ("\t", "\r", "\n") or (seen[:1] in _FORMULA and seen and not _is_number(text)):
        return "'" + text
    return text


_UNSEEN = " \t\r\n\x0b\x0c\xa0\u3000\u200b\u200c\u200d\u2060\ufeff"
_FORMULA = "=+-@＝＋－＠"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d[\d.,]*", text) is not None
