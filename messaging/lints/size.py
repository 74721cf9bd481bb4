"""Mails that Gmail cuts off: what lies beyond 102 KB of HTML, the unsubscribe link first, is hidden behind a link."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from common.text import say
from messaging.lints import Draft, Finding, Lint, Severity, lints

CLIPPED = 102_000  # octets of HTML; Gmail states no figure, the field measures about 102 KB
PER_LINK = 180  # octets by which a tracked link is longer than a written one, about


@lints.register("size")
class Size(Lint):
    """A warning when the message for the sample data, tracked links counted, is larger than Gmail shows."""

    key: ClassVar[str] = "size"

    def find(self, draft: Draft) -> Iterator[Finding]:
        for locale, variant in draft.variants.items():
            html = variant.rendered.get("html", "")
            octets = len(html.encode("utf-8", "replace")) + PER_LINK * html.count("href=")
            if octets > CLIPPED:
                part = "mjml" if "mjml" in variant.parts else "html"
                yield Finding(Severity.WARNING, _said(octets), locale, part)


def _said(octets: int) -> str:
    size, most = round(octets / 1000), CLIPPED // 1000
    return say(
        f"the mail has about {size} KB of HTML: Gmail cuts it off at {most} KB",
        f"邮件 HTML 约 {size} KB：超过 {most} KB 的部分会被 Gmail 截断",
    )
