"""A small world in memory, an obvious judge of rules over it, and random rules: what the compiler is compared with."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from common.buckets import shard_of
from segments.facts.append import append_facts, engine_source
from segments.facts.fact import NewFact
from segments.facts.names import MISSION_COMPLETED, SEGMENT_ENTERED, SEGMENT_LEFT
from segments.lists import add_people
from segments.models import (
    Award,
    Badge,
    Identity,
    Level,
    Membership,
    Mission,
    MissionProgress,
    Order,
    PointDraw,
    PointEntry,
    Profile,
    Scores,
    Segment,
    Wallet,
)
from segments.models.groups import StaticList
from tests.people import make_source
from tests.segments.rules import behaviour, status, wellness
from tests.segments.rules.behaviour import random_fact
from tests.segments.rules.persons import (
    BASE,
    OPS,
    ZONE,
    Bought,
    Fact,
    Person,
    compare,
    in_window,
    maybe_days,
    near,
    same,
    standing,
)

__all__ = [
    "BASE", "LEAVES", "STAGES", "ZONE", "Fact", "holds", "near", "random_fact", "random_order", "random_person",
    "random_rule", "store", "write_engine_facts", "write_facts", "write_order",
]  # fmt: skip

CITIES = ["", "Berlin", "北京", "Bern"]
FREE: dict[str, list[Any]] = {
    "plan": ["pro", "free", "pr", True, 1, None, ""],
    "age": [17, 18, 18.5, 40, "18", None, True],
    "tags": [["a", "b"], ["b", 1], [], "a", ["a", True]],
    "due": ["2026-03-01", "2026-03-02T23:00:00Z", "2024-02-29", "soon", 20260302, None],
}
DAYS = ["2026-03-01", "2026-03-02"]
SETS: list[list[Any]] = [["a"], ["a", "b"], ["b", 1], ["a", True]]
STAGES = status.STAGES
CELLS = ["champions", "loyal", "lost", "new"]


def random_person(rng: random.Random) -> Person:
    person = Person(bucket=rng.randrange(10_000), refuses=rng.random() < 0.15)
    person.columns = {
        "city": rng.choice(CITIES),
        "country": rng.choice(["", "DE", "CN"]),
        "birthday": rng.choice([None, date(1990, 2, 28), date(1992, 2, 29), date(1985, 3, 5)]),
        "registered_at": rng.choice([None, near(rng), near(rng)]),
    }
    person.traits = {key: rng.choice(values) for key, values in FREE.items() if rng.random() < 0.7}
    person.facts = [random_fact(rng) for _ in range(rng.choice([0, 0, 1, 2, 4, 7]))]
    person.orders = [random_order(rng) for _ in range(rng.choice([0, 0, 1, 2, 4]))]
    if rng.random() < 0.7:
        person.stage, person.won_back = rng.choice(STAGES), rng.random() < 0.2
        if rng.random() < 0.7:
            person.cell, person.octant = rng.choice(CELLS), rng.choice(["key_value", "common_keep"])
            person.scores = (rng.randint(1, 5), rng.randint(1, 5), rng.randint(1, 5))
    person.groups = {key for key in ("one", "two") if rng.random() < 0.4}
    if rng.random() < 0.5:
        person.points, person.level = rng.choice([-5, 0, 3, 10]), rng.choice(["", "gold", "silver"])
    person.badges = {"hero"} if rng.random() < 0.3 else set()
    status.give_status(person, rng)
    wellness.give_health(person, rng)
    return person


def random_order(rng: random.Random) -> Bought:
    return Bought(near(rng), rng.choice([None, -50, 0, 100, 250]), rng.choice(["paid", "placed", "paid", "cancelled"]),
                  rng.choice(["", "TEN", "SPRING"]))  # fmt: skip


def store(people: list[Person]) -> None:
    """Write the world into the database."""
    for key in ("one", "two"):
        Segment.objects.get_or_create(key=key, defaults={"name": key, "rule": {"all": []}, "state": "paused"})
    segments = {row.key: row for row in Segment.objects.all()}
    for rank, key in enumerate(("silver", "gold"), 1):
        Level.objects.get_or_create(key=key, defaults={"name": key, "rank": rank, "threshold": rank * 100})
    levels = {row.key: row for row in Level.objects.all()}
    Mission.objects.get_or_create(key="task", defaults={"name": "Task", "fact": "Viewed", "version": 2})
    hero, _ = Badge.objects.get_or_create(key="hero", defaults={"name": "Hero"})
    for person in people:
        public = uuid.uuid4()
        row = Profile.objects.create(
            public_id=public, shard=shard_of(public), bucket=person.bucket, first_seen_at=BASE, last_seen_at=BASE,
            traits=person.traits, no_profiling=person.refuses, **person.columns,
        )  # fmt: skip
        person.pk = row.pk
        write_facts(row, person.facts)
        for order in person.orders:
            write_order(row, order)
        if person.stage:
            r, f, m = person.scores or (None, None, None)
            Scores.objects.create(
                profile=row, stage=person.stage, stage_since=person.stage_since, won_back_until=BASE if person.won_back else None, cell=person.cell,
                octant=person.octant, r=r, f=f, m=m, computed_at=BASE,
            )  # fmt: skip
        for key in person.groups:
            Membership.objects.create(segment=segments[key], profile=row, entered_at=BASE)
        if person.points is not None:
            Wallet.objects.create(
                profile=row, balance=person.points, level=levels.get(person.level), earned=person.earned
            )
        for _ in person.badges:
            Award.objects.create(badge=hero, profile=row, key=f"a{row.pk}", at=BASE)
        store_status(row, person)
        wellness.store_health(row, person)


def store_status(row: Profile, person: Person) -> None:
    """Names, what the engine said of the person, missions and points."""
    for kind in person.names:
        Identity.objects.create(kind=kind, value=f"{kind}{row.pk}", profile=row, created_at=BASE)
    for key in person.lists:
        target, _ = StaticList.objects.get_or_create(key=key, defaults={"name": key})
        add_people(target, [row.pk], now=BASE)
    names = {"entered": SEGMENT_ENTERED, "left": SEGMENT_LEFT}
    said = [(names[move.how], move.at, {"segment": move.segment}) for move in person.moves]
    said += [(MISSION_COMPLETED, at, {"mission": "task"}) for at in person.missions]
    write_engine_facts(row, said)
    mission = Mission.objects.get(key="task")
    MissionProgress.objects.create(mission=mission, profile=row, version=1, period="", count=9)
    for number, count in enumerate(person.progress):
        MissionProgress.objects.create(mission=mission, profile=row, version=2, period=f"w{number}", count=count)
    for number, lot in enumerate(person.lots):
        given = {"wallet_id": row.pk, "at": BASE, "available_at": BASE, "reason": "test"}
        key = f"{row.pk}:{number}"
        earned = PointEntry.objects.create(
            kind="earn", sign=1, amount=lot.amount, expires_at=lot.ends, key=f"e{key}", **given
        )
        for amount in lot.drawn:
            spent = PointEntry.objects.create(kind="spend", sign=-1, amount=amount, key=f"s{key}", **given)
            PointDraw.objects.create(entry=spent, lot=earned, amount=amount)


def write_engine_facts(row: Profile, said: list[tuple[str, datetime, dict[str, Any]]]) -> None:
    with transaction.atomic():
        source = engine_source()
        append_facts(
            [
                NewFact(row.pk, row.shard, name, at, uuid.uuid4().hex, source, kind="system", properties=properties)
                for name, at, properties in said
            ],
            now=BASE,
        )


def write_facts(row: Profile, facts: list[Fact], *, live: bool = True) -> None:
    source = make_source().pk
    with transaction.atomic():
        append_facts(
            [
                NewFact(
                    row.pk,
                    row.shard,
                    fact.name,
                    fact.at,
                    uuid.uuid4().hex,
                    source,
                    value=fact.value,
                    properties=fact.said,
                    live=live,
                )
                for fact in facts
            ],
            now=BASE,
        )


def write_order(row: Profile, order: Bought) -> None:
    """The order's row with its fact, as ingest writes them."""
    with transaction.atomic():
        Order.objects.create(
            source=make_source(), order_id=uuid.uuid4().hex, profile=row, placed_at=order.at, state=order.state,
            currency="USD", total=order.net or 0, net_reporting=order.net, coupon_code=order.coupon,
        )  # fmt: skip
        write_facts(row, [Fact("Order Completed", order.at, {})])


# --- the judge


TOLD = {  # what asks about what a person told us, or holds
    "trait", "identity", "consent", "in_list", "in_segment", "segment_history", "random_bucket", "badge", "level", "mission",
    "points", "wallet",
}  # fmt: skip


def holds(rule: Any, person: Person, now: datetime) -> bool:
    """The obvious reading of a rule, in plain Python over the whole world."""
    return answer(rule, person, now) is True


def answer(rule: Any, person: Person, now: datetime) -> bool | None:
    """Yes, no, or nothing where the person refuses profiling and the answer hangs on it."""
    if "op" in rule:
        if person.refuses and rule["op"] not in TOLD:
            return None
        return JUDGES[rule["op"]](rule["params"], person, now)
    if "not" in rule:
        inner = answer(rule["not"], person, now)
        return None if inner is None else not inner
    answers = [answer(part, person, now) for part in rule["all" if "all" in rule else "any"]]
    if "any" in rule:
        return True if True in answers else None if None in answers else False
    return False if False in answers else None if None in answers else True


def judge_count(p: Any, person: Person, now: datetime) -> bool:
    return compare(p["op"], sum(in_window(o.at, p.get("days"), now) for o in standing(person)), p["count"])


def judge_sum(p: Any, person: Person, now: datetime) -> bool:
    return compare(
        p["op"], sum(o.net or 0 for o in standing(person) if in_window(o.at, p.get("days"), now)), p["amount"]
    )


def judge_recency(p: Any, person: Person, now: datetime) -> bool:
    if p["op"] == "never":
        return not standing(person)
    past = [order.at for order in standing(person) if order.at <= now]
    if not past:
        return False
    ago = now - max(past)
    if p["op"] == "within":
        return ago < timedelta(days=p["days"])
    if p["op"] == "longer_ago":
        return ago >= timedelta(days=p["days"])
    return timedelta(days=p["days"]) <= ago < timedelta(days=p["to_days"])


def judge_stage(p: Any, person: Person, now: datetime) -> bool:
    right = not p["stages"] or (person.stage or "prospect") in p["stages"]
    return right and (p["won_back"] is None or p["won_back"] == person.won_back)


def day_of(trait: str, value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.astimezone(ZONE).date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def judge_trait(p: Any, person: Person, now: datetime) -> bool:
    trait, op = p["trait"], p["op"]
    value = person.columns[trait] if trait in person.columns else person.traits.get(trait)
    if op in ("set", "not_set"):
        return (value not in (None, "")) == (op == "set")
    if op in ("equals", "not_equals"):
        return (value is not None and same(value, p["value"])) == (op == "equals")
    if op in ("any_of", "none_of"):
        return (value is not None and any(same(value, want) for want in p["values"])) == (op == "any_of")
    if op in ("contains", "not_contains"):
        return contained(value, p["value"]) == (op == "contains")
    if op in ("contains_any", "contains_all"):
        return (any if op == "contains_any" else all)(contained(value, want) for want in p["values"])
    if op in ("starts", "ends"):
        return isinstance(value, str) and (value.startswith if op == "starts" else value.endswith)(p["value"])
    if op in ("less", "greater", "at_least", "at_most", "between"):
        return judge_number(p, value)
    return judge_day(p, day_of(trait, value), now)


def contained(value: Any, want: Any) -> bool:
    if isinstance(value, list):
        return any(same(item, want) for item in value)
    return isinstance(value, str) and isinstance(want, str) and want in value


def judge_number(p: Any, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if p["op"] == "between":
        return bool(p["low"] <= value <= p["high"])
    words = {"less": "less_than", "greater": "more_than"}
    return compare(words.get(p["op"], p["op"]), value, p["value"])


def judge_day(p: Any, day: date | None, now: datetime) -> bool:
    op, today = p["op"], now.astimezone(ZONE).date()
    if day is None:
        return False
    if op in ("before", "after"):
        bound = date.fromisoformat(p["value"])
        return day < bound if op == "before" else day > bound
    if op == "between_days":
        return date.fromisoformat(p["first"]) <= day <= date.fromisoformat(p["last"])
    width = timedelta(days=p["days"])
    if op == "last_days":
        return today - width <= day <= today
    if op == "next_days":
        return today <= day <= today + width
    if op == "days_ago":
        return day <= today - width
    return any(
        kept(day, today + timedelta(days=ahead))
        for ahead in range(-p["days"] if op == "anniversary_around" else 0, p["days"] + 1)
    )


def kept(born: date, day: date) -> bool:
    """Whether the anniversary of `born` is kept on `day`."""
    if (born.month, born.day) == (2, 29) and not is_leap(day.year):
        return (day.month, day.day) == (2, 28)
    return (born.month, born.day) == (day.month, day.day)


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def judge_scores(p: Any, person: Person, now: datetime) -> bool:
    if person.scores is None:
        return False
    values = dict(zip("rfm", person.scores, strict=True))
    low = all(values[axis] >= p[f"{axis}_min"] for axis in "rfm" if f"{axis}_min" in p)
    return low and all(values[axis] <= p[f"{axis}_max"] for axis in "rfm" if f"{axis}_max" in p)


JUDGES: dict[str, Callable[[Any, Person, datetime], bool]] = {
    **behaviour.JUDGES,
    **status.JUDGES,
    **wellness.JUDGES,
    "order_count": judge_count,
    "order_sum": judge_sum,
    "order_recency": judge_recency,
    "stage": judge_stage,
    "trait": judge_trait,
    "rfm_cell": lambda p, who, now: who.cell in p["cells"] or who.octant in p["octants"],
    "rfm_score": judge_scores,
    "in_segment": lambda p, who, now: p["segment"] in who.groups,
    "random_bucket": lambda p, who, now: p["low"] <= who.bucket <= p["high"],
    "level": lambda p, who, now: who.level in p["levels"],
    "points": lambda p, who, now: compare(p["op"], who.points or 0, p["points"]),
    "badge": lambda p, who, now: p["badge"] in who.badges,
}


# --- random rules


def random_rule(rng: random.Random, depth: int = 3) -> Any:
    kind = rng.choice(["all", "any", "not", "leaf", "leaf"]) if depth else "leaf"
    if kind == "not":
        return {"not": random_rule(rng, depth - 1)}
    if kind in ("all", "any"):
        return {kind: [random_rule(rng, depth - 1) for _ in range(rng.randint(kind == "any", 3))]}
    op = rng.choice(list(LEAVES))
    return {"op": op, "params": LEAVES[op](rng)}


def leaf_recency(rng: random.Random) -> dict[str, Any]:
    op = rng.choice(["within", "longer_ago", "between", "never"])
    days = rng.choice([1, 2, 3])
    return {"never": {"op": op}, "between": {"op": op, "days": days, "to_days": days + rng.choice([1, 4])}}.get(
        op, {"op": op, "days": days}
    )


def leaf_trait(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(["text", "time", "free", "number", "date", "list"])
    span = {"first": "2026-02-27", "last": f"2026-03-0{rng.randint(1, 4)}"}
    alike = [
        "equals",
        "not_equals",
        "any_of",
        "none_of",
        "contains",
        "not_contains",
        "starts",
        "ends",
        "set",
        "not_set",
    ]
    if kind == "text":
        value = rng.choice(["Ber", "Berlin", "北", "bern", "lin", "京", "n"])
        return {"trait": "city", "op": rng.choice(alike), "value": value, "values": ["Bern", "北京"]}
    if kind in ("time", "date"):
        trait = rng.choice(["registered_at", "birthday"]) if kind == "time" else "due"
        choice = ["before", "after", "between_days", "last_days", "next_days", "days_ago", "set", "not_set"]
        yearly = [] if trait == "registered_at" else ["anniversary", "anniversary_around"]
        op = rng.choice([*choice, *yearly])
        return {"trait": trait, "op": op, "value": rng.choice(DAYS), "days": rng.choice([0, 1, 3]), **span}
    if kind == "number":
        op = rng.choice(["less", "greater", "at_least", "at_most", "between", "equals"])
        return {"trait": "age", "op": op, "value": rng.choice([18, 18.5, 17]), "low": 17.5, "high": 40}
    if kind == "list":
        op = rng.choice(["contains", "not_contains", "contains_any", "contains_all"])
        return {"trait": "tags", "op": op, "value": rng.choice(["a", "b", 1, True]), "values": rng.choice(SETS)}
    op = rng.choice([*alike, "contains_any"])
    texts = op in ("starts", "ends", "contains", "not_contains")
    value = rng.choice(["pro", "pr", "o"]) if texts else rng.choice(["pro", True, 1])
    return {"trait": "plan", "op": op, "value": value, "values": ["free", 1]}


def leaf_bucket(rng: random.Random) -> dict[str, Any]:
    low, high = sorted(rng.sample(range(10_000), 2))
    return {"low": low, "high": high}


def leaf_stage(rng: random.Random) -> dict[str, Any]:
    return {"stages": rng.sample(STAGES, rng.randint(0, 3)), "won_back": rng.choice([None, None, True, False])}


LEAVES: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    **behaviour.LEAVES,
    **status.LEAVES,
    **wellness.LEAVES,
    "order_count": lambda rng: {"op": rng.choice(OPS), "count": rng.randint(0, 3), **maybe_days(rng)},
    "order_sum": lambda rng: {"op": rng.choice(OPS), "amount": rng.choice([-50, 0, 100, 200]), **maybe_days(rng)},
    "order_recency": leaf_recency,
    "stage": leaf_stage,
    "trait": leaf_trait,
    "rfm_cell": lambda rng: {"cells": rng.sample(CELLS, 2), "octants": rng.choice([[], ["key_value"]])},
    "rfm_score": lambda rng: rng.choice([{"r_min": 3}, {"f_max": 2, "m_min": 2}, {"r_min": 2, "r_max": 4}]),
    "in_segment": lambda rng: {"segment": rng.choice(["one", "two"])},
    "random_bucket": leaf_bucket,
    "level": lambda rng: {"levels": rng.sample(["gold", "silver"], rng.randint(1, 2))},
    "points": lambda rng: {"op": rng.choice(OPS), "points": rng.choice([-5, 0, 3])},
    "badge": lambda rng: {"badge": "hero"},
}
