"""Four eyes on a draft: it is asked for, approved or sent back by somebody who did not write it, and bound to exactly
the flow that was seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from campaigns.audience import estimate
from campaigns.checking import check, digest_of
from campaigns.graph import Graph
from campaigns.linting import find_all, lint_graph, refuse
from campaigns.models import Journey, Review
from common.audit import record
from common.states import ForbiddenMove, move

MOST_EDITORS = 50


class Forbidden(ForbiddenMove):
    """The journey is in a state from which this is not possible, or this person may not do it."""


def who(actor: Any) -> str:
    """A person or key as journeys remember their writers: "user:7", "apikey:2"; "" for the machine itself."""
    known = getattr(actor, "pk", None) and getattr(actor, "_meta", None)
    return f"{actor._meta.model_name}:{actor.pk}" if known else ""


def save_draft(journey: Journey, draft: Any, *, now: datetime, by: Any = None) -> bool:
    """Store another draft, remember its writer, and take back a review that looked at the one before. Says whether
    anything changed. The draft is stored as it is: what is wrong with it is told where it is checked."""
    with transaction.atomic():
        row = Journey.objects.select_for_update().get(pk=journey.pk)
        if row.state == Journey.State.ARCHIVED:
            raise Forbidden(_("an archived journey cannot be changed"))
        if row.draft == draft:
            return False
        row.draft = draft
        row.save(update_fields=["draft"])
        note_edit(row, now=now, by=by)
    journey.refresh_from_db()
    return True


def note_edit(journey: Journey, *, now: datetime, by: Any = None) -> None:
    """Remember who changed the draft; a review of what it was before is withdrawn."""
    writer = who(by)
    if writer and writer not in journey.editors:
        journey.editors = [*journey.editors, writer][-MOST_EDITORS:]
        journey.save(update_fields=["editors"])
    if journey.reviews.filter(state=Review.State.OPEN).exists():
        withdraw(journey, now=now, by=by, reason="the draft was changed")


def ask(journey: Journey, *, now: datetime, by: Any = None, note: str = "") -> Review:
    """Ask for a second pair of eyes on the draft as it is. Raises Invalid with every error of the draft."""
    graph = check(journey)
    refuse(find_all(journey), None)
    try:
        with transaction.atomic():
            row = Journey.objects.select_for_update().get(pk=journey.pk)
            if row.state == Journey.State.ARCHIVED:
                raise Forbidden(_("an archived journey cannot be published"))
            made = Review.objects.create(
                journey=row,
                digest=digest_of(graph.dump()),
                audience=estimate(graph, now=now),
                note=note[:200],
                asked_at=now,
                asked_by=_person(by),
                asked_name=str(by or "engine")[:150],
            )
            move(Journey.objects.filter(pk=row.pk, state=Journey.State.DRAFT), Journey.MOVES, Journey.State.REVIEW)
            detail = {"digest": made.digest, "audience": made.audience}
            record("journey.review", f"journey:{row.key}", now=now, actor=by, reason=note, detail=detail)
    except IntegrityError:
        raise Forbidden(_("a review of this journey is open already")) from None
    journey.refresh_from_db()
    return made


def approve(journey: Journey, *, now: datetime, by: Any, reason: str = "") -> Review:
    """Say yes to the draft. Raises Forbidden for its writers, without an open review, and when the draft is no longer
    what was to be seen."""
    return _decide(journey, Review.State.APPROVED, now=now, by=by, reason=reason)


def send_back(journey: Journey, *, now: datetime, by: Any, reason: str = "") -> Review:
    """Say no, and why; the journey is a draft again. Raises Forbidden as `approve`."""
    return _decide(journey, Review.State.REFUSED, now=now, by=by, reason=reason)


def withdraw(journey: Journey, *, now: datetime, by: Any = None, reason: str = "") -> None:
    """Take the request back. Raises Forbidden when there is none."""
    with transaction.atomic():
        rows = Review.objects.filter(journey=journey)
        if not move(rows, Review.MOVES, "withdrawn", decided_at=now, decided_name=str(by or "engine")[:150]):
            raise Forbidden(_("no review is open"))
        _back_to_draft(journey)
        record("journey.review_withdrawn", f"journey:{journey.key}", now=now, actor=by, reason=reason)


def objection(journey: Journey, graph: Graph, *, by: Any, now: datetime) -> str:
    """Why this person may not publish this flow by themselves, or "". The command line and the engine may always."""
    if by is None or settings.FOUR_EYES_ABOVE is None:
        return ""
    people = estimate(graph, now=now)
    if people is not None and people <= settings.FOUR_EYES_ABOVE:
        return ""
    if journey.editors and who(by) not in journey.editors:
        return ""
    if approved(journey, digest_of(graph.dump())) is not None:
        return ""
    figures = {"n": settings.FOUR_EYES_ABOVE}
    return _("above %(n)s people somebody who did not write the draft has to approve it: ask for a review") % figures


def approved(journey: Journey, digest: str) -> Review | None:
    """The approval of exactly this flow, if there is one."""
    return journey.reviews.filter(state=Review.State.APPROVED, digest=digest).first()


def open_review(journey: Journey) -> Review | None:
    """The review that waits for a decision, if there is one."""
    return journey.reviews.filter(state=Review.State.OPEN).first()


def _decide(journey: Journey, to: str, *, now: datetime, by: Any, reason: str) -> Review:
    with transaction.atomic():
        row = Journey.objects.select_for_update().get(pk=journey.pk)
        review = open_review(row)
        if review is None:
            raise Forbidden(_("no review is open"))
        if not who(by) or who(by) in row.editors or who(by) == who(review.asked_by):
            raise Forbidden(_("who wrote a draft, or asked for its review, cannot decide about it"))
        if to == Review.State.APPROVED:
            graph = check(row)
            refuse(lint_graph(graph, row), None)
            if digest_of(graph.dump()) != review.digest:
                raise Forbidden(_("the draft, or a template in it, is no longer what the review was asked for"))
        also = {"decided_at": now, "decided_by": _person(by), "decided_name": str(by)[:150], "reason": reason[:200]}
        if not move(Review.objects.filter(pk=review.pk), Review.MOVES, to, **also):
            raise Forbidden(_("no review is open"))
        if to == Review.State.REFUSED:
            _back_to_draft(row)
        action = "journey.approved" if to == Review.State.APPROVED else "journey.sent_back"
        record(action, f"journey:{row.key}", now=now, actor=by, reason=reason, detail={"digest": review.digest})
    journey.refresh_from_db()
    review.refresh_from_db()
    return review


def _back_to_draft(journey: Journey) -> None:
    move(Journey.objects.filter(pk=journey.pk), Journey.MOVES, Journey.State.DRAFT)
    journey.refresh_from_db()


def _person(actor: Any) -> Any:
    return actor if getattr(actor, "is_authenticated", False) and getattr(actor, "pk", None) else None
