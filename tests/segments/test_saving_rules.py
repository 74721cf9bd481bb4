"""Two people save at one moment: a circle that only both close is refused, and nobody overwrites what he has not seen."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.test import Client
from django.urls import reverse

from segments.models import Segment
from segments.rules import order
from segments.rules.order import hold_rules, in_order, read_by
from tests.api.callers import a_program

pytestmark = pytest.mark.django_db(transaction=True)


def reads(key: str) -> dict[str, Any]:
    return {"op": "in_segment", "params": {"segment": key}}


def by_program(key: str, rule: Any) -> Callable[[], bool]:
    program = a_program("segments:write")
    return lambda: bool(program.post(f"/api/segments/{key}/save", {"name": key, "rule": rule}).status_code == 200)


def by_hand(key: str, rule: Any) -> Callable[[], bool]:
    client = Client()
    client.force_login(User.objects.create_superuser(f"root-{key}"))
    row = Segment.objects.get(key=key)
    form = {"name": key, "description": "", "name_zh": "", "rule": json.dumps(rule), "seen": row.rule_number}
    where = reverse("admin:segments_segment_change", args=[row.pk])
    return lambda: bool(client.post(where, form).status_code == 302)


def at_once(*jobs: Callable[[], bool]) -> list[bool]:
    """Do all in threads with connections of their own."""
    done: list[bool] = []

    def work(job: Callable[[], bool]) -> None:
        try:
            done.append(job())
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(done)


@pytest.mark.parametrize("doors", [(by_program, by_program), (by_program, by_hand), (by_hand, by_hand)])
def test_two_saves_that_close_a_circle_only_together(doors: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has proven a rule waits until the other has, too, or surely cannot: so both would pass the check."""
    for key in ("a", "b"):
        Segment.objects.create(key=key, name=key, rule={"all": []})
    both, real = threading.Barrier(2), order.find_circle

    def find_circle(*given: Any) -> list[str]:
        found = real(*given)
        with suppress(threading.BrokenBarrierError):
            both.wait(1)
        return found

    jobs = [door(key, reads(other)) for door, key, other in zip(doors, "ab", "ba", strict=True)]
    monkeypatch.setattr(order, "find_circle", find_circle)
    assert at_once(*jobs) == [False, True]
    rules = {row.key: row.rule for row in Segment.objects.all()}
    assert {"all": []} in rules.values()
    assert len(in_order(read_by(rules.items()))) == 2
    assert sum("op" in rule for rule in rules.values()) == 1


def test_rules_are_held_in_a_transaction_only() -> None:
    with pytest.raises(TransactionManagementError):
        hold_rules()
    with transaction.atomic():
        hold_rules()


def test_of_two_programs_that_read_the_same_one_saves_and_the_other_is_told() -> None:
    program = a_program("segments:read", "segments:write")
    made = program.post("/api/segments/cn/save", {"name": "China", "rule": {"all": []}}, If_None_Match="*")
    tag = made["ETag"]
    assert tag == f'"{made.json()["version"]}"' == program.get("/api/segments/cn")["ETag"]
    jobs = [
        lambda name=name: bool(
            a_program("segments:write")
            .post("/api/segments/cn/save", {"name": name, "rule": {"all": []}}, If_Match=tag)
            .status_code
            == 200
        )
        for name in ("One", "Two")
    ]
    assert at_once(*jobs) == [False, True]
    assert Segment.objects.get().name in ("One", "Two")
