"""How much is too much, and when people sleep: limits, gaps and quiet hours as frozen data.

The settings of the installation (MESSAGE_CAPS, MESSAGE_GAPS, QUIET_HOURS, OVER_CAP) are the ground: e-mail once a day
and three times a week, SMS once a week, push once a day, two a day over all channels; gaps of 16 h (e-mail) and 24 h
(SMS, push); quiet from 21:00 to 08:00 in the recipient's zone. An operator's SendingRule stands instead of what it
concerns. Blank means off; 0 means none at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import time, timedelta
from functools import lru_cache

from django.conf import settings

from common.params import parse_duration
from messaging.models import Preference, SendingRule

ALL = "all"
SILENT = frozenset({"inbox", "console"})  # they disturb nobody: outside every limit over all channels
PERIODS = ("day", "week", "month")
HOLD, SKIP, EXIT = "hold", "skip", "exit"
_LONGEST = {"day": timedelta(days=2), "week": timedelta(days=8), "month": timedelta(days=32)}
_QUIET = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
Window = tuple[time, time]


@dataclass(frozen=True)
class Cap:
    """At most `limit` messages (None: off) a `period`, over `channel` ("all": over all).

    `period` is a calendar one of the recipient, "rolling" for the last `width`, or "gap" for `width` since the last
    one. `klass` and `tag` (a topic or campaign) narrow what it binds, and what it counts. `over` is what becomes of
    a message above it, `patience` how long one may wait.
    """

    channel: str
    limit: int | None
    period: str
    width: timedelta = timedelta(0)
    klass: str = ""
    tag: str = ""
    over: str = ""
    patience: timedelta | None = None

    @property
    def subject(self) -> tuple[str, str, str, str, timedelta]:
        """What it concerns: of two with the same subject, the operator's stands. There is one gap per subject."""
        return self.channel, self.klass, self.tag, self.period, self.width if self.period == "rolling" else timedelta(0)

    @property
    def reason(self) -> str:
        """As stored with a message: cap:email:week, gap:email, cap:sms:72h:marketing:offers."""
        words = ["gap" if self.period == "gap" else "cap", self.channel]
        if self.period == "rolling":
            words.append(f"{self.width // timedelta(hours=1)}h")
        elif self.period != "gap":
            words.append(self.period)
        return ":".join([*words, *filter(None, [self.klass, self.tag])])

    @property
    def lookback(self) -> timedelta:
        return _LONGEST.get(self.period, self.width)

    def concerns(self, channel: str, klass: str, tags: tuple[str, str]) -> bool:
        """Whether a message of this channel, class and (topic, campaign) is bound by it, and counts in it."""
        if self.tag and self.tag not in tags:
            return False
        if self.channel == ALL:
            return channel not in SILENT and (klass == self.klass if self.klass else klass != "transactional")
        return channel == self.channel and klass == (self.klass or "marketing")


@dataclass(frozen=True)
class Quiet:
    """Not within `window`, nor on days off: `days` is "every", "no_holidays" or "working", by the holidays of
    `country` ("": the recipient's)."""

    window: Window | None = None
    days: str = "every"
    country: str = ""


@dataclass(frozen=True)
class Sunset:
    """After `stop_count` ignored messages none; see messaging.sunset for who is slowed down, here for how much."""

    slow: timedelta | None = None


@dataclass(frozen=True)
class Best:
    """Marketing of `channel` (and `tag`) waits for each person's best hour within `window`; `control` of a hundred
    people get it at `fallback` (None: at once)."""

    pk: int
    channel: str
    tag: str
    window: Window | None
    fallback: time | None
    control: int


@dataclass(frozen=True)
class Policy:
    """Everything that limits, quiet hours and their like need. `over_cap` is "hold", "skip" or "exit"."""

    caps: tuple[Cap, ...] = ()
    quiet: Mapping[str, Quiet] = field(default_factory=dict)
    over_cap: str = HOLD
    repeat: Mapping[str, timedelta] = field(default_factory=dict)
    sunset: Sunset = Sunset()
    best: tuple[Best, ...] = ()
    own: timedelta = timedelta(0)  # how far back the longest limit of a person's own reaches

    @property
    def lookback(self) -> timedelta:
        """How far back sends may still count in a limit."""
        return max([self.own, *(cap.lookback for cap in self.caps)])


_kept: ContextVar[list[Policy] | None] = ContextVar("policy", default=None)


@contextmanager
def read_once() -> Iterator[None]:
    """Within this block the rules are read at first need and then kept: one claim is judged by one policy."""
    if _kept.get() is not None:
        yield
        return
    token = _kept.set([])
    try:
        yield
    finally:
        _kept.reset(token)


def current() -> Policy:
    """The policy in force: the settings, and the operators' rules over them. At most three statements."""
    kept = _kept.get()
    if kept:
        return kept[0]
    rules = SendingRule.objects.filter(active=True).order_by("pk")
    policy = replace(merged(ground(), rules), own=_longest_own())
    if kept is not None:
        kept.append(policy)
    return policy


def ground() -> Policy:
    """What the settings of the installation say."""
    return parse(settings.MESSAGE_CAPS, settings.MESSAGE_GAPS, settings.QUIET_HOURS, settings.OVER_CAP)


def _longest_own() -> timedelta:
    """How far back people's own limits look: seldom a month, mostly not at all."""
    limits = Preference.objects.filter(at_most__isnull=False)
    if limits.filter(period=Preference.Period.MONTH).exists():
        return _LONGEST["month"]
    return _LONGEST["week"] if limits.exists() else timedelta(0)


def merged(ground: Policy, rules: Iterable[SendingRule]) -> Policy:
    """The ground with the rules over it."""
    caps = {cap.subject: cap for cap in ground.caps}
    quiet = dict(ground.quiet)
    repeat: dict[str, timedelta] = {}
    sunset, best = ground.sunset, []
    for rule in rules:
        if rule.kind == SendingRule.Kind.LIMIT:
            cap = _cap_of(rule)
            caps[cap.subject] = cap
        elif rule.kind == SendingRule.Kind.QUIET:
            window = (rule.starts, rule.ends) if rule.starts is not None and rule.ends is not None else None
            quiet[rule.channel] = Quiet(window, rule.days, rule.country)
        elif rule.kind == SendingRule.Kind.REPEAT and rule.after_days:
            repeat[rule.channel] = timedelta(days=rule.after_days)
        elif rule.kind == SendingRule.Kind.SUNSET and rule.slow_days:
            sunset = Sunset(timedelta(days=rule.slow_days))
        elif rule.kind == SendingRule.Kind.BEST:
            best.append(_best_of(rule))
    kept = tuple(cap for cap in caps.values() if cap.limit is not None)
    return Policy(kept, quiet, ground.over_cap, repeat, sunset, tuple(best))


def _cap_of(rule: SendingRule) -> Cap:
    gap = rule.period == SendingRule.Period.GAP
    patience = timedelta(hours=rule.hold_hours) if rule.hold_hours is not None else None
    limit = (1 if rule.hours else None) if gap else rule.at_most
    return Cap(rule.channel, limit, rule.period, timedelta(hours=rule.hours), rule.klass, rule.tag, rule.over, patience)


def _best_of(rule: SendingRule) -> Best:
    window = (rule.starts, rule.ends) if rule.starts is not None and rule.ends is not None else None
    return Best(rule.pk, rule.channel, rule.tag, window, rule.fallback, rule.control)


@lru_cache(maxsize=64)
def parse(caps: str, gaps: str, quiet: str, over_cap: str) -> Policy:
    """Read the four settings. Raises ValueError naming the word that cannot be read."""
    if over_cap not in (HOLD, SKIP, EXIT):
        raise ValueError(f"OVER_CAP is 'hold', 'skip' or 'exit', not '{over_cap}'")
    found = [_cap(channel, word) for channel, words in _pairs(caps) for word in words.split(",")]
    found += [Cap(channel, 1, "gap", parse_duration(word)) for channel, word in _pairs(gaps)]
    return Policy(tuple(found), {channel: Quiet(_window(word)) for channel, word in _pairs(quiet)}, over_cap)


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


def _window(word: str) -> Window:
    match = _QUIET.fullmatch(word)
    if match is None:
        raise ValueError(f"'{word}' is not a window such as 21:00-08:00")
    start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
    return time(start_hour % 24, start_minute), time(end_hour % 24, end_minute)
