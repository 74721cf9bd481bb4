"""Words that the workspace does not write, by language: what an advertising law forbids, or a style guide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from common.text import say
from messaging.lints import Draft, Finding, Lint, Severity, every_part, lints
from messaging.models import BannedWord

MOST = 2000  # words that are looked for
LATIN = re.compile(r"[A-Za-z0-9]")


@lints.register("banned")
class Banned(Lint):
    """An error or a warning, as the list says, for each line that holds a banned word; Latin words as whole words in
    either case, others wherever they stand."""

    key: ClassVar[str] = "banned"

    def find(self, draft: Draft) -> Iterator[Finding]:
        rows = list(BannedWord.objects.all()[:MOST])
        for locale, name, part in every_part(draft):
            mine = [row for row in rows if _speaks(row.locale, locale)]
            pattern = _pattern(mine)
            if pattern is None:
                continue
            by_word = {row.word.lower(): row for row in mine}
            seen = dict.fromkeys((line, found[0]) for line, text in part.seen.words for found in pattern.finditer(text))
            for line, word in seen:
                row = by_word[word.lower()]
                yield Finding(Severity(row.severity), _said(word, row.instead), locale, name, line)


def _speaks(listed: str, locale: str) -> bool:
    """Whether a word of that language concerns this variant: "zh" concerns zh-Hans, "" everybody."""
    listed, locale = listed.replace("_", "-").lower(), locale.replace("_", "-").lower()
    return not listed or locale == listed or locale.startswith(f"{listed}-")


def _pattern(rows: Sequence[BannedWord]) -> re.Pattern[str] | None:
    """All words in one expression, the longest first."""
    words = sorted((row.word for row in rows), key=len, reverse=True)
    return re.compile("|".join(map(_bounded, words)), re.IGNORECASE) if words else None


def _bounded(word: str) -> str:
    before = r"(?<![A-Za-z0-9])" if LATIN.match(word[0]) else ""
    after = r"(?![A-Za-z0-9])" if LATIN.match(word[-1]) else ""
    return f"{before}{re.escape(word)}{after}"


def _said(word: str, instead: str) -> str:
    english, chinese = f"'{word}' is a banned word", f"'{word}' 是禁用词"
    return say(f"{english}: write '{instead}'", f"{chinese}：请写 '{instead}'") if instead else say(english, chinese)
