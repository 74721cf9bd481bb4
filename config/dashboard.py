"""The admin's first page: what runs, what came of it, what needs a person, and what to do next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns import overview as campaigns
from common import clock
from common.models import AuditEntry, Heartbeat, Parked, Tick
from common.money import format_money
from common.periods import local_date, zone
from messaging import overview as messages
from segments import overview as people
from segments.models import Segment, Source

DAYS = 14
SILENT = timedelta(minutes=2)
STALE = timedelta(hours=1)
STAGE_COLOURS = ("#94a3b8", "#38bdf8", "#34d399", "#059669", "#f59e0b", "#ef4444")


@dataclass(frozen=True)
class Trouble:
    """Something a person should look at: how bad (bad, warn), what, and where."""

    tone: str
    icon: str
    text: str
    url: str


@dataclass(frozen=True)
class Todo:
    """One step of the first hour."""

    done: bool
    title: str
    text: str
    url: str


def read(*, now: datetime, may: Any) -> dict[str, Any]:
    """Everything the page shows as of `now`; `may` answers whether the viewer holds a permission."""
    tz = zone(settings.WORKSPACE_ZONE)
    since = now - timedelta(days=DAYS)
    steps = first_steps()
    return {
        "figures": _figures(now, since, tz),
        "stages": _stages(),
        "chart": _chart(now, since, tz),
        "funnels": campaigns.funnels(),
        "segments": people.segments_at_a_glance(),
        "troubles": troubles(now),
        "fresh": _freshness(now),
        "changes": AuditEntry.objects.order_by("-at", "-id")[:8] if may("common.view_auditentry") else [],
        "steps": steps if not all(step.done for step in steps) else [],
        "days": DAYS,
        "zone": settings.WORKSPACE_ZONE,
        "as_of": now,
    }


def first_steps() -> list[Todo]:
    """The first hour, in order; what is done is ticked."""
    return [
        Todo(
            people.has_facts(),
            _("Let facts come in"),
            _("Connect a source with its write key, or import a file of people and orders."),
            reverse("admin:segments_source_changelist"),
        ),
        Todo(
            messages.has_account(),
            _("Add a sender"),
            _("An account says over which provider, and as whom, messages go out."),
            reverse("admin:messaging_account_changelist"),
        ),
        Todo(
            campaigns.has_journey(),
            _("Install a recipe"),
            _("Four complete journeys: new-user gift, growth tasks, VIP perks, churn win-back."),
            reverse("admin:recipes"),
        ),
        Todo(
            messages.has_published_template(),
            _("Make the words yours, and publish them"),
            _("Preview every message as a real person, then publish its template."),
            reverse("admin:messaging_template_changelist"),
        ),
        Todo(
            campaigns.has_live_journey(),
            _("Publish a journey"),
            _("From then on its trigger lets people in. The page shows first what will happen."),
            reverse("admin:campaigns_journey_changelist"),
        ),
    ]


def _figures(now: datetime, since: datetime, tz: ZoneInfo) -> list[dict[str, Any]]:
    states = messages.by_state(campaigns.campaign_keys(), since=since)
    won = campaigns.conversions_by_day(since=since, zone=tz).values()
    waiting = sum(states.get(state, 0) for state in ("planned", "held", "claimed", "attempting"))
    value = format_money(sum(money for _n, money in won), settings.CURRENCY)
    window = _("in %(days)s days") % {"days": DAYS}
    return [
        _figure(_("People"), people.people_count(), _("known by now"), "segments_profile"),
        _figure(_("New"), people.new_people(since=since), window, "segments_profile"),
        _figure(_("Sent"), states.get("accepted", 0), window, "messaging_delivery"),
        _figure(_("Waiting"), waiting, _("planned or held"), "messaging_delivery"),
        _figure(_("Skipped"), states.get("skipped", 0), _("by a gate, with its reason"), "messaging_delivery"),
        _figure(_("Conversions"), sum(n for n, _money in won), f"{value} · {window}", "campaigns_conversion"),
    ]


def _figure(what: str, n: int, note: str, label: str) -> dict[str, Any]:
    return {"what": what, "n": f"{n:,}", "note": note, "url": reverse(f"admin:{label}_changelist")}


def _stages() -> dict[str, Any]:
    """People by stage, as shares of a bar."""
    rows = people.people_by_stage()
    total = sum(row.people for row in rows)
    where = reverse("admin:segments_profile_changelist")
    return {
        "total": total,
        "rows": [
            {
                "label": row.label,
                "people": row.people,
                "share": 100 * row.people / total if total else 0,
                "colour": STAGE_COLOURS[index],
                "url": f"{where}?scores__stage__exact={row.stage}",
            }
            for index, row in enumerate(rows)
        ],
    }


def _chart(now: datetime, since: datetime, tz: ZoneInfo) -> str:
    """Sends as bars and conversions as a line, one point per local day; "" when there is neither."""
    first, last = local_date(since, tz), local_date(now, tz)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    sends = messages.sends_by_day(campaigns.campaign_keys(), since=since, zone=tz)
    won = campaigns.conversions_by_day(since=since, zone=tz)
    if not sends and not won:
        return ""
    bars = {
        "label": _("messages sent"),
        "data": [sends.get(day, 0) for day in days],
        "backgroundColor": "var(--color-primary-300)",
        "borderRadius": 4,
        "maxBarThickness": 28,
        "displayYAxis": True,
        "order": 2,
    }
    line = {
        "label": _("conversions"),
        "type": "line",
        "data": [won.get(day, (0, 0))[0] for day in days],
        "borderColor": "var(--color-primary-700)",
        "backgroundColor": "var(--color-primary-700)",
        "pointRadius": 2,
        "tension": 0.3,
        "order": 1,
    }
    return json.dumps({"labels": [f"{day:%m-%d}" for day in days], "datasets": [bars, line]})


def troubles(now: datetime) -> list[Trouble]:
    """What needs a person, the worst first; empty when all is well."""
    return [*_floods(), *_stopped(now), *_parked(), *_doubtful(), *_broken(), *_low(), *_silent(now)]


def _floods() -> list[Trouble]:
    """Sources whose words wait for a person's decision."""
    return [
        Trouble(
            "bad",
            "gpp_maybe",
            _("%(source)s reports far more harm than was sent over it: decide whether its words are true")
            % {"source": one.provider},
            reverse("admin:messaging_quarantine_change", args=[one.pk]),
        )
        for one in messages.open_quarantines()[:5]
    ]


def _stopped(now: datetime) -> list[Trouble]:
    url = reverse("admin:messaging_pause_changelist")
    found = [
        Trouble(
            "warn",
            "pause_circle",
            _("Paused: %(what)s, by %(who)s: %(why)s")
            % {"what": f"{p.get_scope_display()} {p.value}".strip(), "who": p.started_by, "why": p.reason},
            url,
        )
        for p in messages.open_pauses()[:5]
    ]
    found += [
        Trouble(
            "bad",
            "dns",
            _("The account %(account)s is held after %(n)s errors in a row") % {"account": a.title, "n": a.errors},
            reverse("admin:messaging_account_change", args=[a.pk]),
        )
        for a in messages.held_accounts(now)[:5]
    ]
    return found


def _parked() -> list[Trouble]:
    found = [
        Trouble(
            "bad",
            "local_parking",
            ngettext(
                "%(n)s person is parked in the journey %(journey)s",
                "%(n)s people are parked in the journey %(journey)s",
                n,
            )
            % {"n": n, "journey": key},
            f"{reverse('admin:campaigns_enrolment_changelist')}?state__exact=parked",
        )
        for key, n in campaigns.parked_by_journey()[:5]
    ]
    items = Parked.objects.filter(resolved_at=None).count()
    if items:
        text = ngettext(
            "%(n)s fact or task was set aside after repeated failure",
            "%(n)s facts or tasks were set aside after repeated failure",
            items,
        ) % {"n": items}
        found.append(Trouble("bad", "report", text, reverse("admin:common_parked_changelist")))
    return found


def _doubtful() -> list[Trouble]:
    doubtful = messages.in_doubt_count()
    if doubtful:
        url = f"{reverse('admin:messaging_delivery_changelist')}?state__exact=in_doubt"
        text = ngettext(
            "%(n)s message is in doubt: it was being handed over, and no answer is known",
            "%(n)s messages are in doubt: they were being handed over, and no answer is known",
            doubtful,
        ) % {"n": doubtful}
        return [Trouble("warn", "help", text, url)]
    return []


def _broken() -> list[Trouble]:
    """Segments whose last refresh failed."""
    return [
        Trouble(
            "bad",
            "group_work",
            _("The segment %(segment)s could not be refreshed") % {"segment": segment.title},
            reverse("admin:segments_segment_change", args=[segment.pk]),
        )
        for segment in people.broken_segments()[:5]
    ]


def _low() -> list[Trouble]:
    """Coupon pools that are running out."""
    return [
        Trouble(
            "warn",
            "inventory_2",
            _("The coupon pool %(pool)s is running out") % {"pool": pool.title},
            reverse("admin:segments_couponpool_change", args=[pool.pk]),
        )
        for pool in people.low_pools()[:5]
    ]


def _silent(now: datetime) -> Sequence[Trouble]:
    """Nobody works: no sign of life of any worker or timetable."""
    last = Tick.objects.order_by("-pk").values_list("started_at", flat=True).first()
    if last and now - last < SILENT:
        return []
    text = _("The timetable is silent: nothing moves until the worker runs (manage.py run)")
    return [Trouble("bad", "timer_off", text, reverse("admin:common_tick_changelist"))]


def _freshness(now: datetime) -> list[dict[str, Any]]:
    """When the newest of each kind of news arrived."""
    segments = Segment.objects.filter(state="active").order_by("evaluated_at")
    oldest = segments.exclude(evaluated_at=None).values_list("evaluated_at", flat=True).first()
    rows = [
        (_("last fact"), people.last_fact_at()),
        (
            _("last fact from a source"),
            Source.objects.exclude(kind="engine")
            .order_by("-last_seen_at")
            .exclude(last_seen_at=None)
            .values_list("last_seen_at", flat=True)
            .first(),
        ),
        (_("stalest segment"), oldest),
        (_("last slot of the timetable"), Tick.objects.order_by("-pk").values_list("started_at", flat=True).first()),
        (_("last sign of life"), Heartbeat.objects.order_by("-at").values_list("at", flat=True).first()),
    ]
    return [{"what": what, "at": at, "stale": bool(at and now - at > STALE)} for what, at in rows]


def for_request(request: Any, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the index page, extended."""
    return {**context, **read(now=clock.now(), may=request.user.has_perm), "title": _("Dashboard")}
