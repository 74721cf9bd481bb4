"""Images that say nothing to who cannot see them, or that mail programs will not show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from common.text import say
from messaging.lints import Draft, Finding, Lint, Severity, every_part, lints
from messaging.places import Image


@lints.register("images")
class Images(Lint):
    """A warning for an image without `alt` (alt="" is right for decoration), with an address that is not https, or
    with its data inside, which Gmail and Outlook do not show."""

    key: ClassVar[str] = "images"

    def find(self, draft: Draft) -> Iterator[Finding]:
        for locale, name, part in every_part(draft):
            for image in part.seen.images:
                for message in _messages(image):
                    yield Finding(Severity.WARNING, message, locale, name, image.line)


def _messages(image: Image) -> Iterator[str]:
    shown, start = image.src[:60], image.src.strip()[:8].lower()
    if image.alt is None:
        yield say(f"an image has no alt text: '{shown}'", f"图片没有替代文字（alt）：'{shown}'")
    if start.startswith("data:"):
        yield say(
            "an image carries its own data: Gmail and Outlook do not show it", "图片数据内嵌：Gmail 和 Outlook 不会显示"
        )
    elif not start.startswith(("https://", "{{")):
        yield say(f"an image is not fetched over https: '{shown}'", f"图片地址不是 https：'{shown}'")
