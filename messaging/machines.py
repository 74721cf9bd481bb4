"""Who asked: a person, or a scanner, a mail provider's proxy or a prefetching browser.

Machine clicks and opens are kept and marked, never deleted, and never start anything (docs/links.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_address, ip_network

from crawlerdetect import CrawlerDetect

FAST = timedelta(seconds=2)  # nobody reads and clicks within two seconds of sending
BURST = timedelta(seconds=2)  # nor follows two different links within two seconds
EARLY, MANY = timedelta(seconds=5), 3  # nor three of them within five seconds of sending
APPLE = ip_network("17.0.0.0/8")  # whence Apple's privacy proxy fetches images, whoever reads or does not
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


def why_machine(visit: Visit, *, sent_at: datetime | None, now: datetime, opening: bool = False) -> str:
    """Why this request alone gives away a machine ("head", "prefetch", "bare", "crawler", "proxy", "fast"), or ""."""
    if visit.head:
        return "head"
    if visit.prefetch:
        return "prefetch"
    if visit.user_agent.strip().lower() in BARE:
        return "bare"
    if _crawlers().is_crawler(visit.user_agent):
        return "crawler"
    if opening and visit.ip and _is_apples(visit.ip):
        return "proxy"
    return "fast" if sent_at is None or now - sent_at < FAST else ""


def is_burst(one: Seen, clicks: Iterable[Seen]) -> bool:
    """Whether this click or open belongs to a burst: two different links of one message within two seconds."""
    near = [click for click in clicks if abs(click.at - one.at) <= BURST]
    if one.link is not None:
        return any(click.link != one.link for click in near)
    return any(a.link != b.link and abs(a.at - b.at) <= BURST for a in near for b in near)


def is_swarm(clicks: Iterable[Seen], *, sent_at: datetime | None) -> bool:
    """Whether a message's links were followed as nobody follows them: three of them within five seconds of sending."""
    early = {click.link for click in clicks if click.link is not None and sent_at and click.at - sent_at < EARLY}
    return len(early) >= MANY


def _is_apples(ip: str) -> bool:
    try:
        return ip_address(ip) in APPLE
    except ValueError:
        return False


@cache
def _crawlers() -> CrawlerDetect:
    return CrawlerDetect()
