"""A host's own users and purchases as a source: what is new, once, from where it stood, and nothing on a dry run."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connection

from common.faults import install
from common.params import Invalid
from segments.hosts.mapping import HostModel
from segments.hosts.sync import Changed, Overtaken, sync
from segments.models import Event, Identity, ModelSync, Order, Profile, RejectedRow, Source
from tests.people import NOW

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)
USERS: dict[str, Any] = {
    "model": "auth.User",
    "kind": "profiles",
    "source": "shop",
    "updated": "date_joined",
    "where": {"is_active": True},
    "fields": {
        "user_id": "pk", "email": "email", "firstName": "first_name", "createdAt": "date_joined",
        "handle": "@{username}", "staff": "is_staff",
    },
}  # fmt: skip
ORDERS: dict[str, Any] = {  # the host's log stands for a table of purchases with a buyer, an id and an amount
    "model": "admin.LogEntry",
    "kind": "orders",
    "updated": "action_time",
    "fields": {
        "user_id": "user_id", "order_id": "object_id", "total": "change_message", "placed_at": "action_time",
        "currency": ":USD", "properties.shop": "object_repr",
    },
}  # fmt: skip


def user(n: int, **fields: Any) -> User:
    said = {"email": f"u{n}@example.com", "first_name": f"N{n}", "date_joined": NOW - 9 * HOUR + timedelta(minutes=n)}
    return User.objects.create(username=f"u{n}", **{**said, **fields})


def bought(buyer: User, order: str, total: str, at: Any = NOW - HOUR) -> None:
    kind = ContentType.objects.get_for_model(User)
    LogEntry.objects.create(
        user=buyer, content_type=kind, object_id=order, object_repr="north", action_flag=1, change_message=total
    )
    LogEntry.objects.filter(object_id=order).update(action_time=at)


def run(key: str = "users", said: dict[str, Any] = USERS, **options: Any) -> tuple[int, int, int, int]:
    done = sync(key, HostModel.read(said), **{"now": NOW, **options})
    return done.done, done.stored, done.known, done.rejected


def test_users_become_people_once_and_changes_follow() -> None:
    mei = user(1)
    user(2, is_active=False)
    assert run() == (1, 1, 0, 0)
    profile = Identity.objects.get(kind="user_id", value=str(mei.pk)).profile
    assert (profile.email, profile.first_name, profile.registered_at) == ("u1@example.com", "N1", mei.date_joined)
    assert profile.traits == {"handle": "@u1", "staff": False}
    assert run() == (0, 0, 0, 0)
    for name in ("Anna", "N1"):
        User.objects.filter(pk=mei.pk).update(first_name=name, date_joined=mei.date_joined + HOUR)
        mei.refresh_from_db()
        assert run() == (1, 1, 0, 0)
        profile.refresh_from_db()
        assert profile.first_name == name
    assert not Event.objects.filter(live=True).exists()
    assert Source.objects.get(key="shop").last_seen_at == NOW


def test_orders_come_with_their_buyers_and_money() -> None:
    mei = user(1)
    bought(mei, "o1", "12.50")
    bought(mei, "o2", "free")
    assert run("orders", ORDERS) == (2, 1, 0, 1)
    order = Order.objects.get()
    assert (order.order_id, order.total, order.currency, order.placed_at) == ("o1", 1250, "USD", NOW - HOUR)
    assert order.profile.identities.get().value == str(mei.pk)
    assert Event.objects.get(name="Order Completed").properties["shop"] == "north"
    row = RejectedRow.objects.get()
    assert (row.source.key, json.loads(row.payload)["properties"]["order_id"]) == ("orders", "o2")
    assert run("orders", ORDERS, again=True) == (2, 0, 1, 1)
    assert Order.objects.count() == 1


def test_pages_of_rows_with_the_same_time_are_all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segments.hosts.sync.PIECE", 3)
    for n in range(10):
        user(n, date_joined=NOW - HOUR)
    assert run(limit=4) == (4, 4, 0, 0)
    assert run() == (6, 6, 0, 0)
    assert Profile.objects.count() == 10
    row = ModelSync.objects.get()
    assert (row.rows_done, row.rows_stored, row.last_pk) == (10, 10, str(User.objects.latest("pk").pk))


def test_the_newest_minute_waits_for_open_transactions() -> None:
    user(1, date_joined=NOW - timedelta(seconds=30))
    assert run() == (0, 0, 0, 0)
    assert run(now=NOW + timedelta(seconds=31)) == (1, 1, 0, 0)


def test_without_a_time_only_new_rows_are_seen() -> None:
    said = {name: value for name, value in USERS.items() if name != "updated"}
    user(1)
    assert run(said=said) == (1, 1, 0, 0)
    user(2, date_joined=NOW)
    assert run(said=said) == (1, 1, 0, 0)


def test_a_dry_run_stores_nothing_at_all() -> None:
    mei = user(1)
    bought(mei, "o1", "free")

    def held() -> dict[str, int]:
        return {model._meta.label: model._default_manager.count() for model in apps.get_models()}

    before = held()
    assert run(dry_run=True) == (1, 1, 0, 0)
    assert run("orders", ORDERS, dry_run=True) == (1, 0, 0, 1)
    assert held() == before
    assert run() == (1, 1, 0, 0)


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_fall_costs_nothing(nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segments.hosts.sync.PIECE", 2)
    for n in range(6):
        user(n)
    seen = 0

    def fall(name: str) -> None:
        nonlocal seen
        seen += name == "sync.before_commit"
        if seen == nth:
            raise InterruptedError(name)

    install(fall)
    try:
        with pytest.raises(InterruptedError):
            run()
    finally:
        install(None)
    assert Profile.objects.count() == ModelSync.objects.get().rows_done == (nth - 1) * 2
    assert run() == (6 - (nth - 1) * 2, 6 - (nth - 1) * 2, 0, 0)
    assert Event.objects.count() == 6


def test_two_runs_at_once_do_not_pass_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segments.hosts.sync.PIECE", 1)
    for n in range(3):
        user(n)

    def the_other_run(done: Any) -> None:
        monkeypatch.setattr("segments.hosts.sync.PIECE", 1000)
        if done.done == 1:
            assert run() == (2, 2, 0, 0)
            monkeypatch.setattr("segments.hosts.sync.PIECE", 1)

    stale = HostModel.read(USERS)
    with pytest.raises(Overtaken):
        sync("users", stale, now=NOW, tell=the_other_run)
    assert Event.objects.count() == 3
    assert ModelSync.objects.get().rows_done == 3


def test_a_changed_mapping_is_read_again_on_purpose_only() -> None:
    user(1)
    run()
    other = {**USERS, "fields": {**USERS["fields"], "lastName": "last_name"}}
    with pytest.raises(Changed):
        run(said=other)
    assert run(said={**USERS, "live": True}) == (0, 0, 0, 0)
    assert run(said=other, again=True) == (1, 0, 1, 0)


def test_facts_start_something_only_when_said_so() -> None:
    mei = user(1)
    bought(mei, "o1", "1", at=NOW - 3 * HOUR)
    bought(mei, "o2", "1", at=NOW - HOUR)
    run("orders", {**ORDERS, "live_since": (NOW - 2 * HOUR).isoformat()})
    assert dict(Event.objects.values_list("key", "live")) == {"order:o1": False, "order:o2": True}


def test_everything_wrong_with_a_mapping_is_told() -> None:
    with pytest.raises(Invalid) as told:
        HostModel.read({"kind": 3, "fields": {}, "updatd": "x"})
    assert {problem.path for problem in told.value.problems} == {"updatd", "model", "kind"}
    with pytest.raises(Invalid, match="no model"):
        HostModel.read({**USERS, "model": "auth.Nobody"})
    with pytest.raises(Invalid) as told:
        HostModel.read({**USERS, "fields": {"email": "mail", "x": "pk"}, "where": {"nope": 1}, "zone": "Mars"})
    said = " ".join(str(problem) for problem in told.value.problems)
    assert "no field 'mail'" in said
    assert "Mars" in said
    assert "nope" in said
    with pytest.raises(Invalid, match="date or a time"):
        HostModel.read({**USERS, "updated": "username"})


def test_the_command_reads_toml_json_and_the_settings(tmp_path: Path, settings: Any) -> None:
    user(1)
    toml = tmp_path / "hosts.toml"
    toml.write_text(
        '[users]\nmodel = "auth.User"\nkind = "profiles"\nupdated = "date_joined"\n'
        '[users.fields]\nuser_id = "pk"\nemail = "email"\n'
    )
    out = io.StringIO()
    call_command("sync_model", "users", "--file", str(toml), "--dry-run", stdout=out)
    call_command("sync_model", "--file", str(toml), stdout=out)
    assert out.getvalue().splitlines() == [
        "users: 1 rows read, 1 would be stored, 0 already known, 0 rejected",
        "users: 1 rows read, 1 stored, 0 already known, 0 rejected",
    ]
    plain = tmp_path / "hosts.json"
    plain.write_text(json.dumps({"people": USERS}))
    call_command("sync_model", "people", "--file", str(plain), stdout=out)
    settings.MODEL_SYNCS = {"own": {**USERS, "source": "own"}}
    call_command("sync_model", stdout=out)
    assert set(ModelSync.objects.values_list("key", flat=True)) == {"users", "people", "own"}
    for wrong in (["nobody", "--file", str(toml)], ["--file", str(tmp_path / "none.toml")]):
        with pytest.raises(CommandError):
            call_command("sync_model", *wrong)


def test_the_hosts_own_tables_are_only_read() -> None:
    mei = user(1)
    bought(mei, "o1", "1")
    before = list(User.objects.values()), list(LogEntry.objects.values())
    asked: list[str] = []

    def listen(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        run()
        run("orders", ORDERS)
    assert (list(User.objects.values()), list(LogEntry.objects.values())) == before
    ours = [sql for sql in asked if "auth_user" in sql or "django_admin_log" in sql]
    assert ours
    assert all(sql.startswith("SELECT") for sql in ours)


def test_a_process_killed_for_real_goes_on_where_it_stood(tmp_path: Path) -> None:
    """kill -9 of the command itself once it has stored something, then the same command again."""
    name = str(connection.settings_dict["NAME"])
    assert "mode=memory" not in name, "another process must open this database"
    at = NOW - 9 * HOUR
    User.objects.bulk_create(
        User(username=f"u{n}", email=f"u{n}@example.com", first_name="N", date_joined=at) for n in range(8_000)
    )
    file = tmp_path / "hosts.json"
    file.write_text(json.dumps({"users": USERS}))
    url = os.environ.get("DATABASE_URL", "")
    url = f"{url.rpartition('/')[0]}/{name}" if connection.vendor == "postgresql" else f"sqlite:///{name}"
    child = subprocess.Popen(
        [sys.executable, "manage.py", "sync_model", "--file", str(file)],
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
    )
    while child.poll() is None and not ModelSync.objects.filter(rows_done__gt=0).exists():
        time.sleep(0.001)
    child.kill()
    assert child.wait() == -9
    done = ModelSync.objects.get().rows_done
    assert 0 < done < 8_000
    assert run() == (8_000 - done, 8_000 - done, 0, 0)
    assert Profile.objects.count() == Event.objects.count() == ModelSync.objects.get().rows_stored == 8_000
    assert run() == (0, 0, 0, 0)
