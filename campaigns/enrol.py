"""Enrolling people: entry rules, caps and arms for a whole batch; each entry once, each refusal with its reason."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from campaigns.assign import assign, universal
from campaigns.endings import UNDER_WAY
from campaigns.graph import EntryRules
from campaigns.models import Enrolment, Journey
from campaigns.plans import Plan, live_plan
from campaigns.rows import insert_rows
from campaigns.triggers import Entry
from common.periods import local_date, start_of_day, zone
from segments.models import Profile

log = logging.getLogger(__name__)
MOST_DEPTH = 5
UNIVERSAL = "universal"
COLUMNS = {
    "journey_id": "bigint", "version_id": "bigint", "profile_id": "bigint", "entry_key": "text", "run_key": "text",
    "state": "text", "reason": "text", "ghost": "boolean", "arm": "text", "node": "text", "visit": "integer",
    "due_at": "timestamptz", "awaiting": "text", "tries": "smallint", "context": "jsonb", "depth": "smallint",
    "entered_at": "timestamptz", "since": "timestamptz", "moved_at": "timestamptz", "ended_at": "timestamptz",
}  # fmt: skip


class NotLive(ValueError):
    """People can be enrolled only into a journey that is live."""


@dataclass(frozen=True)
class EnrolReport:
    """How a batch of entries went: ids of new enrolments (`ghosts` of them held out), refusals by reason, and
    how many entries were known already."""

    entered: list[int] = field(default_factory=list)
    ghosts: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    known: int = 0


@dataclass
class _Past:
    """What a person has done in the journey under one run key."""

    open: bool = False
    ended_at: datetime | None = None


def enrol(journey: Journey, entries: Sequence[Entry], *, now: datetime) -> EnrolReport:
    """Enrol people into the journey's live version. Raises NotLive when it takes nobody in."""
    plan = live_plan(journey)
    if plan is None or not plan.is_live:
        raise NotLive(f"journey '{journey.key}' is not live")
    return enrol_into(plan, entries, now=now)


def enrol_into(plan: Plan, entries: Sequence[Entry], *, now: datetime) -> EnrolReport:
    """Enrol people into one plan: a constant number of statements, in one transaction.

    An entry whose (profile, key) is known changes nothing. Races are decided by the unique constraints.
    """
    if not entries or plan.graph is None:
        return EnrolReport()
    wanted: dict[tuple[int, str], Entry] = {}
    for entry in entries:
        wanted.setdefault((entry.profile, entry.key), entry)
    with transaction.atomic():
        people = lock_people(entry.profile for entry in wanted.values())
        known = _known(plan, wanted.values())
        fresh = [one for key, one in wanted.items() if key not in known and one.profile in people]
        admitted, refused = _judge(plan, fresh, now=now)
        ids, ghosts, lost = _insert(plan, admitted, people, now=now)
        refused += [(entry, "under_way") for entry in lost]
        _insert_refused(plan, refused, now=now)
        _stamp(plan, ids, now=now)
    reasons = Counter(reason for _, reason in refused)
    report = EnrolReport(ids, ghosts, dict(reasons), len(known))
    log.info(
        "enrolled journey=%s version=%s entered=%s ghosts=%s refused=%s",
        plan.journey_key, plan.number, len(ids), ghosts, report.refused,
    )  # fmt: skip
    return report


def lock_people(profiles: Iterable[int]) -> dict[int, UUID]:
    """Lock the profiles in the order of their ids, as gate and merge do; public ids of those that can enter."""
    rows = Profile.objects.filter(pk__in=set(profiles)).order_by("pk").select_for_update(no_key=True)
    found = rows.values_list("pk", "public_id", "erased_at", "merged_into_id")
    return {pk: public_id for pk, public_id, erased, merged in found if not erased and not merged}


def _known(plan: Plan, entries: Iterable[Entry]) -> set[tuple[int, str]]:
    listed = list(entries)
    rows = Enrolment.objects.filter(
        journey=plan.journey,
        profile__in={entry.profile for entry in listed},
        entry_key__in={entry.key for entry in listed},
    )
    return set(rows.values_list("profile_id", "entry_key"))


def _judge(plan: Plan, entries: list[Entry], *, now: datetime) -> tuple[list[Entry], list[tuple[Entry, str]]]:
    """Split entries into those that may enter and those that may not, with the reason."""
    assert plan.graph is not None
    rules = plan.graph.entry
    past = _history(plan, entries) if entries else {}
    rooms = _rooms(plan, rules, now=now) if entries else []
    admitted: list[Entry] = []
    refused: list[tuple[Entry, str]] = []
    for entry in entries:
        place = (entry.profile, _run_key(rules, entry))
        reason = _objection(plan, rules, entry, past.get(place), now=now)
        reason = reason or next((cap for cap, room in rooms if len(admitted) >= room), "")
        if reason:
            refused.append((entry, reason))
        else:
            admitted.append(entry)
            past[place] = _Past(open=True)
    return admitted, refused


def _objection(plan: Plan, rules: EntryRules, entry: Entry, past: _Past | None, *, now: datetime) -> str:
    """Why this entry is refused, or ""."""
    if not plan.in_window(now):
        return "campaign_closed"
    if entry.depth > MOST_DEPTH:
        return "depth"
    if past is None:
        return ""
    if past.open:
        return "under_way"
    if rules.reentry in ("once", "keyed"):
        return "once"
    if rules.reentry == "cooldown" and rules.cooldown and past.ended_at and now < past.ended_at + rules.cooldown:
        return "cooldown"
    return ""


def _run_key(rules: EntryRules, entry: Entry) -> str:
    return entry.run_key if rules.reentry == "keyed" else ""


def _history(plan: Plan, entries: list[Entry]) -> dict[tuple[int, str], _Past]:
    rows = Enrolment.objects.filter(
        ~Q(state=Enrolment.State.REFUSED), journey=plan.journey, profile__in={entry.profile for entry in entries}
    )
    past: dict[tuple[int, str], _Past] = {}
    for profile, run_key, ended in rows.values_list("profile_id", "run_key", "ended_at"):
        one = past.setdefault((profile, run_key), _Past())
        one.open = one.open or ended is None
        one.ended_at = max(filter(None, (one.ended_at, ended)), default=None)
    return past


def _rooms(plan: Plan, rules: EntryRules, *, now: datetime) -> list[tuple[str, int]]:
    """How many more may enter by each cap: today, in the workspace's zone, and beside those under way. The journey is
    locked while they do."""
    if rules.per_day is None and rules.in_flight is None:
        return []
    Journey.objects.select_for_update(no_key=True).get(pk=plan.journey)
    rows = Enrolment.objects.filter(journey=plan.journey)
    found = []
    if rules.per_day is not None:
        tz = zone(settings.WORKSPACE_ZONE)
        today = rows.filter(entered_at__gte=start_of_day(local_date(now, tz), tz))
        found.append(("per_day", rules.per_day - today.exclude(state=Enrolment.State.REFUSED).count()))
    if rules.in_flight is not None:
        found.append(("in_flight", rules.in_flight - rows.filter(state__in=UNDER_WAY).count()))
    return found


def _insert(
    plan: Plan, entries: list[Entry], people: Mapping[int, UUID], *, now: datetime
) -> tuple[list[int], int, list[Entry]]:
    """Write the enrolments; ids, how many are ghosts, and the entries that a rival was faster than."""
    assert plan.graph is not None
    arms = _arms(plan, {entry.profile: people[entry.profile] for entry in entries}, now=now)
    rows: list[tuple[Any, ...]] = []
    for entry in entries:
        arm, ghost = arms.get(entry.profile, ("", False))
        run_key = _run_key(plan.graph.entry, entry)
        rows.append((
            plan.journey, plan.version, entry.profile, entry.key, run_key, "active", entry.reason, ghost, arm,
            plan.graph.start, 0, entry.at or now, "", 0, dict(entry.context), entry.depth, now, entry.since or now,
            now, None,
        ))  # fmt: skip
    made = insert_rows(Enrolment, COLUMNS, rows, returning=("id", "profile_id", "entry_key", "ghost"))
    there = {(profile, key) for _, profile, key, _ in made}
    lost = [entry for entry in entries if (entry.profile, entry.key) not in there]
    return sorted(row[0] for row in made), sum(bool(row[3]) for row in made), lost


def _arms(plan: Plan, people: Mapping[int, UUID], *, now: datetime) -> dict[int, tuple[str, bool]]:
    """(arm, held out) of each person, by the journey's holdout and by the universal one."""
    if not people:
        return {}
    found: dict[int, tuple[str, bool]] = {}
    if plan.experiment is not None:
        drawn = assign(plan.experiment, people, now=now)
        found = {profile: (arm.key, arm.control) for profile, arm in drawn.items()}
    everywhere = universal() if plan.markets else None
    if everywhere is not None:
        for profile, arm in assign(everywhere, people, now=now).items():
            if arm.control:
                found[profile] = (UNIVERSAL, True)
    return found


def _insert_refused(plan: Plan, refused: list[tuple[Entry, str]], *, now: datetime) -> None:
    assert plan.graph is not None
    rows: list[tuple[Any, ...]] = [
        (
            plan.journey, plan.version, entry.profile, entry.key, _run_key(plan.graph.entry, entry), "refused", reason,
            False, "", "", 0, None, "", 0, {}, entry.depth, now, entry.since or now, now, now,
        )
        for entry, reason in refused
    ]  # fmt: skip
    if rows:
        insert_rows(Enrolment, COLUMNS, rows)


def _stamp(plan: Plan, ids: list[int], *, now: datetime) -> None:
    """Note the last entry on the journey, at most once a minute: the row is shared by every reader."""
    if ids:
        stale = Q(last_entry_at__isnull=True) | Q(last_entry_at__lt=now - timedelta(minutes=1))
        Journey.objects.filter(stale, pk=plan.journey).update(last_entry_at=now)
