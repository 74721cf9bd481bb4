"""Names in the order of a language, Chinese characters closed up and Latin letters apart."""

from __future__ import annotations

import pytest

from common.naming import full_name


@pytest.mark.parametrize(
    ("given", "family", "locale", "expected"),
    [
        ("美", "林", "zh-Hans", "林美"),
        ("美", "林", "en", "美 林"),
        ("Mei", "Lin", "zh-CN", "Lin Mei"),
        ("Mei", "Lin", "en", "Mei Lin"),
        ("Mei", "", "ZH", "Mei"),
        ("", "Lin", "", "Lin"),
        ("", " ", "zh", ""),
        ("Zoë", "", "fr", "Zoë"),
    ],
)
def test_full_name(given: str, family: str, locale: str, expected: str) -> None:
    assert full_name(given, family, locale) == expected
