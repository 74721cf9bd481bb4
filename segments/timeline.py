"""One person's life as a list of moments, newest first, each with its reason.

Every app contributes strands (facts here, messages and enrolments above); a page merges them. A strand is asked
for the moments before an instant, at most so many, so a page costs one indexed query per strand however long
the person's history is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from common.money import format_money
from common.registry import Registry
from segments.facts import names
from segments.models import Award, Event, Grant, PointEntry, StageChange
from segments.models.known import Band, Stage
from segments.reasons import in_words as given
from segments.rfm_words import cell_name
from segments.stage_reasons import in_words

# Told by rows of their own, which know the reason.
SKIP = frozenset(
    {names.STAGE_CHANGED, names.POINTS_CHANGED, names.BADGE_AWARDED, names.BENEFIT_GRANTED, names.CONSENT_CHANGED}
)

TITLES: Mapping[str, Any] = {
    names.SEGMENT_ENTERED: gettext_lazy("Entered the segment %(segment)s"),
    names.SEGMENT_LEFT: gettext_lazy("Left the segment %(segment)s"),
    names.LIST_ADDED: gettext_lazy("Put on the list %(list)s"),
    names.LIST_REMOVED: gettext_lazy("Taken off the list %(list)s"),
    names.RFM_CHANGED: gettext_lazy("RFM cell: %(moved)s"),
    names.HEALTH_CHANGED: gettext_lazy("Health: %(moved)s"),
    names.HEALTH_SCORED: gettext_lazy("Health: %(score)s points"),
    names.LEVEL_REACHED: gettext_lazy("Reached the level %(level)s"),
    names.LEVEL_LOST: gettext_lazy("Lost the level %(before)s"),
    names.LEVEL_ENDING: gettext_lazy("Will lose the level %(level)s in %(days)s days: %(missing)s points are missing"),
    names.COUPON_REDEEMED: gettext_lazy("Used a coupon of %(pool)s on the order %(order_id)s"),
    names.COUPON_RETURNED: gettext_lazy("A coupon of %(pool)s went back: %(state)s"),
    names.MISSION_COMPLETED: gettext_lazy("Completed the mission %(mission)s"),
    names.MERGED: gettext_lazy("Merged with another profile"),
    names.CORRECTED: gettext_lazy("Traits corrected by a person"),
    names.PREFERENCE_CHANGED: gettext_lazy("Chose how often to hear from us"),
    names.UNSUBSCRIBED: gettext_lazy("Unsubscribed from %(topic)s"),
    names.SUNSET: gettext_lazy("Does not read us: %(what)s after %(ignored)s messages"),
    names.COMPLAINED: gettext_lazy("Complained about a message"),
    names.BOUNCED: gettext_lazy("A message bounced (%(kind)s)"),
    names.MESSAGE_FAILED: gettext_lazy("A message failed"),
    names.MESSAGE_OPENED: gettext_lazy("Opened %(template)s"),
    names.MESSAGE_CLICKED: gettext_lazy("Clicked in %(template)s"),
    names.MESSAGE_REPLIED: gettext_lazy("Wrote back to us"),
    names.IDENTIFY: gettext_lazy("Told us about themselves"),
    names.PAGE: gettext_lazy("Viewed a page"),
    names.SCREEN: gettext_lazy("Viewed a screen"),
}

UNMERGED = gettext_lazy("Separated from another profile again")  # the fact of a merge, with "undone"

# Facts of the engine of which a property is told beside the title; the rest are keys and numbers for programs.
BECAUSE = {names.MESSAGE_CLICKED: "url", names.MESSAGE_FAILED: "reason"}


@dataclass(frozen=True)
class Moment:
    """One thing that happened. `icon` is a symbol's name, `to` names a page (admin label, key) or is empty."""

    at: datetime
    kind: str
    icon: str
    title: str
    why: str = ""
    state: str = ""
    state_text: str = ""
    to: tuple[str, Any] = ("", None)
    detail: Mapping[str, Any] = field(default_factory=dict)


class Strand(ABC):
    """One source of moments, indexed by person and time."""

    key: ClassVar[str]
    title: ClassVar[Any]

    @abstractmethod
    def before(self, profile: int, until: datetime, limit: int) -> Sequence[Moment]:
        """The newest `limit` moments strictly before `until`, newest first."""


strands: Registry[Strand] = Registry("timeline strands", "segments.timeline")


def timeline(profile: int, *, until: datetime, limit: int = 40, only: str = "") -> tuple[list[Moment], datetime | None]:
    """A page of moments before `until`, and where the next page begins (None: nothing older).

    Moments of one instant are never torn apart: the page ends at the last full instant.
    """
    found: list[Moment] = []
    for key, strand in strands.items():
        if not only or key == only:
            found.extend(strand.before(profile, until, limit + 1))
    found.sort(key=lambda moment: moment.at, reverse=True)
    if len(found) <= limit:
        return found, None
    edge = found[limit].at
    page = [moment for moment in found[:limit] if moment.at > edge]
    if not page:  # more at one instant than a page holds: show what was read of it and go on below
        return [moment for moment in found if moment.at == edge], edge
    return page, page[-1].at


@strands.register("facts")
class Facts(Strand):
    """What the person did, and what the engine noted about them."""

    key = "facts"
    title = gettext_lazy("facts")

    def before(self, profile: int, until: datetime, limit: int) -> Sequence[Moment]:
        rows = Event.objects.filter(profile=profile, occurred_at__lt=until).exclude(name__in=SKIP)
        return [self._moment(row) for row in rows.order_by("-occurred_at", "-id")[:limit]]

    def _moment(self, row: Event) -> Moment:
        engine = row.kind == Event.Kind.SYSTEM
        value = f" · {format_money(row.value, settings.CURRENCY)}" if row.value is not None and not engine else ""
        return Moment(
            at=row.occurred_at,
            kind="engine" if engine else "fact",
            icon="settings_suggest" if engine else "bolt",
            title=f"{_title(row.name, row.properties)}{value}",
            why=_why(row.name, row.properties),
            state="" if row.live else "expired",
            state_text="" if row.live else _("history: triggers nothing"),
            to=("segments_event", row.pk),
        )


@strands.register("points")
class Points(Strand):
    """Points, badges and benefits, with the reason of each."""

    key = "points"
    title = gettext_lazy("points and benefits")

    def before(self, profile: int, until: datetime, limit: int) -> Sequence[Moment]:
        entries = PointEntry.objects.filter(wallet=profile, at__lt=until).order_by("-at", "-id")[:limit]
        awards = Award.objects.filter(profile=profile, at__lt=until).select_related("badge").order_by("-at")[:limit]
        grants = Grant.objects.filter(profile=profile, at__lt=until).select_related("benefit", "coupon")
        found = [
            Moment(
                e.at, "points", "toll", _("%(points)s points") % {"points": f"{e.sign * e.amount:+,}"}, given(e.reason)
            )
            for e in entries
        ]
        found += [
            Moment(a.at, "points", "military_tech", _("Badge: %(badge)s") % {"badge": a.badge.title}, given(a.reason))
            for a in awards
        ]
        found += [self._grant(grant) for grant in grants.order_by("-at")[:limit]]
        return found

    def _entry(self, entry: PointEntry) -> Moment:
        title = _("%(points)s points") % {"points": f"{entry.sign * entry.amount:+,}"}
        return Moment(entry.at, "points", "toll", title, given(entry.reason))

    def _grant(self, grant: Grant) -> Moment:
        code = f" · {grant.coupon.code}" if grant.coupon else ""
        title = _("Benefit: %(benefit)s") % {"benefit": f"{grant.benefit.title}{code}"}
        return Moment(grant.at, "points", "redeem", title, given(grant.reason))


@strands.register("stages")
class Stages(Strand):
    """Moves between life-cycle stages, with the sentence that explains each."""

    key = "stages"
    title = gettext_lazy("stages")

    def before(self, profile: int, until: datetime, limit: int) -> Sequence[Moment]:
        rows = StageChange.objects.filter(profile=profile, at__lt=until).order_by("-at", "-id")[:limit]
        return [
            Moment(
                row.at,
                "stage",
                "trending_up",
                _moved(row.before, row.after, _stage),
                in_words(row.reason),
                row.after,
            )
            for row in rows
        ]


def _stage(value: str) -> str:
    return str(Stage(value).label) if value in Stage.values else value


def band_name(value: str) -> str:
    """A health band's name in the active language."""
    return str(Band(value).label) if value in Band.values else value


WORDS: Mapping[str, Callable[[str], str]] = {names.RFM_CHANGED: cell_name, names.HEALTH_CHANGED: band_name}


def _moved(before: str, after: str, word: Callable[[str], str]) -> str:
    """From where to where, in words; only where to when there was nothing before."""
    there = word(after) or "–"
    return f"{word(before)} → {there}" if before else there


def _title(name: str, properties: Mapping[str, Any]) -> str:
    """A fact in words: the engine's own by their sentence, others by their name."""
    if name not in TITLES:
        return name
    said = {key: str(value) for key, value in properties.items()}
    if name in WORDS:
        said["moved"] = _moved(said.get("before", ""), said.get("after", ""), WORDS[name])
    title = UNMERGED if name == names.MERGED and "undone" in properties else TITLES[name]
    return str(title) % defaultdict(lambda: "–", said)


def _why(name: str, properties: Mapping[str, Any]) -> str:
    if name.startswith(names.RESERVED) and name in TITLES:
        return str(properties.get(BECAUSE.get(name, ""), ""))[:300]
    return _said(properties)


def _said(properties: Mapping[str, Any]) -> str:
    """The first few plain properties, as key: value."""
    plain = [f"{key}: {value}" for key, value in properties.items() if not isinstance(value, dict | list)]
    return " · ".join(plain[:6])[:300]
