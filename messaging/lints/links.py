"""Links that lead nowhere or go unencrypted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from common.text import say
from messaging.lints import Draft, Finding, Lint, Severity, every_part, lints

LOCAL = ("http://127.0.0.1", "http://localhost")


@lints.register("links")
class Links(Lint):
    """An error for an address that nobody should be sent to, a warning for http: browsers call it unsafe."""

    key: ClassVar[str] = "links"

    def find(self, draft: Draft) -> Iterator[Finding]:
        for locale, name, part in every_part(draft):
            for link in part.seen.links:
                if link.fault:
                    yield Finding(Severity.ERROR, link.fault, locale, name, link.line)
                elif link.url[:7].lower() == "http://" and not link.url.startswith(LOCAL):
                    yield Finding(Severity.WARNING, _plain(link.url), locale, name, link.line)


def _plain(url: str) -> str:
    shown = url[:60]
    return say(f"a link is not https: '{shown}'", f"链接不是 https：'{shown}'")
