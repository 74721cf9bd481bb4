"""Questions about messages agree with a plain count over random ledgers, for everyone and for a batch."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from messaging.models import Delivery
from segments.facts.append import append_facts, engine_source
from segments.facts.fact import NewFact
from segments.facts.names import MESSAGE_CLICKED, MESSAGE_OPENED
from segments.models import Event, Segment
from segments.refresh import refresh_due
from segments.rules.compile import matching, people, reads_of
from segments.rules.explain import sentence
from segments.rules.operators import At, Drift
from segments.rules.parse import check_rule, parse_rule
from tests.messages import make_version
from tests.people import NOW, make_profile
from tests.segments.refresh.settled import settle_log

ZONE = ZoneInfo("UTC")
OPS = ["at_least", "at_most", "exactly", "more_than", "less_than"]
NAMES = {
    "template": ["welcome", "sale"],
    "journey": ["j1", ""],
    "campaign": ["c1", "c2"],
    "channel": ["email", "inbox"],
}


@dataclass
class Message:
    said: dict[str, str]
    at: datetime
    taken: bool
    reached: int
    opened: datetime | None
    clicks: list[datetime]


@dataclass
class Reader:
    pk: int
    messages: list[Message] = field(default_factory=list)


def near(rng: random.Random) -> datetime:
    return NOW + timedelta(hours=rng.choice([rng.randint(-200, 20), 24 * rng.randint(-8, 1)]))


def random_message(rng: random.Random) -> Message:
    said = {name: rng.choice(values) for name, values in NAMES.items()}
    opened = near(rng) if rng.random() < 0.4 else None
    clicks = [near(rng) for _ in range(rng.choice([0, 0, 0, 1, 2]))]
    return Message(said, near(rng), rng.random() < 0.8, rng.choice([1, 1, 5, 6]), opened, clicks)


def store(reader: Reader, message: Message, versions: dict[str, Any]) -> None:
    public = uuid.uuid4()
    columns = {name: message.said[name] for name in ("journey", "campaign", "channel")}
    Delivery.objects.create(
        dedupe_key=public.hex, public_id=public, klass="marketing", profile_id=reader.pk, planned_at=message.at,
        version=versions[message.said["template"]], not_before=message.at, sent_at=message.at, reached=message.reached,
        ghost=not message.taken, state="accepted", opened_at=message.opened, clicked_at=min(message.clicks, default=None),
        **columns,
    )  # fmt: skip
    told = [(MESSAGE_OPENED, message.opened)] if message.opened else []
    tell(reader.pk, [*told, *((MESSAGE_CLICKED, at) for at in message.clicks)], message.said)


def tell(pk: int, facts: list[tuple[str, datetime]], said: dict[str, str]) -> None:
    with transaction.atomic():
        source = engine_source()
        rows = [
            NewFact(pk, 0, name, at, uuid.uuid4().hex, source, kind="system", properties=said) for name, at in facts
        ]
        append_facts(rows, now=NOW)


def judge(op: str, p: dict[str, Any], reader: Reader, now: datetime) -> bool:
    asked = [m for m in reader.messages if all(m.said[name] == p[name] for name in NAMES if name in p)]
    if op == "messages_ignored":
        taken = [m for m in asked if m.taken and m.at <= now]
        last = max((m.at for m in taken if m.opened or m.clicks), default=None)
        return sum(last is None or m.at > last for m in taken) >= p["count"]
    if p["what"] in ("opened", "clicked"):
        found = [at for m in asked for at in (m.clicks if p["what"] == "clicked" else [m.opened]) if at]
    else:
        bounced = {"sent": (1, 5, 6), "delivered": (1,), "bounced": (5, 6)}[p["what"]]
        found = [m.at for m in asked if m.taken and m.reached in bounced]
    count = sum("days" not in p or now - timedelta(days=p["days"]) < at <= now for at in found)
    return {
        "at_least": count >= p["count"], "at_most": count <= p["count"], "exactly": count == p["count"],
        "more_than": count > p["count"], "less_than": count < p["count"],
    }[p.get("op", "at_least")]  # fmt: skip


def random_leaf(rng: random.Random) -> dict[str, Any]:
    of = {name: rng.choice(values) for name, values in NAMES.items() if rng.random() < 0.3}
    of = {name: value for name, value in of.items() if value}
    if rng.random() < 0.3:
        return {"op": "messages_ignored", "params": {"count": rng.randint(1, 3), **of}}
    what, days = rng.choice(["sent", "delivered", "bounced", "opened", "clicked"]), rng.choice([{}, {"days": 3}])
    return {"op": "message", "params": {"what": what, "op": rng.choice(OPS), "count": rng.randint(0, 3), **days, **of}}


@pytest.mark.django_db
def test_they_agree_with_a_plain_count(rng: random.Random, prove: bool) -> None:
    versions = {key: make_version(key, now=NOW) for key in NAMES["template"]}
    readers = [Reader(make_profile().pk) for _ in range(30)]
    for reader in readers:
        reader.messages = [random_message(rng) for _ in range(rng.choice([0, 1, 2, 4, 6]))]
        for message in reader.messages:
            store(reader, message, versions)
    for _ in range(600 if prove else 120):
        raw, now = random_leaf(rng), near(rng)
        rule, at = parse_rule(raw), At(now, ZONE)
        expected = {reader.pk for reader in readers if judge(raw["op"], raw["params"], reader, now)}
        assert set(people(rule, at).values_list("pk", flat=True)) == expected, (json.dumps(raw), now)
        some = [reader.pk for reader in rng.sample(readers, 10)]
        assert matching(rule, some, at) == expected & set(some), (json.dumps(raw), now)


@pytest.mark.django_db(transaction=True)
def test_a_click_moves_people_in_and_time_moves_them_out() -> None:
    mei = make_profile()
    make_version("welcome", now=NOW)
    rule = {"op": "message", "params": {"what": "clicked", "days": 1, "template": "welcome"}}
    segment = Segment.objects.create(key="clickers", name="c", rule=rule)
    refresh_due(NOW)
    tell(mei.pk, [(MESSAGE_CLICKED, NOW)], {"template": "other"})
    tell(mei.pk, [(MESSAGE_CLICKED, NOW)], {"template": "welcome"})
    Event.objects.update(shard=mei.shard)
    sizes = []
    for hours in (0, 23, 24):
        settle_log()
        (report,) = refresh_due(NOW + timedelta(hours=hours))
        assert report.mode == "changed"
        sizes.append(segment.memberships.count())
    assert sizes == [1, 1, 0]


def test_what_they_say_and_read() -> None:
    rule = parse_rule(
        {"op": "message", "params": {"what": "opened", "count": 2, "days": 30, "journey": "vip", "channel": "email"}}
    )
    assert sentence(rule, "en") == (
        "opened at least 2 messages of the journey “vip” and the channel “email” in the last 30 days"
    )
    assert sentence(rule, "zh-hans") == "最近 30 天内打开消息至少 2 条（旅程“vip”、渠道“email”）"
    assert (reads_of(rule).facts, reads_of(rule).drift) == ({MESSAGE_OPENED}, Drift.NEVER)
    rule = parse_rule({"op": "messages_ignored", "params": {"count": 5}})
    assert sentence(rule, "en") == "ignored the last 5 messages"
    assert sentence(rule, "zh-hans") == "连续忽略了最近 5 条消息"
    assert reads_of(rule).drift is Drift.DAILY


@pytest.mark.django_db
def test_a_template_that_does_not_exist_is_told() -> None:
    rule = parse_rule({"any": [{"op": "message", "params": {"template": "none"}}]})
    assert [str(problem) for problem in check_rule(rule)] == ["any.0.params: there is no template 'none'"]
