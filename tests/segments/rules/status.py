"""The obvious reading of rules about what somebody is and was: names, stages, other segments, missions, points."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.segments.rules.persons import OPS, ZONE, Lot, Moved, Person, compare, in_window, maybe_days, near

LISTS = ["spring", "autumn"]
KINDS = ["user_id", "email", "phone", "anonymous_id"]
STAGES = ["prospect", "newcomer", "growing", "mature", "at_risk", "lapsed"]


def give_status(person: Person, rng: random.Random) -> None:
    """Draw what this page's judges read."""
    person.names = {kind for kind in KINDS if rng.random() < 0.3}
    person.stage_since = near(rng, days=5) if person.stage and rng.random() < 0.8 else None
    person.moves = [
        Moved(rng.choice(["entered", "left"]), rng.choice(["one", "two"]), near(rng))
        for _ in range(rng.choice([0, 0, 1, 3]))
    ]
    person.lists = {key for key in LISTS if rng.random() < 0.4}
    person.missions = [near(rng) for _ in range(rng.choice([0, 0, 1, 2]))]
    person.progress = [rng.randint(0, 3) for _ in range(rng.choice([0, 0, 1, 2]))]
    if person.points is not None:
        person.earned = rng.choice([0, 5, 20])
        person.lots = [random_lot(rng) for _ in range(rng.choice([0, 1, 3]))]


def random_lot(rng: random.Random) -> Lot:
    amount = rng.choice([1, 5, 10])
    drawn = [rng.randint(1, amount)] if amount > 1 and rng.random() < 0.5 else []
    return Lot(amount, drawn, rng.choice([None, near(rng)]))


# --- the judges


def today(now: datetime) -> Any:
    return now.astimezone(ZONE).date()


def judge_stage_time(p: Any, person: Person, now: datetime) -> bool:
    if person.stage_since is None or (p["stages"] and person.stage not in p["stages"]):
        return False
    days = (today(now) - today(person.stage_since)).days
    return days >= p["days"] if p["op"] == "at_least" else days < p["days"]


def judge_history(p: Any, person: Person, now: datetime) -> bool:
    how = "entered" if p["how"] == "entered" else "left"
    found = any(
        move.how == how and move.segment == p["segment"] and in_window(move.at, p["days"], now) for move in person.moves
    )
    return found or (p["how"] == "was_in" and p["segment"] in person.groups)


def judge_identity(p: Any, person: Person, now: datetime) -> bool:
    if p["known_by"] == "anonymous_only":
        return person.names <= {"anonymous_id"}
    return p["known_by"] in person.names


def judge_mission(p: Any, person: Person, now: datetime) -> bool:
    if p["how"] == "completed":
        return any(in_window(at, p.get("days"), now) for at in person.missions)
    return compare(p["op"], max(person.progress, default=0), p["count"])


def judge_wallet(p: Any, person: Person, now: datetime) -> bool:
    if p["what"] == "earned":
        return compare(p["op"], person.earned, p["points"])
    last = today(now) + timedelta(days=p["days"])
    left = sum(lot.amount - sum(lot.drawn) for lot in person.lots if lot.ends and today(lot.ends) <= last)
    return compare(p["op"], left, p["points"])


JUDGES: dict[str, Callable[[Any, Person, datetime], bool]] = {
    "stage_time": judge_stage_time,
    "segment_history": judge_history,
    "identity": judge_identity,
    "mission": judge_mission,
    "wallet": judge_wallet,
    "in_list": lambda p, who, now: p["list"] in who.lists,
}


# --- random rules


def leaf_stage_time(rng: random.Random) -> dict[str, Any]:
    op = rng.choice(["at_least", "less_than"])
    return {"stages": rng.sample(STAGES, rng.randint(0, 3)), "op": op, "days": rng.choice([1, 2, 3])}


def leaf_history(rng: random.Random) -> dict[str, Any]:
    how = rng.choice(["entered", "left", "was_in"])
    return {"segment": rng.choice(["one", "two"]), "how": how, "days": rng.choice([0.5, 1, 3])}


def leaf_mission(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.5:
        return {"mission": "task", "how": "completed", **maybe_days(rng)}
    return {"mission": "task", "how": "progress", "op": rng.choice(OPS), "count": rng.randint(0, 3)}


def leaf_wallet(rng: random.Random) -> dict[str, Any]:
    points = rng.choice([0, 1, 5, 10])
    more = rng.choice([{"what": "earned"}, {"what": "expiring", "days": rng.choice([0, 1, 3])}])
    return {"op": rng.choice(OPS), "points": points, **more}


LEAVES: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "stage_time": leaf_stage_time,
    "segment_history": leaf_history,
    "identity": lambda rng: {"known_by": rng.choice([*KINDS, "anonymous_only"])},
    "mission": leaf_mission,
    "wallet": leaf_wallet,
    "in_list": lambda rng: {"list": rng.choice(LISTS)},
}
