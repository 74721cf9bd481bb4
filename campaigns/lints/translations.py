"""Languages of the workspace in which a message of the journey is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from campaigns.lints import Finding, Lint, Severity, Sight, lints
from common.text import say


@lints.register("translations")
class Translations(Lint):
    """A warning for each language that the pinned version of a message lacks: its readers get another language."""

    key: ClassVar[str] = "translations"

    def find(self, sight: Sight) -> Iterator[Finding]:
        for key, letter in sight.sends():
            there = {locale.lower() for locale in letter.locales}
            for locale in sight.wanted:
                if locale.lower() not in there:
                    yield Finding(Severity.WARNING, _said(letter.template, locale), f"nodes.{key}")


def _said(template: str, locale: str) -> str:
    return say(f"“{template}” has no words in {locale}", f"“{template}”缺少 {locale} 版本")
