"""Make the demo once: data through the product's own import, keys, a sender, recipes. Safe to run again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model

from campaigns.install import install_recipe, read_recipe
from common.models import ApiKey
from config.demo import data
from messaging.consents import read_consents
from messaging.models import Account, Consent, Topic
from segments.health_scores import judge_all
from segments.imports.options import Options
from segments.imports.run import find_unfinished, make_job, run_import
from segments.models import Health, ImportJob, Scores, Source
from segments.scores import score_all

USER, PASSWORD = "admin", "admin"
SMTP_PORT = 2525
SOURCES = {
    "history": ("Shop history", "商店历史", Source.Kind.IMPORT),
    "shop-server": ("Shop server", "商店服务器", Source.Kind.HTTP),
    "shop-web": ("Shop website", "商店网站", Source.Kind.HTTP),
}
RECIPES = {"new-user-gift": False, "growth-tasks": False, "vip-perks": True, "churn-winback": True}
PEOPLE = ["user_id", "email", "first_name", "last_name", "locale", "timezone", "country", "city", "registered_at"]
SIGNUPS = {
    "user_id": "user_id",
    "event": "event",
    "timestamp": "timestamp",
    "message_id": "message_id",
    "properties.topic": "topic",
}
ORDERS = {
    "user_id": "household-{household_id}",
    "order_id": "basket-{basket_id}",
    "placed_at": "transaction_timestamp",
    "total": "sales_value",
    "currency": ":USD",
    "product_id": "product_id",
    "quantity": "quantity",
    "price": "sales_value",
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Demo:
    """What the visitor needs to know."""

    write_key: str
    people: int
    orders: int


class Steps:
    """Says what is being done and how long it took."""

    def __init__(self, say: Say) -> None:
        self.say = say

    def __call__(self, what: str, work: Callable[[], Any]) -> Any:
        started = time.monotonic()
        result = work()
        self.say(f"  {what} ({time.monotonic() - started:.1f} s)")
        return result


def folder() -> Path:
    return Path(settings.VAR) / "demo"


def set_up(*, now: datetime, say: Say, smtp_port: int = SMTP_PORT) -> Demo:
    """Everything the demo needs, each thing only if it is missing; about two minutes the first time."""
    step = Steps(say)
    user = make_admin()
    sources = make_sources()
    write_key = make_key(sources["shop-server"], now=now)
    make_account(smtp_port)
    if not is_imported():
        import_all(sources["history"], now=now, step=step)
    if not Consent.objects.exists():
        make_topics()
        step("recording who agreed to offers", partial(hear_consents, now))
    if not Scores.objects.exists():
        step("scoring everybody", partial(score_all, now))
    if not Health.objects.exists():
        step("judging everybody's health", partial(judge_all, now))
    for key, enter in RECIPES.items():
        step(f"recipe {key}", partial(install_recipe, key, now=now, by=user, enter_present=enter))
    return Demo(write_key, *counts())


def make_admin() -> Any:
    """The demo's own superuser; one that exists is left as it is."""
    model: Any = get_user_model()
    user = model.objects.filter(username=USER).first()
    return user or model.objects.create_superuser(USER, "admin@example.com", PASSWORD)


def make_sources() -> dict[str, Source]:
    """Where the demo's facts come from."""
    made = {}
    for key, (name, name_zh, kind) in SOURCES.items():
        fields = {"name": name, "name_zh": name_zh, "kind": kind}
        made[key], _ = Source.objects.get_or_create(key=key, defaults=fields)
    return made


def make_key(source: Source, *, now: datetime) -> str:
    """A write key of the server source; its secret is kept beside the demo's data, which hold nothing real."""
    file = folder() / "write-key.json"
    if file.exists():
        secret = str(json.loads(file.read_text())["write_key"])
        if any(row.is_usable(now) for row in ApiKey.objects.filter(prefix=secret[:11])):
            return secret
    _, secret = ApiKey.issue("Demo shop", ["ingest"], now=now, subject=f"source:{source.key}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"write_key": secret}))
    file.chmod(0o600)
    return secret


def make_account(smtp_port: int) -> Account:
    """The sender: the local mailbox. Becomes the default only if there is none yet."""
    fields = {
        "name": "Local mailbox",
        "name_zh": "本地邮箱",
        "channel": "email",
        "transport": "smtp",
        "settings": {"host": "127.0.0.1", "port": smtp_port},
        "sender": "Perennial Shop <shop@example.com>",
        "reply_to": "help@example.com",
        "is_default": not Account.objects.filter(channel="email", is_default=True).exists(),
    }
    account, _ = Account.objects.get_or_create(key="demo-mailbox", defaults=fields)
    if account.settings.get("port") != smtp_port:
        account.settings = {**account.settings, "port": smtp_port}
        account.save(update_fields=["settings"])
    return account


def make_topics() -> None:
    """The recipes' topics, before anybody's consent to them is heard: a topic nobody knows says nothing."""
    for key in RECIPES:
        for topic in read_recipe(key).get("topics", []):
            Topic.objects.get_or_create(key=topic["key"], defaults=topic)


def is_imported() -> bool:
    """Whether the last file of the import went through."""
    jobs = ImportJob.objects.filter(source__key="history", kind="orders", dry_run=False)
    return jobs.filter(state=ImportJob.State.DONE).exists()


def import_all(source: Source, *, now: datetime, step: Steps) -> None:
    """People first, then what they did; the last 14 days as live facts. An interrupted import goes on."""
    year = step("reading the year", data.read_year)
    move = move_of_before(source) or data.plan_move(year.last, now=now)
    people, signups = folder() / "people.parquet", folder() / "signups.parquet"
    if not signups.exists():
        data.write_people(people, year, move)
        data.write_signups(signups, year, move)
    traits = {name: name for name in (*PEOPLE, *data.TRAITS)}
    live = Options(SIGNUPS, live_since=move.live_since)
    step("importing people", lambda: import_file(people, "profiles", source, Options(traits), now=now))
    step("importing sign-ups", lambda: import_file(signups, "events", source, live, now=now))
    orders = Options(
        ORDERS,
        group_by="basket_id",
        shift_days=move.shift_days,
        zone=data.STORE_ZONE.key,
        live_since=move.live_since,
    )
    file = data.data_file("transactions")
    step("importing 1.47 M lines of orders", lambda: import_file(file, "orders", source, orders, now=now))


def move_of_before(source: Source) -> data.Move | None:
    """The move that an interrupted import of orders had begun with; to go on, it must stay the same."""
    job = ImportJob.objects.filter(source=source, kind="orders", dry_run=False).order_by("-pk").first()
    if job is None:
        return None
    options = Options.of_job(job)
    return data.Move(options.shift_days, options.live_since) if options.live_since else None


def import_file(path: Path, kind: str, source: Source, options: Options, *, now: datetime) -> ImportJob:
    """One file through the ordinary import; goes on where an earlier run was interrupted."""
    job = find_unfinished(path, kind, source, options) or make_job(path, kind, source, options, historical=True)
    done = run_import(job, now=now)
    if done.rows_rejected:
        raise RuntimeError(f"{path.name}: {done.rows_rejected} rows were refused: {done.report}")
    return done


def hear_consents(now: datetime) -> int:
    """Let the reader of consents take in all that was imported; how many statements."""
    total = 0
    while heard := read_consents(now):
        total += heard
    return total


def counts() -> tuple[int, int]:
    from segments.models import Order, Profile

    return Profile.objects.count(), Order.objects.count()
