"""Who writes: a marketing mail names the postal address of its sender (CAN-SPAM; CASL asks the same)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from django.conf import settings

from common.text import say
from messaging.lints import Draft, Finding, Lint, Severity, lints


@lints.register("sender")
class SenderNamed(Lint):
    """A warning for a marketing mail without {{ brand.address }}, or when the workspace has none."""

    key: ClassVar[str] = "sender"

    def find(self, draft: Draft) -> Iterator[Finding]:
        if draft.channel != "email" or draft.klass != "marketing":
            return
        address = str(getattr(settings, "BRAND_ADDRESS", "")).strip()
        for locale, variant in draft.variants.items():
            bodies = {name: part for name, part in variant.parts.items() if name in ("html", "mjml", "text")}
            named = any(part.names("brand", "address") for part in bodies.values())
            if bodies and not named:
                yield Finding(Severity.WARNING, _unnamed(), locale, next(iter(bodies)))
            elif named and not address:
                yield Finding(Severity.WARNING, _empty(), locale, next(iter(bodies)))


def _unnamed() -> str:
    return say(
        "does not name the sender's postal address: {{ brand.address }}",
        "没有写明发件人的邮政地址：{{ brand.address }}",
    )


def _empty() -> str:
    return say("{{ brand.address }} is empty: set BRAND_ADDRESS", "{{ brand.address }} 为空：请设置 BRAND_ADDRESS")
