"""Back-tests as the installation sees them: asked for, worked at in short turns, stopped, done.

One turn is one process with a store of its own (`child`), which this one starts, listens to and ends. A turn that is
killed is taken up where its store says; on another host it begins anew, and comes to the same.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from campaigns.graph import read_graph
from campaigns.models import Journey, Rehearsal
from campaigns.rehearsal import scratch
from campaigns.rehearsal.asked import Asked
from common.audit import record
from common.clock import database_now
from common.states import move

MANAGE = Path(__file__).parents[2] / "manage.py"
TURN = 20.0  # seconds of one turn; what is begun is brought to its end
LOST = timedelta(minutes=5)  # without a sign of life
KEPT = timedelta(days=1)  # stores that nobody ended
WAITING = 5  # back-tests of one journey that are not done
Line = Mapping[str, Any]


class TooMany(ValueError):
    """There are back-tests of this journey that have not ended."""


def ask(journey: Journey, *, now: datetime, by: Any = None, **wishes: Any) -> Rehearsal:
    """Ask for a back-test of the draft as it is now, over the days before `now`.

    `wishes`: days, people, step_minutes, enter_present. Raises common.params.Invalid when the draft is no flow,
    django's ValidationError when a wish is out of bounds, TooMany.
    """
    read_graph(journey.draft)
    if journey.rehearsals.filter(state__in=["queued", "running"]).count() >= WAITING:
        raise TooMany(_("%(n)s back-tests of this journey wait already") % {"n": WAITING})
    user = by if isinstance(by, get_user_model()) else None
    row = Rehearsal(journey=journey, draft=journey.draft, until=now, asked_at=now, asked_by=user, **wishes)
    row.clean_fields(exclude={"seen_at", "asked_by", "started_at", "finished_at"})
    row.save()
    record("journey.rehearse", f"journey:{journey.key}", now=now, actor=by, detail={"days": row.days})
    return row


def cancel(row: Rehearsal, *, now: datetime, by: Any = None) -> bool:
    """Stop one that waits or runs; the turn under way ends within seconds. False when it had ended."""
    if not move(Rehearsal.objects.filter(pk=row.pk), Rehearsal.MOVES, "cancelled", finished_at=now):
        return False
    record("journey.rehearsal_cancelled", f"journey:{row.journey.key}", now=now, actor=by)
    return True


def work(now: datetime, *, seconds: float = TURN) -> Rehearsal | None:
    """One turn at the oldest back-test that nobody is at; returns it, None when there is none."""
    _tidy()
    row = _take(now)
    if row is None:
        return None
    _turn(row, seconds)
    row.refresh_from_db()
    if row.state != Rehearsal.State.RUNNING:
        scratch.drop(row.pk)
    return row


def _take(now: datetime) -> Rehearsal | None:
    """Claim one by a conditional update, while no other is being worked at: workers have more to do than this."""
    at = database_now()
    if Rehearsal.objects.filter(state="running", seen_at__gte=at - LOST).exists():
        return None
    free = Q(seen_at=None) | Q(seen_at__lt=at - LOST)
    rows = Rehearsal.objects.filter(free, state__in=["queued", "running"])
    for row in rows.order_by("asked_at", "pk").select_related("journey"):
        claimed = Rehearsal.objects.filter(free, pk=row.pk, state=row.state)
        if not claimed.update(state="running", seen_at=at, started_at=row.started_at or now):
            continue
        if row.place != socket.gethostname():
            scratch.drop(row.pk)
            Rehearsal.objects.filter(pk=row.pk).update(place=socket.gethostname())
        return row
    return None


def _turn(row: Rehearsal, seconds: float) -> None:
    """Start the process, keep what it says, end it when nobody wants it any more."""
    with TemporaryFile("w+") as faults, subprocess.Popen(
        command(seconds),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=faults, env=environment(row), text=True,
    ) as child:  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(_asked(row).told()))
        child.stdin.close()
        ended = False
        for text in child.stdout:
            ended = _keep(row, json.loads(text)) or ended
            if not _is_wanted(row):
                child.send_signal(signal.SIGKILL)
                break
        code = child.wait()
        faults.seek(0)
        fault = faults.read().strip()
    if not ended and _is_wanted(row):
        _end(row, "failed", error=fault[-2000:] or f"the process ended with {code}")
    Rehearsal.objects.filter(pk=row.pk).update(seen_at=None)


def _asked(row: Rehearsal) -> Asked:
    return Asked(
        row.journey.key, row.draft, row.until, row.days, row.people, row.step_minutes, row.enter_present
    )  # fmt: skip


def command(seconds: float) -> list[str]:
    """What starts a process that rehearses."""
    return [sys.executable, str(MANAGE), "rehearse", "--seconds", str(seconds)]


def environment(row: Rehearsal) -> dict[str, str]:
    """Of a back-test's turn."""
    return environment_of(scratch.store_of(row.pk))


def environment_of(store: Path) -> dict[str, str]:
    """The process's own store, and the installation's database by its present name (a test's differs)."""
    told = {"PERENNIAL_SCRATCH": str(store), "PERENNIAL_LIVE": str(connection.settings_dict["NAME"])}
    return {**os.environ, **told, "LOG_LEVEL": "ERROR", "PERENNIAL_FAULTS": ""}


def _keep(row: Rehearsal, line: Line) -> bool:
    """Note what the process says; whether that was its last word."""
    if "result" in line:
        return _end(row, "done", result=line["result"], progress=1.0)
    if "problems" in line:
        return _end(row, "failed", error="\n".join(line["problems"]))
    if "turn" in line:
        return True
    still = Rehearsal.objects.filter(pk=row.pk, state="running")
    still.update(seen_at=database_now(), progress=line["progress"], phase=line["phase"])
    return False


def _end(row: Rehearsal, state: str, **news: Any) -> bool:
    move(Rehearsal.objects.filter(pk=row.pk), Rehearsal.MOVES, state, finished_at=database_now(), **news)
    return True


def _is_wanted(row: Rehearsal) -> bool:
    return Rehearsal.objects.filter(pk=row.pk, state="running").exists()


def _tidy() -> None:
    """Remove stores whose back-test ended elsewhere or is gone, once they are old."""
    old = database_now().timestamp() - KEPT.total_seconds()
    for path in scratch.folder().glob("*.sqlite3*"):
        if path.stat().st_mtime < old:
            path.unlink(missing_ok=True)
