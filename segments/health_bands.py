"""The arithmetic of health: parts, score, coverage, and a band that is not left for a trifle.

A missing part is left out and lowers the coverage; it is never taken for bad. See docs/health.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from common.periods import local_date, start_of_day
from common.text import say
from segments.models.known import Band

HEALTHY = 70.0
WATCH = 40.0
FALL = -15.0  # a trend so low puts somebody at risk whatever the score
MARGIN = 3.0  # points past an edge that count at once
HOLD_DAYS = 3  # and the days after which any distance counts
ENOUGH = 0.5  # of the weights must be known
RANK = {"": 0, Band.AT_RISK.value: 1, Band.WATCH.value: 2, Band.HEALTHY.value: 3}
Bounds = tuple[float, float]


class Judged(NamedTuple):
    """A score from 0 to 100 (None: too little is known), how much of the weights it rests on, and its trend."""

    score: float | None
    coverage: float
    trend: float | None = None


class Held(NamedTuple):
    """A band as kept: `pending` is another one in which the score lies, not far and not long enough."""

    band: str
    since: datetime
    pending: str = ""
    pending_since: datetime | None = None
    reason: str = "score"


def part(value: float, bounds: Bounds) -> float:
    """A value as a number from 0 to 100 between its bounds; of bounds that coincide the upper side is 100."""
    low, high = bounds
    if high <= low:
        return 100.0 if value >= high else 0.0
    return 100 * min(1.0, max(0.0, (value - low) / (high - low)))


def score_of(values: Mapping[str, float | None], weights: Mapping[str, float], bounds: Mapping[str, Bounds]) -> Judged:
    """The weighted mean of the known parts; None where less than half of the weights is known."""
    total = weight = points = 0.0
    for key, share in weights.items():
        total += share
        value = values.get(key)
        if value is not None and share > 0:
            weight += share
            points += share * part(value, bounds[key])
    coverage = round(weight / total, 4) if total else 0.0
    if not weight or coverage < ENOUGH:
        return Judged(None, coverage)
    return Judged(round(points / weight, 3), coverage)


def band_of(judged: Judged) -> str:
    """The band by the bare rule; "" where too little is known."""
    if judged.score is None:
        return ""
    if judged.score < WATCH or falls(judged):
        return Band.AT_RISK.value
    return Band.WATCH.value if judged.score < HEALTHY else Band.HEALTHY.value


def falls(judged: Judged) -> bool:
    return judged.trend is not None and judged.trend <= FALL


def settle(before: Held | None, judged: Judged, *, now: datetime, zone: ZoneInfo) -> Held:
    """The band at `now`: another one counts once the score is three points past the edge, or three days long."""
    raw = band_of(judged)
    if before is None or raw == before.band:
        return Held(raw, now if before is None else before.since, reason=_reason("", raw, judged))
    if not (raw and before.band) or _far(before.band, raw, judged):
        return Held(raw, now, reason=_reason(before.band, raw, judged))
    today, since = local_date(now, zone), before.pending_since
    if since is None or (RANK[before.pending] > RANK[before.band]) != (RANK[raw] > RANK[before.band]):
        since = start_of_day(today, zone)
    if today >= held_until(since, zone):
        return Held(raw, now, reason=_reason(before.band, raw, judged))
    return Held(before.band, before.since, raw, since)


def held_until(pending_since: datetime, zone: ZoneInfo) -> date:
    """The day on which what is pending counts, however near it is."""
    return local_date(pending_since, zone) + timedelta(days=HOLD_DAYS)


def _far(held: str, raw: str, judged: Judged) -> bool:
    """Whether the score lies three points past the edge of the band that it leaves, or falls fast."""
    score = judged.score or 0.0
    if RANK[raw] < RANK[held]:
        edge = HEALTHY if held == Band.HEALTHY else WATCH
        return falls(judged) or score <= edge - MARGIN
    edge = WATCH if held == Band.AT_RISK else HEALTHY
    return score >= edge + MARGIN and (judged.trend is None or judged.trend > FALL + MARGIN)


def _reason(before: str, raw: str, judged: Judged) -> str:
    if not raw or not before:
        return "coverage"
    return "trend" if falls(judged) and (judged.score or 0) >= WATCH else "score"


def reason_in_words(reason: str, language: str | None = None) -> str:
    """Why a band changed, in the given or the active language."""
    told = {
        "score": ("the score passed the edge of the band", "分数越过分段界限"),
        "trend": ("the score fell by 15 points or more", "分数下降 15 分以上"),
        "coverage": ("how much is known changed", "已知数据的多少发生变化"),
        "rules": ("the rules changed", "评分规则已改变"),
    }
    english, chinese = told.get(reason, (reason, reason))
    return say(english, chinese, language)
