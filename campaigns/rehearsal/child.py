"""The process that rehearses: it goes on where the store says, for so many seconds, and says how far it is.

Every part may be done twice: facts are known by their keys, and a look that was cut off finds what is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import DatabaseError

from campaigns import publish
from campaigns.models import Journey
from campaigns.rehearsal import dry, history, looks, result, scratch
from campaigns.rehearsal.asked import Asked
from campaigns.rehearsal.history import Told
from common.models import Tick
from segments import health_scores, scores
from segments.refresh import refresh_due

Say = Callable[[dict[str, Any]], None]
BOOKMARK = "rehearsal"
PAST, WALK = "past", "walk"
SHARE = 0.1  # of the whole that the past is taken to be
PIECE = 2000
INSTANT = timedelta(microseconds=1)


class Book:
    """How far this back-test is, in its own store: people, population, phase, moment, what was held, what refused."""

    def __init__(self, asked: Asked) -> None:
        self.row, _ = Tick.objects.get_or_create(
            schedule=BOOKMARK, slot=asked.until, defaults={"started_at": asked.since}
        )
        self.note: dict[str, Any] = self.row.result

    def turn(self, **news: Any) -> None:
        self.note |= news
        self.row.result = self.note
        self.row.save(update_fields=["result"])


def is_begun(asked: Asked) -> bool:
    """Whether the store is whole: it was filled, and not cut off while it was."""
    try:
        return Tick.objects.filter(schedule=BOOKMARK, slot=asked.until).exclude(result={}).exists()
    except DatabaseError:  # no tables yet
        return False


def begin(asked: Asked) -> None:
    """Fill a store that is empty."""
    population = scratch.population()
    people = scratch.fill(asked)
    book = Book(asked)
    book.turn(people=people, population=population, phase=PAST, at=None, held={}, refused=0)


def go_on(asked: Asked, *, seconds: float, say: Say) -> dict[str, Any] | None:
    """Work for `seconds`; the result once all is done, else None. Raises common.params.Invalid when the draft cannot
    be published."""
    ends, book = time.monotonic() + seconds, Book(asked)
    if book.note["phase"] == PAST and not _past(asked, book, ends, say):
        return None
    if asked.person is not None:
        return dry.story(asked)
    if book.note["phase"] == WALK and not _walk(asked, book, ends, say):
        return None
    held = {int(pk): reason for pk, reason in book.note["held"].items()}
    return result.count(
        asked,
        people=len(book.note["people"]),
        population=book.note["population"],
        held=held,
        refused=book.note["refused"],
    )


def _past(asked: Asked, book: Book, ends: float, say: Say) -> bool:
    """Take in what was before the first day, as history; then score, build, publish. Whether it is done."""
    last = _time(book.note["at"])
    after = last - INSTANT if last else None  # of facts of one moment some may be left
    told = history.facts(book.note["people"], after=after, until=asked.since)
    while page := list(islice(told, PIECE)):
        refused = history.take_in(page, now=asked.since, historical=True)
        book.turn(at=page[-1].at.isoformat(), refused=book.note["refused"] + refused)
        say({"phase": PAST, "progress": SHARE / 2})
        if time.monotonic() >= ends:
            return False
    first_day(asked)
    book.turn(phase=WALK, at=asked.since.isoformat())
    say({"phase": WALK, "progress": SHARE})
    return True


def first_day(asked: Asked) -> None:
    """Everybody scored and every segment built, firing nothing; then the draft goes live."""
    now = asked.since
    scores.score_all(now)
    health_scores.judge_all(now)
    refresh_due(now)
    publish.publish(Journey.objects.get(key=asked.journey), now=now, enter_present=asked.enter_present)


def _walk(asked: Asked, book: Book, ends: float, say: Say) -> bool:
    """From look to look, each with the facts that occurred since the last one. Whether the end is reached."""
    before = _time(book.note["at"])
    assert before is not None
    beat = looks.Beat()
    for now, told in by_look(asked, book.note["people"], before):
        refused = history.take_in(told, now=now, historical=False)
        beat.look(now, before=before)
        held = {str(pk): why for pk, why in looks.held_back().items()} | book.note["held"]
        book.turn(at=now.isoformat(), held=held, refused=book.note["refused"] + refused)
        before = now
        done = (now - asked.since) / (asked.until - asked.since)
        say({"phase": WALK, "progress": SHARE + (1 - SHARE) * done})
        if time.monotonic() >= ends:
            return now >= asked.until
    return True


def by_look(asked: Asked, people: list[int], after: datetime) -> Iterator[tuple[datetime, list[Told]]]:
    """The moments of looking after `after`, each with the facts since the one before."""
    told = history.facts(people, after=after, until=asked.until)
    waiting: Told | None = next(told, None)
    now = after
    while now < asked.until:
        now = min(now + asked.step, asked.until)
        found = []
        while waiting is not None and waiting.at <= now:
            found.append(waiting)
            waiting = next(told, None)
        yield now, found


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
