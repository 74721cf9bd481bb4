"""Letting people in by program: by either id, with the variables that the trigger needs, and several runs by key."""

from __future__ import annotations

import uuid

import pytest

from campaigns.models import Enrolment
from tests.api.callers import a_program, codes
from tests.campaigns.flows import DONE, flow, live, node
from tests.people import make_profile

pytestmark = pytest.mark.django_db
WHERE = "/api/journeys/welcome/enrol"


def ready(**entry: object) -> None:
    trigger = {"type": "api", "params": {"needs": ["gift"], "key": "order"}}
    live({**flow({"w": node("wait", for_="1d"), "done": DONE}, entry=entry), "trigger": trigger})


def test_by_public_id_with_variables_and_one_run_for_each_key() -> None:
    ready(reentry="keyed")
    mei = make_profile(user_id="mei")
    program, said = a_program("journeys:enrol"), []
    for n, order in enumerate(("a", "b", "a")):
        people = [{"public_id": str(mei.public_id), "variables": {"gift": "tea", "order": order}}]
        (one,) = program.post(WHERE, {"people": people}, Idempotency_Key=f"k{n}").json()["results"]
        said.append((one["public_id"], one["status"], one["reason"]))
    public = str(mei.public_id)
    assert said == [(public, "enrolled", ""), (public, "enrolled", ""), (public, "refused", "under_way")]
    assert set(Enrolment.objects.filter(state="active").values_list("run_key", flat=True)) == {"a", "b"}


def test_whoever_lacks_a_variable_or_is_nobody_is_told_and_the_others_enter() -> None:
    ready()
    make_profile(user_id="mei")
    make_profile(user_id="bo")
    people = [
        {"user_id": "mei", "variables": {"gift": "tea"}},
        {"user_id": "bo", "variables": {"gift": "tea", "order": "1"}},
        {"public_id": str(uuid.UUID(int=1)), "variables": {"gift": "tea", "order": "1"}},
    ]
    results = a_program("journeys:enrol").post(WHERE, {"people": people}, Idempotency_Key="k").json()["results"]
    assert [(one["status"], one["reason"]) for one in results] == [
        ("refused", "needs:order"), ("enrolled", ""), ("unknown", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("person", [{}, {"user_id": "a", "public_id": str(uuid.UUID(int=1))}, {"public_id": "no"}])
def test_a_person_is_named_once(person: dict[str, str]) -> None:
    ready()
    answer = a_program("journeys:enrol").post(WHERE, {"people": [person]}, Idempotency_Key="k")
    assert answer.status_code == 400
    assert codes(answer)[0][1].startswith("people.0")
