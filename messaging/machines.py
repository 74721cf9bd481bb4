"""Who asked: a person, or a scanner, a mail provider's proxy or a prefetching browser.

Machine clicks and opens are kept and marked, never deleted, and never start anything (docs/links.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from crawlerdetect import CrawlerDetect

FAST = timedelta(seconds=2)  # nobody reads and clicks within two seconds of sending
BURST = timedelta(seconds=2)  # nor follows two different links within two seconds
BARE = frozenset({"", "mozilla/5.0", "mozilla/4.0"})  # Apple Mail Privacy Protection says no more than Mozilla/5.0


@dataclass(frozen=True)
class Visit:
    """What a request tells about who made it; `prefetch` from Purpose, Sec-Purpose, X-Purpose or X-Moz."""

    user_agent: str = ""
    ip: str | None = None
    head: bool = False
    prefetch: bool = False


@dataclass(frozen=True)
class Seen:
    """One click (its link's id) or open (None) of a message, at its time."""

    link: int | None
    at: datetime


def why_machine(visit: Visit, *, sent_at: datetime | None, now: datetime) -> str:
    """Why this request alone gives away a machine ("head", "prefetch", "bare", "crawler", "fast"), or ""."""
    if visit.head:
        return "head"
    if visit.prefetch:
        return "prefetch"
    if visit.user_agent.strip().lower() in BARE:
        return "bare"
    if _crawlers().is_crawler(visit.user_agent):
        return "crawler"
    return "fast" if sent_at is None or now - sent_at < FAST else ""


def is_burst(one: Seen, clicks: Iterable[Seen]) -> bool:
    """Whether this click or open belongs to a burst: two different links of one message within two seconds."""
    near = [click for click in clicks if abs(click.at - one.at) <= BURST]
    if one.link is not None:
        return any(click.link != one.link for click in near)
    return any(a.link != b.link and abs(a.at - b.at) <= BURST for a in near for b in near)


@cache
def _crawlers() -> CrawlerDetect:
    return CrawlerDetect()
