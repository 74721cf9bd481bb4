"""Letting people in with a file: a row each, with the other columns as variables; whoever may not enter is told why."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from campaigns.enrol import NotLive, enrol_into
from campaigns.models import Enrolment, Journey
from campaigns.plans import Plan, live_plan
from campaigns.reasons import in_words
from campaigns.triggers import Entry
from common.params import Invalid, Problem
from common.text import say
from segments.imports.files import Row, open_file
from segments.lists import NAMES, Refusal, find_each

PAGE = 500


@dataclass(frozen=True)
class LetIn:
    """What a file did: rows read, people who entered, those this file had let in before, and rows refused (nobody, or
    by the journey's rules)."""

    rows: int = 0
    entered: int = 0
    known: int = 0
    refused: int = 0


def let_in(journey: Journey, path: Path, *, now: datetime, refuse: Callable[[Refusal], None], key: str = "") -> LetIn:
    """Let the people of a file (CSV, JSONL or Parquet with one of the columns NAMES) into a live journey, page by page.

    Entries are keyed by the file's content (or `key`), so that the same file again lets nobody in twice. Raises
    NotLive, and Invalid for a file that cannot be read.
    """
    plan = live_plan(journey)
    if plan is None or not plan.is_live:
        raise NotLive(f"journey '{journey.key}' is not live")
    reader = open_file(path)
    names = [name for name in NAMES if name in reader.columns or not reader.columns]
    if not names:
        columns = ", ".join(NAMES)
        said = say(f"the file needs a column named one of: {columns}", f"文件须有一列名为以下之一：{columns}")
        raise Invalid([Problem("file", said)])
    entry_key = f"file:{key or hashlib.sha256(path.read_bytes()).hexdigest()[:40]}"
    done = LetIn()
    for rows in _pages(reader.rows(list(reader.columns) or names, skip=0)):
        found, unknown = find_each(rows, names)
        report = enrol_into(plan, [_entry(plan, who, row, entry_key, now) for who, row in found], now=now)
        turned_away = _turned_away(journey, found, entry_key) if report.refused else []
        for one in [*unknown, *turned_away]:
            refuse(one)
        done = LetIn(
            done.rows + len(rows),
            done.entered + len(report.entered),
            done.known + report.known,
            done.refused + len(unknown) + len(turned_away),
        )
    return done


def _pages(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while page := list(islice(iterator, PAGE)):
        yield page


def _variables(row: Row) -> dict[str, Any]:
    said = row[1]
    return (
        {k: v for k, v in said.items() if k not in NAMES and v not in ("", None)} if isinstance(said, Mapping) else {}
    )


def _entry(plan: Plan, who: int, row: Row, key: str, now: datetime) -> Entry:
    """Keyed by the file, and by the run where the trigger tells runs apart."""
    said = _variables(row)
    asked = getattr(plan.graph.trigger_params, "key", "") if plan.graph else ""
    run = str(said.get(asked, ""))[:60] if asked else ""
    event = {"name": "file", "at": now.isoformat(), "value": None, "properties": said}
    full = f"{key}:{run}" if run else key
    return Entry(who, full, run_key=run, context={"event": event}, reason="file", at=now)


def _turned_away(journey: Journey, found: Sequence[tuple[int, Row]], key: str) -> list[Refusal]:
    """The rows of those whom the rules refused, with the reason."""
    people = dict(found)
    rows = Enrolment.objects.filter(
        journey=journey, profile__in=people, entry_key__startswith=key, state=Enrolment.State.REFUSED
    )
    return [
        Refusal(people[who][0], reason, in_words(reason), _variables(people[who]))
        for who, reason in rows.order_by("pk").values_list("profile_id", "reason")
    ]
