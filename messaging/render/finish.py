"""The last touch to a rendered message: signed links in their places, one-line headers, List-Unsubscribe.

It happens here and not in the child, because it needs the signing key, which the child must not have.
"""

from __future__ import annotations

import html as entities
from collections.abc import Mapping

from common.text import one_line
from messaging import links
from messaging.links import Target
from messaging.places import INNER, PLACE, fault_of, is_web
from messaging.render.contract import Rendered, RenderError, RenderJob
from messaging.render.versions import Variant, Version
from messaging.tokens import Purpose
from messaging.utm import LONGEST_URL

PAGES = {"u": Purpose.UNSUBSCRIBE, "p": Purpose.PREFERENCES, "v": Purpose.VIEW}
ONE_LINE = frozenset({"subject", "title"})


class Finisher:
    """Fills the places of one message."""

    def __init__(self, job: RenderJob, targets: tuple[Target, ...], *, trial: bool = False) -> None:
        self._job, self._targets, self._trial = job, targets, trial
        self._urls: dict[str, str] = dict.fromkeys(PAGES, "#") if trial else {}

    def fill(self, text: str, *, html: bool) -> str:
        """Put URLs where places are. Raises RenderError for a destination that nobody should be sent to."""
        pieces = text.split(PLACE)
        if len(pieces) == 1:
            return text
        if len(pieces) % 2 == 0:
            raise RenderError("a place of a link is broken")
        pieces[1::2] = [self._url(mark, html) for mark in pieces[1::2]]
        return "".join(pieces)

    def page(self, letter: str) -> str:
        """The URL of a recipient's page, made once per message."""
        if letter not in self._urls:
            self._urls[letter] = links.page_url(PAGES[letter], self._job.delivery, self._job.address)
        return self._urls[letter]

    def _url(self, mark: str, html: bool) -> str:
        kind, number = mark[:1], mark[1:]
        if kind in PAGES and not number:
            return self.page(kind)
        if mark == "o":
            return links.open_url(self._job.delivery, self._job.address) if not self._trial else "data:,"
        place, _, destination = number.partition(INNER)
        if kind not in ("l", "d") or not place.isdecimal() or int(place) >= len(self._targets):
            raise RenderError("a place of a link is broken")
        target = self._targets[int(place)]
        if kind == "d":
            return self._personal(target, entities.unescape(destination) if html else destination, html)
        if target.tracked:
            return self._static(place, target)
        return entities.escape(target.url) if html else target.url

    def _static(self, place: str, target: Target) -> str:
        if place not in self._urls:
            self._urls[place] = links.click_url(target, self._job.delivery, self._job.address)
        return self._urls[place]

    def _personal(self, target: Target, url: str, html: bool) -> str:
        url = url.strip()
        fault = fault_of(url)
        if fault or len(url) > LONGEST_URL:
            raise RenderError(fault or f"a link is longer than {LONGEST_URL} characters")
        if is_web(url):
            url = links.tagged(url, target.params)
            if target.tracked:
                return links.click_url(target, self._job.delivery, self._job.address, url=url)
        return entities.escape(url) if html else url


def finish(
    parts: Mapping[str, str],
    job: RenderJob,
    version: Version,
    variant: Variant,
    targets: tuple[Target, ...],
    *,
    trial: bool = False,
) -> Rendered:
    """The message as the channel takes it; a `trial` carries no token. Raises RenderError."""
    finisher = Finisher(job, targets, trial=trial)
    done = {}
    for name, text in parts.items():
        text = finisher.fill(text, html=name in variant.html)
        done[name] = one_line(text) if name in ONE_LINE else text
    headers = {}
    if version.channel == "email" and version.klass != "transactional":
        headers["List-Unsubscribe"] = f"<{finisher.page('u')}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return Rendered(done, headers, variant.locale)
