"""Asking for a dry run and waiting for it: a process of a few seconds with a store of its own, then dropped."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from campaigns.graph import read_graph
from campaigns.models import Journey
from campaigns.rehearsal import scratch
from campaigns.rehearsal.asked import Asked
from campaigns.rehearsal.run import command, environment_of
from common.audit import record
from common.params import Invalid, Problem
from segments.models import Profile

PATIENCE = 60.0  # seconds
MOST_DAYS = 180
MOST_ASSUMED = 20


class DryRunFailed(RuntimeError):
    """The process did not come to its end; the message says what it said last."""


def dry_run(
    journey: Journey, person: Profile, *, now: datetime, by: Any = None, days: int = 60,
    event: Mapping[str, Any] | None = None, assumed: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:  # fmt: skip
    """The draft as this person would walk it from `now` on (campaigns.rehearsal.dry.told), nothing sent or written.

    `event` are the properties of the fact that lets them in; `assumed` are facts they will cause: `fact`, `after`
    (seconds) and perhaps `properties`. Raises Invalid with every problem of the draft or the wishes, DryRunFailed.
    """
    read_graph(journey.draft)
    wrong = list(_wrong(days, assumed))
    if wrong:
        raise Invalid(wrong)
    cause = {"name": "rehearsal", "at": now.isoformat(), "value": None, "properties": dict(event or {})}
    until, facts = now + timedelta(days=days), tuple(dict(one) for one in assumed)
    asked = Asked(journey.key, journey.draft, until, days, 1, 60, False, person.pk, cause, facts)
    store = scratch.folder() / f"dry-{uuid.uuid4().hex}.sqlite3"
    record("journey.dry_run", f"journey:{journey.key}", now=now, actor=by, detail={"person": str(person.public_id)})
    try:
        done = subprocess.run(
            command(PATIENCE), input=json.dumps(asked.told()), env=environment_of(store), capture_output=True,
            text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DryRunFailed(_("It took more than %(n)s seconds.") % {"n": int(PATIENCE)}) from None
    finally:
        scratch.remove(store)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    last = lines[-1] if lines else {}
    if "problems" in last:
        raise Invalid([Problem("", text) for text in last["problems"]])
    if "result" not in last:
        raise DryRunFailed(done.stderr.strip()[-500:] or f"{done.returncode}")
    found: dict[str, Any] = last["result"]
    return found


def _wrong(days: int, assumed: Sequence[Mapping[str, Any]]) -> list[Problem]:
    problems = []
    if not 1 <= days <= MOST_DAYS:
        problems.append(Problem("days", _("from 1 to %(n)s") % {"n": MOST_DAYS}))
    if len(assumed) > MOST_ASSUMED:
        problems.append(Problem("assumed", _("at most %(n)s facts") % {"n": MOST_ASSUMED}))
    for number, one in enumerate(assumed):
        if not str(one.get("fact", "")).strip() or str(one["fact"]).startswith("@"):
            problems.append(Problem(f"assumed.{number}.fact", _("name a fact that a sender would state")))
        if not isinstance(one.get("after"), int | float) or not 0 <= one["after"] <= days * 86400:
            problems.append(Problem(f"assumed.{number}.after", _("a time within the days")))
    return problems
