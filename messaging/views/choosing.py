"""The preference centre: topics by channel, which channel first, how often, a break, the language, no profiling. GET
never acts.

Each section is a form of its own and works without a script. Whoever holds the token of a message may stop anything of
its person, and may start again what comes to the very address that the message came to: having it proves as much as a
double opt-in would. What was just done can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from common.clock import now as clock_now
from common.text import say
from messaging import wishes
from messaging.fallback import wish_of
from messaging.models import Address, Consent, Preference, Suppression, Topic
from messaging.permission import give_consent, lift_suppression, take_back, withdraw
from messaging.statements import EVERYTHING
from messaging.tokens import BadToken, Purpose
from messaging.views import _choices as words
from messaging.views._reader import Reader, channel_name, is_on, is_refused, masked, named, reader_of
from messaging.views._request import not_found, page, proof_of, texts
from messaging.views.leaving import METHODS, leave

SOURCE = "preferences page"
WORDING = "preferences-1"  # the version of the page's text that a yes was given under
UNDO_WITHIN = timedelta(hours=1)
FREQUENCIES: Mapping[str, tuple[int | None, str]] = {
    "usual": (None, "week"),
    "week": (1, "week"),
    "month": (1, "month"),
}
LANGUAGES = {"en": "en", "zh-hans": "zh-Hans"}
Undo = Mapping[str, str]  # the fields of a form that takes back what was done
Act = Callable[[HttpRequest, Reader, datetime], "Undo | None"]


@csrf_exempt
@require_http_methods(METHODS)
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """The page; a POST does the one thing that its form names, and says so with a way back."""
    try:
        reader = reader_of(request, Purpose.PREFERENCES, token)
    except BadToken:
        return not_found(request)
    done, undo = "", None
    act = ACTS.get(request.POST.get("do", "")) if request.method == "POST" else None
    if act is not None:
        undo = act(request, reader, clock_now())
        done = "undone" if request.POST.get("undoes") or request.POST["do"] == "undo" else "saved"
        reader = reader_of(request, Purpose.PREFERENCES, token)
    return _page(reader, done, undo)


# --- what can be done ---


def _topics(request: HttpRequest, reader: Reader, now: datetime) -> Undo | None:
    """Stop what is no longer ticked, start what is. `shown` names what the form had: a newer topic was neither."""
    shown, ticked = set(request.POST.getlist("shown")), set(request.POST.getlist("on"))
    said: list[int] = []
    for address in _addresses(reader):
        for topic in _all_topics():
            box = f"{address.pk}:{topic.key}"
            if box not in shown:
                continue
            on = is_on(topic, address)
            if on and box not in ticked:
                proof = proof_of(request, SOURCE, delivery=reader.ref)
                said.append(
                    withdraw(address.pk, topic.key, now=now, source=SOURCE, evidence=proof, delivery=reader.ref).pk
                )
            elif not on and box in ticked and _may_start(reader, address):
                proof = proof_of(request, SOURCE, delivery=reader.ref)
                give_consent(address.pk, topic.key, now=now, source=SOURCE, evidence=proof, wording=WORDING)
            address.refresh_from_db(fields=["consents", "refusals"])
    return {"do": "undo", "said": ",".join(map(str, said))} if said else None


def _may_start(reader: Reader, address: Address) -> bool:
    return reader.address is not None and address.pk == reader.address.pk


def _stop(request: HttpRequest, reader: Reader, now: datetime) -> Undo | None:
    """Stop everything, in every channel."""
    said = []
    for address in _addresses(reader):
        if _may_start(reader, address):
            said.append(leave(request, reader, EVERYTHING, SOURCE))
        elif not is_refused(address, EVERYTHING):
            proof = proof_of(request, SOURCE, delivery=reader.ref)
            said.append(withdraw(address.pk, now=now, source=SOURCE, evidence=proof, delivery=reader.ref).pk)
    found = [str(pk) for pk in said if pk]
    return {"do": "undo", "said": ",".join(found)} if found else None


def _undo(request: HttpRequest, reader: Reader, now: datetime) -> Undo | None:
    """Take back what was said through this message within the hour."""
    given = [int(one) for one in request.POST.get("said", "").split(",")[:100] if one.isdigit() and len(one) < 18]
    rows = Consent.objects.filter(
        pk__in=given, action=Consent.Action.WITHDRAWN, at__gt=now - UNDO_WITHIN, evidence__delivery=reader.ref,
        address__in=[address.pk for address in _addresses(reader)],
    )  # fmt: skip
    for said in rows.order_by("-pk"):
        if not Consent.objects.filter(address=said.address_id, pk__gt=said.pk, topic=said.topic).exists():
            take_back(said, now=now, evidence=proof_of(request, SOURCE, delivery=reader.ref))
    return None


def _frequency(request: HttpRequest, reader: Reader, now: datetime) -> Undo | None:
    wished = FREQUENCIES.get(request.POST.get("often", ""))
    if reader.profile is None or wished is None:
        return None
    before = _often(_wish(reader))
    wishes.set_frequency(reader.profile.pk, *wished, now=now, source=SOURCE)
    return {"do": "frequency", "often": before} if before in FREQUENCIES else None


def _break(request: HttpRequest, reader: Reader, now: datetime) -> Undo | None:
    """A break of thirty days, its end, or (by an undo) the break there was."""
    if reader.profile is None:
        return None
    before = _wish(reader)
    was = before.paused_until.isoformat() if before and before.paused_until and before.paused_until > now else "none"
    asked = request.POST.get("until", "")
    until = now + wishes.BREAK if asked == "month" else None if asked == "none" else _moment(asked, now)
    wishes.take_break(reader.profile.pk, until, now=now, source=SOURCE)
    return {"do": "break", "until": was}


def _moment(text: str, now: datetime) -> datetime | None:
    """A time that an undo brings back; never further away than a break may last."""
    try:
        at = parse_datetime(text[:40])
    except ValueError:
        return None
    return min(at, now + wishes.BREAK) if at is not None and at.tzinfo is not None else None


def _order(request: HttpRequest, reader: Reader, now: datetime) -> Undo | None:
    """Which channel is tried first, second …, of those that the person has; none: as the sender has it."""
    if reader.profile is None:
        return None
    asked = ",".join(request.POST.getlist("order")[:10])[:400].split(",")
    theirs = {address.channel for address in _addresses(reader)}
    before = wish_of(reader.profile.traits.get(wishes.CHANNEL_ORDER))
    chosen = [channel for channel in dict.fromkeys(asked) if channel in theirs]
    wishes.set_channel_order(reader.profile.pk, chosen, now=now)
    return {"do": "order", "order": ",".join(before)}


def _language(request: HttpRequest, reader: Reader, now: datetime) -> Undo | None:
    wished = LANGUAGES.get(request.POST.get("language", ""))
    if reader.profile is None or wished is None:
        return None
    wishes.set_language(reader.profile.pk, wished, now=now)
    return {"do": "language", "language": reader.language}


def _profiling(request: HttpRequest, reader: Reader, now: datetime) -> Undo | None:
    if reader.profile is None:
        return None
    refused = request.POST.get("refused") == "yes"
    wishes.set_no_profiling(reader.profile.pk, refused, now=now)
    return {"do": "profiling", "refused": "yes" if reader.profile.no_profiling else "no"}


def _keep(request: HttpRequest, reader: Reader, now: datetime) -> Undo | None:
    """Somebody we had stopped writing to for want of an answer wants to hear from us."""
    address = reader.address
    if address is not None:
        Address.objects.filter(pk=address.pk).update(last_engaged_at=now)
        if address.suppressed == Suppression.Reason.SUNSET:
            lift_suppression(address)
    return None


ACTS: Mapping[str, Act] = {
    "topics": _topics, "stop": _stop, "undo": _undo, "frequency": _frequency, "break": _break, "language": _language,
    "order": _order, "profiling": _profiling, "keep": _keep,
}  # fmt: skip


# --- what is shown ---


def _page(reader: Reader, done: str, undo: Undo | None) -> HttpResponse:
    language, now = reader.language, clock_now()
    wish, addresses = _wish(reader), _addresses(reader)
    until = wish.paused_until if wish and wish.paused_until and wish.paused_until > now else None
    often = _often(wish)
    rows = [_topic_row(topic, addresses, reader) for topic in _all_topics()] if addresses else []
    return page(
        "preferences",
        language=language,
        say=texts(words.CHOOSE, language, address=reader.shown, until=words.day(until, language)),
        done=say(*words.DONE[done], language) if done else "",
        undo=({**undo, "undoes": "1"} if undo else {}),
        columns=[{"name": channel_name(one.channel, language), "to": masked(one, language)} for one in addresses],
        topics=rows,
        fixed=any(box["fixed"] for row in rows for box in row["boxes"]),
        person=reader.profile,
        often=[_choice(key, say(*text, language), often) for key, text in words.OFTEN.items()],
        own=say(*words.OWN, language).format(n=wish.at_most, period=say(*words.PERIODS[wish.period], language))
        if wish and often == "own" else "",
        until=until,
        order=_order_rows(reader, addresses),
        languages=[_choice(key, text, language) for key, text in words.LANGUAGES.items()],
        refused=bool(reader.profile and reader.profile.no_profiling),
        stopped=_stopped(reader),
    )  # fmt: skip


def _choice(key: str, name: str, chosen: str) -> dict[str, Any]:
    return {"key": key, "name": name, "on": key == chosen}


def _order_rows(reader: Reader, addresses: Sequence[Address]) -> list[dict[str, Any]]:
    """A choice per place, first to last, among the person's channels; none for somebody with a single one."""
    theirs = [address.channel for address in addresses]
    if reader.profile is None or len(theirs) < 2:
        return []
    wish = [one for one in wish_of(reader.profile.traits.get(wishes.CHANNEL_ORDER)) if one in theirs]
    chosen = [*wish, *[""] * len(theirs)]
    nothing = {"key": "", "name": say(*words.ANY_CHANNEL, reader.language)}
    return [
        {
            "place": say(*words.PLACES[min(number, len(words.PLACES) - 1)], reader.language),
            "choices": [
                {**nothing, "on": not chosen[number]},
                *(_choice(one, channel_name(one, reader.language), chosen[number]) for one in theirs),
            ],
        }
        for number in range(len(theirs))
    ]


def _topic_row(topic: Topic, addresses: Sequence[Address], reader: Reader) -> dict[str, Any]:
    boxes = [
        {
            "key": f"{address.pk}:{topic.key}",
            "on": is_on(topic, address),
            "fixed": not is_on(topic, address) and not _may_start(reader, address),
            "label": f"{named(topic, reader.language)} – {channel_name(address.channel, reader.language)}",
        }
        for address in addresses
    ]
    about = (topic.description_zh if reader.language == "zh-hans" else "") or topic.description
    return {"name": named(topic, reader.language), "about": about, "boxes": boxes}


def _stopped(reader: Reader) -> str:
    """Why nothing comes to this address whatever is ticked: "sunset" may be lifted here, others not."""
    if reader.address is None or not reader.address.suppressed:
        slowed = reader.address.slowed_at if reader.address else None
        engaged = reader.address.last_engaged_at if reader.address else None
        return "sunset" if slowed is not None and (engaged is None or engaged <= slowed) else ""
    return "sunset" if reader.address.suppressed == Suppression.Reason.SUNSET else "blocked"


def _wish(reader: Reader) -> Preference | None:
    return Preference.objects.filter(profile=reader.profile).first() if reader.profile else None


def _often(wish: Preference | None) -> str:
    """Which of the frequencies holds; "own" for one that an operator set."""
    if wish is None or wish.at_most is None:
        return "usual"
    given = (wish.at_most, wish.period)
    return next((key for key, value in FREQUENCIES.items() if value == given and not wish.replaces), "own")


def _addresses(reader: Reader) -> list[Address]:
    """The reader's address first, then the newest of each other channel of the same person."""
    found = [reader.address] if reader.address else []
    if reader.profile is not None:
        others = Address.objects.filter(profile=reader.profile, suppressed="").order_by("channel", "-pk")
        for one in others:
            if one.channel not in {known.channel for known in found}:
                found.append(one)
    return found


def _all_topics() -> list[Topic]:
    return list(Topic.objects.exclude(purpose="transactional").order_by("key"))
