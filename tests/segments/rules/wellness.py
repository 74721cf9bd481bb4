"""The obvious reading of rules about health, and random ones of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

from segments.models import Health, Profile
from tests.segments.rules.persons import BASE, Person

SCORES = [0.0, 20.0, 39.9, 40.0, 40.1, 69.999, 70.0, 100.0]
TRENDS = [None, -20.0, -15.0, -14.9, 0.0, 5.0, 30.0]
BANDS = ["healthy", "watch", "at_risk"]


def give_health(person: Person, rng: random.Random) -> None:
    """Draw what this page's judges read."""
    if rng.random() < 0.7:
        person.health = random_health(rng)


def random_health(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.3:
        return {"band": "", "score": None, "trend": None}
    return {"band": rng.choice(BANDS), "score": rng.choice(SCORES), "trend": rng.choice(TRENDS)}


def store_health(row: Profile, person: Person) -> None:
    if person.health is not None:
        Health.objects.create(profile=row, computed_at=BASE, since=BASE, **person.health)


def judge_health(p: Any, person: Person, now: datetime) -> bool:
    found = person.health or {"band": "", "score": None}
    if p.get("bands") and (found["band"] or "unknown") not in p["bands"]:
        return False
    low, high = p.get("at_least"), p.get("at_most")
    if low is None and high is None:
        return True
    score = found["score"]
    return score is not None and (low is None or score >= low) and (high is None or score <= high)


def judge_trend(p: Any, person: Person, now: datetime) -> bool:
    trend = (person.health or {}).get("trend")
    if trend is None:
        return False
    return bool(trend <= -p["points"] if p["way"] == "fallen" else trend >= p["points"])


JUDGES: dict[str, Callable[[Any, Person, datetime], bool]] = {"health": judge_health, "health_trend": judge_trend}


def leaf_health(rng: random.Random) -> dict[str, Any]:
    bands = rng.sample([*BANDS, "unknown"], rng.randint(1, 3))
    bounds: dict[str, Any] = rng.choice([{"at_least": 40}, {"at_most": 40}, {"at_least": 20, "at_most": 70}])
    return rng.choice([{"bands": bands}, bounds, {"bands": bands, **bounds}])


LEAVES: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "health": leaf_health,
    "health_trend": lambda rng: {"way": rng.choice(["fallen", "risen"]), "points": rng.choice([5, 15, 20])},
}
