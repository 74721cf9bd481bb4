"""Languages in which a message, or a part of it, is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from common.text import say
from messaging.lints import Draft, Finding, Lint, Severity, Variant, lints

COMPARED = ("subject", "title", "preheader")  # short parts that are never the same in two languages
BODY = "html"


@lints.register("translations")
class Translations(Lint):
    """A warning for each language of the workspace that the draft lacks, each part that one language has and another
    lacks, each subject that says the same in two, and each block that had to be taken in another language."""

    key: ClassVar[str] = "translations"

    def find(self, draft: Draft) -> Iterator[Finding]:
        there = {locale.lower(): variant for locale, variant in draft.variants.items()}
        for locale in draft.wanted:
            if locale.lower() not in there:
                yield Finding(Severity.WARNING, _missing(locale), locale)
        yield from _uneven(draft)
        yield from _untranslated(draft)
        for block, wished, taken in sorted(draft.fallbacks):
            yield Finding(Severity.WARNING, _fallback(block, taken), wished, block=block)


def _uneven(draft: Draft) -> Iterator[Finding]:
    forms = {locale: _forms(variant) for locale, variant in draft.variants.items()}
    for locale, mine in forms.items():
        for other, theirs in forms.items():
            for part in sorted(theirs - mine):
                yield Finding(Severity.WARNING, _part(other), locale, "mjml" if part == BODY else part)


def _forms(variant: Variant) -> set[str]:
    """The parts written; MJML and HTML are one."""
    written = {name for name, part in variant.parts.items() if part.source.strip()}
    return {BODY if name == "mjml" else name for name in written}


def _untranslated(draft: Draft) -> Iterator[Finding]:
    first: dict[tuple[str, str], str] = {}
    for locale, variant in draft.variants.items():
        for name in COMPARED:
            part = variant.parts.get(name)
            text = part.source.strip() if part else ""
            if any(char.isalpha() for _line, words in part.seen.words for char in words) if part else False:
                other = first.setdefault((name, text), locale)
                if other != locale and other.split("-")[0].lower() != locale.split("-")[0].lower():
                    yield Finding(Severity.WARNING, _same(other), locale, name)


def _missing(locale: str) -> str:
    return say(
        f"there is no {locale} version: who reads it gets another language",
        f"没有 {locale} 版本：这些读者将收到其他语言",
    )


def _part(other: str) -> str:
    return say(f"is empty here, but written in {other}", f"此处为空，但 {other} 版本有内容")


def _same(other: str) -> str:
    return say(f"says the same as in {other}: is it translated?", f"与 {other} 版本相同：是否尚未翻译？")


def _fallback(block: str, taken: str) -> str:
    return say(
        f"the block '{block}' is not written in this language: it stands in {taken}",
        f"模块 '{block}' 没有此语言版本：使用 {taken} 版本",
    )
