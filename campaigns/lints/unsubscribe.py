"""Marketing without a way out: no journey may send what its reader cannot leave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from campaigns.lints import Finding, Lint, Severity, Sight, lints
from common.text import say


@lints.register("unsubscribe")
class Unsubscribe(Lint):
    """An error where a step sends a marketing mail of which a body has no unsubscribe link. Publishing a template
    refuses this too; a version from before, or one that a program made, is caught here."""

    key: ClassVar[str] = "unsubscribe"

    def find(self, sight: Sight) -> Iterator[Finding]:
        for key, letter in sight.sends():
            if letter.klass == "marketing" and letter.channel == "email" and not letter.way_out:
                yield Finding(Severity.ERROR, _said(letter.template), f"nodes.{key}")


def _said(template: str) -> str:
    return say(
        f"marketing without a way out: “{template}” has no unsubscribe link",
        f"营销邮件没有退订入口：“{template}”中没有退订链接",
    )
