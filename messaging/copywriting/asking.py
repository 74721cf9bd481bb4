"""Asking: a person's wish becomes rows, a worker claims one, asks the model outside every transaction, and checks.

Budgets are kept in the rows themselves: tokens and questions since midnight UTC, over all workers.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.utils.translation import gettext as _

from common.audit import record
from common.params import Invalid, Problem
from common.states import move
from common.text import without_poison
from messaging.copywriting.kinds import put, wrong_with
from messaging.copywriting.prompt import Prompt, make_prompt
from messaging.copywriting.wire import ModelError, Said, complete, is_configured, variants_in
from messaging.linting import find_all
from messaging.models import CopyDraft, CopyRequest, Template

log = logging.getLogger(__name__)
MOST_VARIANTS = 5
MOST_REQUESTS = 12  # of one wish: segments times languages
MOST_TRIES = 3
MOST_ANSWER = 20_000  # characters of an answer that are kept
LOST = timedelta(minutes=10)  # a question begun so long ago lost its worker


def ask_for_copy(
    template: Template,
    *,
    locales: Sequence[str],
    segments: Sequence[str],
    brief: str,
    wanted: int,
    now: datetime,
    by: Any,
) -> list[CopyRequest]:
    """One question per segment and language (no segment: everybody), to be asked by a worker. Raises Invalid with every
    problem; then nothing is stored."""
    pairs = [(locale, segment) for locale in locales for segment in (segments or [""])]
    problems = list(_problems(pairs, brief, wanted, now))
    prompts: list[Prompt] = []
    for locale, segment in pairs if not problems else []:
        try:
            prompts.append(make_prompt(template, locale=locale, segment=segment, brief=brief, wanted=wanted))
        except Invalid as error:
            problems += error.problems
    if problems:
        raise Invalid(list(dict.fromkeys(problems)))
    with transaction.atomic():
        rows = [
            CopyRequest.objects.create(
                template=template, locale=locale, segment=segment, brief=brief, wanted=wanted, asked_at=now,
                asked_by=by if getattr(by, "pk", None) else None, not_before=now, model=settings.COPY_MODEL[:120],
                prompt=prompt.messages, digest=prompt.digest,
            )
            for (locale, segment), prompt in zip(pairs, prompts, strict=True)
        ]  # fmt: skip
        detail = {"locales": list(locales), "segments": list(segments), "prompts": [row.digest for row in rows]}
        record("copy.asked", f"template:{template.key}", now=now, actor=by, detail=detail)
    return rows


def _problems(pairs: Sequence[tuple[str, str]], brief: str, wanted: int, now: datetime) -> list[Problem]:
    found = []
    if not is_configured():
        found.append(Problem("", _("no model is configured: set COPY_URL and COPY_MODEL")))
    if not 0 < len(pairs) <= MOST_REQUESTS:
        found.append(Problem("locales", _("1 to %(most)s segments times languages") % {"most": MOST_REQUESTS}))
    if not 1 <= wanted <= MOST_VARIANTS:
        found.append(Problem("wanted", _("1 to %(most)s variants") % {"most": MOST_VARIANTS}))
    if len(brief) > 1000:
        found.append(Problem("brief", _("is longer than %(most)s characters") % {"most": 1000}))
    if spent(now)["requests"] + len(pairs) > settings.COPY_DAY_REQUESTS:
        found.append(Problem("", _("today's questions are used up (COPY_DAY_REQUESTS)")))
    return found


def spent(now: datetime) -> dict[str, int]:
    """Questions and tokens since midnight UTC, questions that wait included."""
    rows = CopyRequest.objects.filter(asked_at__gte=now.replace(hour=0, minute=0, second=0, microsecond=0))
    return {"requests": rows.count(), "tokens": rows.aggregate(sum=Sum("tokens"))["sum"] or 0}


def answer_due(now: datetime, *, most: int = 1) -> int:
    """Ask what waits, a few at a time; returns how many were asked. Rows whose worker died are failed."""
    lost = CopyRequest.objects.filter(begun_at__lt=now - LOST, state="asking")
    move(lost, CopyRequest.MOVES, "failed", ended_at=now, error=_("its worker died while it was asked"))
    count = 0
    while count < most and is_configured():
        row = _claim(now)
        if row is None:
            break
        _answer(row, now)
        count += 1
    return count


def _claim(now: datetime) -> CopyRequest | None:
    """One row that is due, for this worker alone; the row count says who won."""
    due = CopyRequest.objects.filter(state="waiting", not_before__lte=now).order_by("not_before", "pk")
    for pk in due.values_list("pk", flat=True)[:5]:
        row = CopyRequest.objects.filter(pk=pk, state="waiting")
        if move(row, CopyRequest.MOVES, "asking", begun_at=now, tries=F("tries") + 1):
            return CopyRequest.objects.select_related("template__topic", "template__layout").get(pk=pk)
    return None


def _answer(row: CopyRequest, now: datetime) -> None:
    try:
        if spent(now)["tokens"] >= settings.COPY_DAY_TOKENS:
            raise ModelError(_("today's tokens are used up (COPY_DAY_TOKENS)"))
        said = complete(row.prompt)
    except ModelError as error:
        _fail(row, error, now)
        return
    try:
        good, wrong = _checked(row, said)
    except ModelError as error:
        _fail(row, ModelError(str(error), tokens=said.tokens), now, answer=said.text)
        return
    with transaction.atomic():
        won = move(
            CopyRequest.objects.filter(pk=row.pk, state="asking"), CopyRequest.MOVES, "answered", ended_at=now,
            model=said.model, tokens=F("tokens") + said.tokens, answer=without_poison(said.text)[:MOST_ANSWER],
            error=_dropped(wrong),
        )  # fmt: skip
        if won:
            CopyDraft.objects.bulk_create(
                [
                    CopyDraft(request=row, number=number, parts=parts, findings=said_of(row, parts))
                    for number, parts in enumerate(good, 1)
                ]
            )
    log.info("copy request %d answered: %d variants, %d dropped, %d tokens", row.pk, len(good), len(wrong), said.tokens)


def _checked(row: CopyRequest, said: Said) -> tuple[list[dict[str, Any]], list[str]]:
    """The variants that hold to the form, at most as many as were wanted, and what is wrong with the others. Raises
    ModelError when none does."""
    variables = Prompt.of(row.prompt).variables
    good: list[dict[str, Any]] = []
    wrong: list[str] = []
    for parts in variants_in(said.text)[: row.wanted]:
        faults = wrong_with(parts, row.template.channel, variables)
        if faults:
            wrong.append("; ".join(faults))
        elif parts not in good:
            good.append(parts)
    if not good:
        raise ModelError(_("no variant holds to the form: %(why)s") % {"why": " / ".join(wrong)[:200]})
    return good, wrong


def _dropped(wrong: Sequence[str]) -> str:
    if not wrong:
        return ""
    return (_("%(n)s dropped: %(why)s") % {"n": len(wrong), "why": " / ".join(wrong)})[:300]


def said_of(row: CopyRequest, parts: dict[str, Any]) -> list[dict[str, str]]:
    """What the lints say of the template with these words in it, in the language concerned, most serious first."""
    template = row.template
    with_it = Template(
        key=template.key, name=template.name, channel=template.channel, klass=template.klass, topic=template.topic,
        layout=template.layout, content=dict(template.content or {}), sample=template.sample,
    )  # fmt: skip
    put(with_it, row.locale, parts, whole=True)
    return [
        {"severity": str(one.severity), "message": one.message, "part": one.part}
        for one in find_all(with_it)
        if one.locale.lower() == row.locale.lower()
    ]


def _fail(row: CopyRequest, error: ModelError, now: datetime, *, answer: str = "") -> None:
    """Say why, or try again later where that helps."""
    mine = CopyRequest.objects.filter(pk=row.pk, state="asking")
    also: dict[str, Any] = {
        "error": str(error)[:300],
        "tokens": F("tokens") + error.tokens,
        "answer": without_poison(answer)[:MOST_ANSWER],
    }
    if error.permanent or row.tries >= MOST_TRIES:
        move(mine, CopyRequest.MOVES, "failed", ended_at=now, **also)
    else:
        wait = timedelta(seconds=error.wait * 2 ** (row.tries - 1))
        move(mine, CopyRequest.MOVES, "waiting", not_before=now + wait, **also)
    log.warning("copy request %d: %s", row.pk, type(error).__name__)
