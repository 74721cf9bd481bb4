"""Changing what is known of people from inside the house: typed columns and traits alike, told to the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from segments.bulk import update
from segments.facts.append import append_engine_facts
from segments.facts.names import CORRECTED
from segments.ingest.call import Call
from segments.ingest.change import Change
from segments.ingest.schema import learn
from segments.ingest.traits import read_traits
from segments.models import Profile
from segments.portrait import FIELDS, PORTRAIT, Portrait, to_text


@dataclass(frozen=True)
class Correction:
    """New traits of one person (None forgets one), told under `key` as changed `by` somebody."""

    profile: int
    traits: Mapping[str, Any]
    key: str
    by: str


def correct_many(items: Sequence[Correction], *, now: datetime, depth: int = 0) -> int:
    """Change traits of people, each named once, in a constant number of statements; returns how many really changed.

    Only those are told to the log, by a fact that is `depth` deep. Whoever was erased or merged stays as is.
    """
    wanted = {item.profile: item for item in items}
    with transaction.atomic():
        people = Profile.objects.filter(pk__in=wanted, erased_at=None, merged_into=None).order_by("pk")
        rows = list(people.select_for_update(no_key=True).values("pk", "shard", *FIELDS))
        changed, facts = [], []
        for row in rows:
            pk, shard = row.pop("pk"), row.pop("shard")
            before = Portrait(**{**row, "traits": to_text(row["traits"])})
            after = _drawn(before, wanted[pk], now)
            if after != before:
                item = wanted[pk]
                changed.append((pk, *after))
                facts.append(
                    (pk, shard, CORRECTED, f"traits:{item.key}", {"traits": sorted(item.traits), "by": item.by})
                )
        if changed:
            update("segments_profile", (("id", "bigint"), *PORTRAIT), changed)
            append_engine_facts(facts, now=now, depth=depth)
            learn([read_traits(item.traits).rest for item in items], now=now)
    return len(changed)


def _drawn(before: Portrait, item: Correction, now: datetime) -> Portrait:
    """The portrait after the change; the person was not seen by it."""
    change = Change(before.first_seen_at, before.last_seen_at)
    traits = read_traits(item.traits)
    change.hear(Call(0, "identify", "identify", item.key, now, traits=traits), became_known=False)
    return change.draw(before)._replace(first_seen_at=before.first_seen_at, last_seen_at=before.last_seen_at)
