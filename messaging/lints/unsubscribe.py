"""A way out of marketing: a link in every body of a mail, a word to answer with in a short message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from common.text import say
from messaging.lints import Draft, Finding, Lint, Severity, lints

BODIES = ("html", "mjml", "text")
ANSWERS = re.compile(r"退订|拒收|\b(?:STOP|UNSUBSCRIBE|OPT[ -]?OUT)\b", re.IGNORECASE)


@lints.register("unsubscribe")
class Unsubscribe(Lint):
    """Each body of a marketing mail names {{ links.unsubscribe }}; a marketing SMS says how to refuse (China's rules of
    2015 for short messages, section 18)."""

    key: ClassVar[str] = "unsubscribe"

    def find(self, draft: Draft) -> Iterator[Finding]:
        if draft.klass != "marketing":
            return
        for locale, variant in draft.variants.items():
            for name in BODIES:
                part = variant.parts.get(name)
                if part is None or not part.source.strip() or part.names("links", "unsubscribe"):
                    continue
                if draft.channel == "email":
                    yield Finding(Severity.ERROR, _link(), locale, name)
                elif draft.channel == "sms" and name == "text" and not ANSWERS.search(part.source):
                    yield Finding(Severity.ERROR, _answer(), locale, name)


def _link() -> str:
    return say("has no unsubscribe link: {{ links.unsubscribe }}", "没有退订链接：{{ links.unsubscribe }}")


def _answer() -> str:
    return say(
        "does not say how to refuse further messages, such as “Reply STOP to opt out”",
        "没有写明如何拒收，例如“拒收请回复R”",
    )
