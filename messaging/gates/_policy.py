"""How much is too much, and when people sleep: caps, gaps and quiet hours as frozen data from the settings.

Defaults: e-mail once a day and three times a week, SMS once a week, push once a day, two a day over all
channels; gaps of 16 h (e-mail) and 24 h (SMS, push); quiet from 21:00 to 08:00 in the recipient's zone.
Blank means off; 0 means none at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from functools import lru_cache

from django.conf import settings

from common.params import parse_duration

ALL = "all"
SILENT = frozenset({"inbox", "console"})  # they disturb nobody: outside the cap over all channels
PERIODS = ("day", "week", "month")
_LONGEST = {"day": timedelta(days=2), "week": timedelta(days=8), "month": timedelta(days=32)}
_QUIET = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


@dataclass(frozen=True)
class Cap:
    """At most `limit` messages a calendar `period` of the recipient, over `channel` ("all": over all)."""

    channel: str
    limit: int
    period: str


@dataclass(frozen=True)
class Policy:
    """Everything that caps and quiet hours need. `over_cap` is "hold" (until the period ends) or "skip"."""

    caps: tuple[Cap, ...]
    gaps: Mapping[str, timedelta]
    quiet: Mapping[str, tuple[time, time]]
    over_cap: str

    @property
    def lookback(self) -> timedelta:
        """How far back sends may still count."""
        spans = [_LONGEST[cap.period] for cap in self.caps] + list(self.gaps.values())
        return max(spans, default=timedelta(0))


def current() -> Policy:
    """The policy of this installation, from MESSAGE_CAPS, MESSAGE_GAPS, QUIET_HOURS and OVER_CAP."""
    return parse(settings.MESSAGE_CAPS, settings.MESSAGE_GAPS, settings.QUIET_HOURS, settings.OVER_CAP)


@lru_cache(maxsize=64)
def parse(caps: str, gaps: str, quiet: str, over_cap: str) -> Policy:
    """Read the four settings. Raises ValueError naming the word that cannot be read."""
    if over_cap not in ("hold", "skip"):
        raise ValueError(f"OVER_CAP is 'hold' or 'skip', not '{over_cap}'")
    found = tuple(_cap(channel, word) for channel, words in _pairs(caps) for word in words.split(","))
    return Policy(
        caps=found,
        gaps={channel: parse_duration(word) for channel, word in _pairs(gaps)},
        quiet={channel: _window(word) for channel, word in _pairs(quiet)},
        over_cap=over_cap,
    )


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in text.split():
        channel, sign, value = part.partition("=")
        if not sign or not channel:
            raise ValueError(f"'{part}' is not channel=value")
        if value:
            pairs.append((channel, value))
    return pairs


def _cap(channel: str, word: str) -> Cap:
    limit, _, period = word.partition("/")
    if not limit.isdigit() or period not in PERIODS:
        raise ValueError(f"'{word}' is not a cap such as 3/week (periods: {', '.join(PERIODS)})")
    return Cap(channel, int(limit), period)


def _window(word: str) -> tuple[time, time]:
    match = _QUIET.fullmatch(word)
    if match is None:
        raise ValueError(f"'{word}' is not a window such as 21:00-08:00")
    start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
    return time(start_hour % 24, start_minute), time(end_hour % 24, end_minute)
