"""The obvious reading of rules about what somebody did, and random ones of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

from tests.segments.rules.persons import (
    EVENTS,
    OPS,
    ZONE,
    Fact,
    Person,
    compare,
    in_window,
    maybe_days,
    near,
    same,
    standing,
)

VALUES: dict[str, list[Any]] = {
    "kind": ["x", "y", 1, True, None, ""],
    "price": [1, 2, 2.5, 10, "10", 0.1, 0.2, True],
    "name": ["green tea", "tea", "Tea", "茶 tea", ["tea", 1]],
}


def random_fact(rng: random.Random) -> Fact:
    said = {key: rng.choice(values) for key, values in VALUES.items() if rng.random() < 0.6}
    return Fact(rng.choice(EVENTS), near(rng), said, rng.choice([None, None, 100, 250, -30]))


# --- properties


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def has_text(value: Any, test: Callable[[str], bool]) -> bool:
    return isinstance(value, str) and test(value)


TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "any_of": lambda v, want: any(same(v, one) for one in want),
    "none_of": lambda v, want: not any(same(v, one) for one in want),
    "contains": lambda v, want: want in v if isinstance(v, list) else has_text(v, lambda text: want in text),
    "starts": lambda v, want: has_text(v, lambda text: text.startswith(want)),
    "ends": lambda v, want: has_text(v, lambda text: text.endswith(want)),
    "at_least": lambda v, want: is_number(v) and v >= want,
    "more_than": lambda v, want: is_number(v) and v > want,
    "at_most": lambda v, want: is_number(v) and v <= want,
    "less_than": lambda v, want: is_number(v) and v < want,
    "set": lambda v, want: (v not in (None, "")) == want,
}


def passes(said: dict[str, Any], where: dict[str, Any]) -> bool:
    for name, wanted in where.items():
        value = said.get(name)
        tests = wanted if isinstance(wanted, dict) else {"any_of": wanted if isinstance(wanted, list) else [wanted]}
        if not all(TESTS[test](value, given) for test, given in tests.items()):
            return False
    return True


def random_where(rng: random.Random) -> dict[str, Any]:
    return rng.choice(
        [
            {},
            {},
            {"kind": rng.choice(["x", 1, True, ""])},
            {"kind": ["x", 1]},
            {"kind": {rng.choice(["any_of", "none_of"]): ["y", True]}},
            {"kind": {"set": rng.choice([True, False])}},
            {"name": {rng.choice(["contains", "starts", "ends"]): rng.choice(["tea", "Tea", "茶"])}},
            {"price": {rng.choice(["at_least", "more_than"]): 2, rng.choice(["at_most", "less_than"]): 10}},
        ]
    )


def facts(person: Person, name: str, where: dict[str, Any] | None = None) -> list[Fact]:
    return [fact for fact in person.facts if fact.name == name and passes(fact.said, where or {})]


# --- the judges


def judge_events(p: Any, person: Person, now: datetime) -> bool:
    found = [fact for fact in facts(person, p["event"], p.get("where")) if in_window(fact.at, p.get("days"), now)]
    return compare(p["op"], len(found), p["count"])


def judge_first_last(p: Any, person: Person, now: datetime) -> bool:
    times = [fact.at for fact in facts(person, p["event"], p.get("where")) if fact.at <= now]
    if not times:
        return False
    at = min(times) if p["which"] == "first" else max(times)
    if p["op"] in ("within", "longer_ago"):
        return (now - at < timedelta(days=p["days"])) == (p["op"] == "within")
    start = datetime.combine(date.fromisoformat(p["day"]), time.min, ZONE)
    return at < start if p["op"] == "before" else at >= start + timedelta(days=1)


def measured(values: list[Any], measure: str) -> float | None:
    if measure == "distinct":
        return len({("t", v) if isinstance(v, str) else ("b", v) if isinstance(v, bool) else ("n", v) for v in values})
    if measure == "sum":
        return round(sum(values), 6)
    if not values:
        return None
    return {"avg": round(sum(values) / len(values), 6), "min": min(values), "max": max(values)}[measure]


def passes_measure(p: Any, values: list[Any]) -> bool:
    found = measured(values, p["measure"])
    return found is not None and compare(p["op"], found, p["number"])


def judge_event_measure(p: Any, person: Person, now: datetime) -> bool:
    rows = [fact for fact in facts(person, p["event"], p.get("where")) if in_window(fact.at, p.get("days"), now)]
    if p["measure"] == "distinct":
        kept = [fact.said.get(p["property"]) for fact in rows]
        return passes_measure(p, [v for v in kept if v not in (None, "") and not isinstance(v, list)])
    values = [fact.said.get(p["property"]) if p.get("property") else fact.value for fact in rows]
    return passes_measure(p, [value for value in values if is_number(value)])


def judge_order_measure(p: Any, person: Person, now: datetime) -> bool:
    rows = [order for order in standing(person) if in_window(order.at, p.get("days"), now)]
    values = {
        "net": [order.net for order in rows if order.net is not None],
        "coupon": [order.coupon for order in rows if order.coupon],
        "currency": ["USD" for _ in rows],
    }[p["field"]]
    return passes_measure(p, values)


def judge_sequence(p: Any, person: Person, now: datetime) -> bool:
    return any(
        first.at < then.at and (p.get("within_days") is None or then.at - first.at <= timedelta(days=p["within_days"]))
        for then in facts(person, p["then"], p.get("then_where"))
        if in_window(then.at, p.get("days"), now)
        for first in facts(person, p["first"], p.get("first_where"))
    )


def judge_not_followed(p: Any, person: Person, now: datetime) -> bool:
    sequels = [fact.at for fact in facts(person, p["then"], p.get("then_where"))]

    def alone(at: datetime) -> bool:
        if p.get("within_days") is None:
            return at <= now and not any(at < other <= now for other in sequels)
        end = at + timedelta(days=p["within_days"])
        return end <= now and not any(at < other <= end for other in sequels)

    found = [fact.at for fact in facts(person, p["event"], p.get("event_where"))]
    return any(alone(at) for at in found if p.get("days") is None or now - timedelta(days=p["days"]) < at)


JUDGES: dict[str, Callable[[Any, Person, datetime], bool]] = {
    "event_count": judge_events,
    "event_first_last": judge_first_last,
    "event_measure": judge_event_measure,
    "order_measure": judge_order_measure,
    "event_sequence": judge_sequence,
    "event_not_followed": judge_not_followed,
}


# --- random rules


def leaf_event(rng: random.Random) -> dict[str, Any]:
    where, event = random_where(rng), rng.choice(EVENTS)
    return {"event": event, "op": rng.choice(OPS), "count": rng.randint(0, 3), "where": where, **maybe_days(rng)}


def leaf_first_last(rng: random.Random) -> dict[str, Any]:
    op = rng.choice(["within", "longer_ago", "before", "after"])
    given = (
        {"days": rng.choice([1, 2, 3])} if op in ("within", "longer_ago") else {"day": f"2026-03-0{rng.randint(1, 4)}"}
    )
    return {
        "event": rng.choice(EVENTS), "which": rng.choice(["first", "last"]), "op": op, "where": random_where(rng), **given
    }  # fmt: skip


def leaf_event_measure(rng: random.Random) -> dict[str, Any]:
    measure = rng.choice(["sum", "avg", "min", "max", "distinct"])
    asked: dict[str, Any] = {"property": rng.choice(["price", "kind"])}
    if measure != "distinct" and rng.random() < 0.4:
        asked = {}
    return {
        "event": rng.choice(EVENTS), "measure": measure, "op": rng.choice(OPS), "where": random_where(rng),
        "number": rng.choice([0, 1, 2, 0.3, 2.5, 100, -30]), **asked, **maybe_days(rng),
    }  # fmt: skip


def leaf_order_measure(rng: random.Random) -> dict[str, Any]:
    field = rng.choice(["net", "net", "coupon", "currency"])
    measure = rng.choice(["sum", "avg", "min", "max"]) if field == "net" else "distinct"
    number = rng.choice([-50, 0, 100, 175]) if field == "net" else rng.randint(0, 2)
    return {"measure": measure, "field": field, "op": rng.choice(OPS), "number": number, **maybe_days(rng)}


def leaf_sequence(rng: random.Random) -> dict[str, Any]:
    within = rng.choice([{}, {"within_days": rng.choice([0.5, 1, 3])}])
    return {
        "first": rng.choice(EVENTS), "then": rng.choice(EVENTS), "first_where": random_where(rng),
        "then_where": rng.choice([{}, {}, {"kind": "x"}]), **within, **maybe_days(rng),
    }  # fmt: skip


def leaf_not_followed(rng: random.Random) -> dict[str, Any]:
    within = rng.choice([{}, {"within_days": rng.choice([0.25, 1, 2])}])
    days = rng.choice([{}, {"days": rng.choice([3, 7])}])
    return {
        "event": rng.choice(EVENTS), "then": rng.choice(EVENTS), "event_where": rng.choice([{}, {}, {"kind": "x"}]),
        "then_where": random_where(rng), **within, **days,
    }  # fmt: skip


LEAVES: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "event_count": leaf_event,
    "event_first_last": leaf_first_last,
    "event_measure": leaf_event_measure,
    "order_measure": leaf_order_measure,
    "event_sequence": leaf_sequence,
    "event_not_followed": leaf_not_followed,
}
