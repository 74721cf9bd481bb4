"""The store of one back-test: a file with the tables of an installation, what is set up, and a sample of its people.

What an operator sets up is copied as it is now; of people what they are now, not what they did: that comes by ingest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models import ForeignKey, Model, QuerySet

from campaigns.models import Assignment, Journey
from campaigns.rehearsal.asked import Asked
from campaigns.rehearsal.looks import SHARD
from messaging.models import Account, Address, BestHour, Device, Feed, FeedValue, Preference, Suppression
from messaging.permission import digest
from segments.models import (
    Award,
    Coupon,
    CouponPool,
    Identity,
    PointDraw,
    PointEntry,
    Profile,
    Segment,
    Source,
    Wallet,
)
from segments.models.groups import ListMember

LIVE = "live"
PAGE = 500
CODES = 20_000  # of a pool, at most
SOURCE = "rehearsal"
NAMES = "rehearsal:"  # the id under which a sampled person's facts are told
OURS = ("segments", "messaging", "campaigns")
# What is set up nowhere, but happened: runs, files, pauses, edges of scores, questions to a model.
HAPPENED = frozenset(
    {"importjob", "segmentrun", "cursor", "modelsync", "rfmedges", "pause", "reconciliation", "copyrequest",
     "copydraft", "suppression", "rehearsal", "feedvalue", "voice"}
)  # fmt: skip
CLOSED: Mapping[str, Any] = {
    "errors": 0, "open_until": None, "rests_until": None, "pace": 1.0, "rate": None, "daily": None,
    "ramp_from": None, "tokens_at": None, "day": None, "day_count": 0,
}  # fmt: skip


def folder() -> Path:
    """Where scratch stores lie, for nobody else to read."""
    found = Path(settings.VAR) / "rehearsals"
    found.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def store_of(pk: int) -> Path:
    return folder() / f"{pk}.sqlite3"


def drop(pk: int) -> None:
    """Remove a store, and what was left of it half-made."""
    remove(store_of(pk))


def remove(store: Path) -> None:
    """Remove a store by its path, with the files that the database keeps beside it."""
    for path in store.parent.glob(f"{store.name}*"):
        path.unlink(missing_ok=True)


def open_store(path: Path, migrate: Callable[[], object]) -> None:
    """Make the current database a store with empty tables: a copy of one that was migrated before, or by `migrate`."""
    empty = path.parent / f"empty-{_migrations()}.sqlite3"
    connection.close()
    path.unlink(missing_ok=True)
    if empty.exists():
        shutil.copyfile(empty, path)
        path.chmod(0o600)
        return
    migrate()
    connection.close()
    path.chmod(0o600)
    made = path.with_name(f"{empty.name}.{os.getpid()}")
    shutil.copyfile(path, made)
    made.replace(empty)


def _migrations() -> str:
    names = sorted(map(str, MigrationLoader(None).disk_migrations))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def fill(asked: Asked) -> list[int]:
    """Copy what is set up and the sample into the empty store; returns the people's ids, in the sample's order."""
    with connection.constraint_checks_disabled(), transaction.atomic():
        for model in set_up_models():
            copy(model, model._default_manager.all())
        people = sample(asked.people) if asked.person is None else [asked.person]
        for model, rows in _of_people(people):
            copy(model, rows)
        Profile.objects.update(shard=SHARD)
        _copy_codes()
        _name(people, asked.since)
        _prepare(asked)
    connection.check_constraints()
    return people


def sample(most: int) -> list[int]:
    """The people of a back-test: those of the lowest random buckets, the same each time while they stay."""
    known = Profile.objects.using(LIVE).filter(merged_into=None, erased_at=None)
    return list(known.order_by("bucket", "id").values_list("pk", flat=True)[:most])


def population() -> int:
    """Of how many people a sample is drawn."""
    return Profile.objects.using(LIVE).filter(merged_into=None, erased_at=None).count()


def set_up_models() -> list[type[Model]]:
    """The models that hold what an operator set up: no row of theirs hangs on a person."""
    models = [model for app in OURS for model in apps.get_app_config(app).get_models()]
    return [one for one in models if not hangs_on_people(one)]


def hangs_on_people(model: type[Model]) -> bool:
    """Whether a chain of foreign keys leads from this model to a person, or to something that happened."""
    known: set[type[Model]] = set()
    ahead = [model]
    while ahead:
        one = ahead.pop()
        if one is Profile or str(one._meta.model_name) in HAPPENED:
            return True
        known.add(one)
        ahead += [key for key in _keys(one) if key not in known]
    return False


def _keys(model: type[Model]) -> list[Any]:
    keys: list[Any] = [one.related_model for one in model._meta.concrete_fields if isinstance(one, ForeignKey)]
    return [key for key in keys if key._meta.app_label in OURS]


def copy(model: type[Model], rows: QuerySet[Any]) -> None:
    """Copy rows of the installation, with their ids; who did it is left behind."""
    users = [
        field.attname for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey) and field.related_model is get_user_model()
    ]  # fmt: skip
    for page in _pages(rows.using(LIVE).order_by("pk").iterator(PAGE)):
        for row in page:
            row._state.db = "default"
            for name in users:
                setattr(row, name, None)
        model._default_manager.bulk_create(page, batch_size=PAGE)


def _pages(rows: Iterable[Any]) -> Iterable[list[Any]]:
    page: list[Any] = []
    for row in rows:
        page.append(row)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def _of_people(people: list[int]) -> list[tuple[type[Model], QuerySet[Any]]]:
    """What the sample's people are and have; none of what was done with them."""
    addresses = Address.objects.filter(profile__in=people)
    digests = [digest(*one) for one in addresses.using(LIVE).values_list("channel", "value")]
    entries = PointEntry.objects.filter(wallet__in=people)
    return [
        (Profile, Profile.objects.filter(pk__in=people)),
        (Identity, Identity.objects.filter(profile__in=people)),
        (Address, addresses),
        (Device, Device.objects.filter(address__profile__in=people)),
        (Suppression, Suppression.objects.filter(digest__in=digests)),
        (Preference, Preference.objects.filter(profile__in=people)),
        (BestHour, BestHour.objects.filter(profile__in=people)),
        (ListMember, ListMember.objects.filter(profile__in=people)),
        (Wallet, Wallet.objects.filter(profile__in=people)),
        (PointEntry, entries),
        (PointDraw, PointDraw.objects.filter(entry__in=entries)),
        (Award, Award.objects.filter(profile__in=people)),
        (Assignment, Assignment.objects.filter(profile__in=people)),
    ]


def _copy_codes() -> None:
    for pool in CouponPool.objects.filter(endless=False):
        free = Coupon.objects.using(LIVE).filter(pool=pool.pk, state=Coupon.State.FREE).order_by("pk")
        copy(Coupon, Coupon.objects.filter(pk__in=list(free.values_list("pk", flat=True)[:CODES])))


def _name(people: list[int], since: datetime) -> None:
    """A name for everybody, whatever names they have, by which their facts are told."""
    rows = [Identity(kind="user_id", value=f"{NAMES}{pk}", profile_id=pk, created_at=since) for pk in people]
    Identity.objects.bulk_create(rows, batch_size=PAGE)
    Source.objects.create(key=SOURCE, name="Back-test", name_zh="回测", kind=Source.Kind.IMPORT)


def _prepare(asked: Asked) -> None:
    """As on the first day: segments unbuilt, accounts well and unlimited, journeys live from the start."""
    Segment.objects.update(
        built_number=0, cursor_tx=0, cursor_position=0, evaluated_at=None, refreshed_at=None, size=0, last_error="",
        fire_on_build=False,
    )  # fmt: skip
    Account.objects.update(**CLOSED)
    Journey.objects.exclude(live_since=None).update(live_since=asked.since)
    Journey.objects.filter(key=asked.journey).update(draft=dict(asked.draft), state=Journey.State.DRAFT)
    last = {row.feed_id: row.value for row in FeedValue.objects.using(LIVE).order_by("pk")}
    for feed in Feed.objects.filter(fallback=None):
        feed.fallback = last.get(feed.pk, {})
        feed.save(update_fields=["fallback"])
