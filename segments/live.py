"""A rule looked at while it is written: first about how many, from a stable fiftieth of the people, then exactly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from common.buckets import BUCKETS
from common.semijoin import has
from segments.models import Profile, Segment
from segments.patience import TooSlow, patient
from segments.reads import LiveCount, about_how_many, at, samples
from segments.rules.compile import people
from segments.rules.explain import Reason
from segments.rules.tree import Rule

FEW = 20_000  # so many people are counted at once
SHARE = 0.02
QUICK, LONG = 2.0, 5.0  # seconds


@dataclass(frozen=True)
class Seen:
    """Somebody for whom the rule holds, and the answers that put them there."""

    person: Profile
    why: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """What a person sees of a rule. `count` is None when even that took too long; `late`: a longer look may help."""

    count: LiveCount | None
    seen: tuple[Seen, ...] = ()
    late: bool = False


def first_look(rule: Rule, *, now: datetime, language: str) -> Look:
    """Everything at once among few people; among many an estimate, without anybody."""
    if about_how_many() <= FEW:
        return long_look(rule, now=now, language=language)
    try:
        with patient(QUICK):
            return Look(estimate(rule, now=now), late=True)
    except TooSlow:
        return Look(None, late=True)


def long_look(rule: Rule, *, now: datetime, language: str) -> Look:
    """The exact number and ten people with the reason, or what of it could be had in a few seconds."""
    try:
        with patient(LONG):
            count = LiveCount(people(rule, at(now)).count(), exact=True)
    except TooSlow:
        return Look(None)
    try:
        with patient(LONG):
            found = samples(rule, now=now, language=language)
    except TooSlow:
        return Look(count)
    return Look(count, tuple(Seen(one.person, tuple(because(one.why))) for one in found))


def estimate(rule: Rule, *, now: datetime) -> LiveCount:
    """About how many, from the people whose stable bucket is in the first fiftieth; `margin` at 95 %."""
    sampled = people(rule, at(now)).filter(bucket__lt=int(BUCKETS * SHARE)).count()
    spread = (sampled * (1 - SHARE)) ** 0.5 * 1.96
    return LiveCount(round(sampled / SHARE), exact=False, margin=round(spread / SHARE))


def how_many_come_in(segment: Segment, rule: Rule, *, now: datetime) -> int | None:
    """How many people a build of the segment would let in now who are not in it; None when that takes too long."""
    try:
        with patient(LONG):
            return people(rule, at(now)).exclude(has(segment.memberships.all(), None)).count()
    except TooSlow:
        return None


def because(reason: Reason) -> list[str]:
    """The shortest account of why a rule holds: its questions that were answered with yes, and its nots."""
    if not reason.holds:
        return []
    if not reason.parts or reason.kind == "not":
        return [reason.sentence]
    return list(dict.fromkeys(said for part in reason.parts for said in because(part)))
