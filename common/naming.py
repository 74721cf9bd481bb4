"""A person's name in the order of a language. Knows nothing of Django: the renderer's child process uses it too."""

from __future__ import annotations


def full_name(given: str, family: str, locale: str) -> str:
    """Family name first in Chinese, and without a space where it is written in Chinese characters; else given name
    first. Either part may be empty."""
    given, family = given.strip(), family.strip()
    if not locale.lower().startswith("zh"):
        return f"{given} {family}".strip()
    space = " " if (given + family).isascii() else ""
    return f"{family}{space}{given}".strip()
