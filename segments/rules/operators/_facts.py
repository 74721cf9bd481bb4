"""Facts of one name whose properties pass tests, and whether somebody had one by a moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from common.semijoin import has
from segments.facts.names import RESERVED
from segments.models import Event, EventStats
from segments.rules.operators import At
from segments.rules.operators._properties import where


def facts_of(event: str, tests: Mapping[str, Any]) -> QuerySet[Event]:
    return where(Event.objects.filter(name=event), tests)


def had_by(event: str, tests: Mapping[str, Any], moment: datetime, at: At) -> Q:
    """At least one such fact at or before the moment. The lifetime row tells it without the facts, unless their
    properties are asked or the facts are the engine's own, which have no such rows."""
    if tests or event.startswith(RESERVED):
        return has(facts_of(event, tests).filter(occurred_at__lte=moment), at.among)
    return has(EventStats.objects.filter(name=event, first_at__lte=moment), at.among)


def had_between(event: str, tests: Mapping[str, Any], after: datetime, upto: datetime, at: At) -> Q:
    """At least one such fact in (after, upto]."""
    return has(facts_of(event, tests).filter(occurred_at__gt=after, occurred_at__lte=upto), at.among)
