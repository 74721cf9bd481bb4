"""A small shop with people in every state, so that every page of the admin has something to show."""

from __future__ import annotations

import json
import random
import uuid
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.db import transaction

from campaigns.install import install_recipe
from campaigns.models import Conversion, Credit, Enrolment, Journey, Touch, Visit
from common import audit
from common.models import ApiKey, Heartbeat, Parked, Tick
from messaging.devices import register
from messaging.models import (
    Account,
    Attempt,
    BannedWord,
    Block,
    Click,
    CopyDraft,
    CopyRequest,
    Delivery,
    Feed,
    Quarantine,
    Receipt,
    Template,
    TemplateVersion,
    Voice,
)
from messaging.outbox.pauses import pause
from messaging.permission import address_for, give_consent, withdraw
from segments.growth.ledger import earn
from segments.lists import add_people
from segments.merge import merge
from segments.models import (
    Coupon,
    CouponPool,
    EventProperty,
    Identity,
    ImportJob,
    Membership,
    Profile,
    RejectedRow,
    Scores,
    Segment,
    SegmentRun,
    StageChange,
    Trait,
)
from segments.models.groups import StaticList
from segments.rfm import CELL_OF, octant_of
from tests.people import make_fact, make_order, make_profile, make_source

NAMES = [
    ("Mei", "Lin", "zh-Hans", "CN", "Shanghai"), ("Bo", "Chen", "zh-Hans", "CN", "Chengdu"),
    ("Ada", "Reyes", "en", "US", "Austin"), ("Noor", "Haddad", "en", "GB", "Leeds"),
    ("Jonas", "Weber", "en", "DE", "Kiel"), ("Yuki", "Tanaka", "en", "JP", "Osaka"),
    ("Lea", "Martin", "en", "FR", "Lyon"), ("Tom", "Okafor", "en", "NG", "Lagos"),
]  # fmt: skip
STAGES = ["prospect", "newcomer", "growing", "mature", "at_risk", "lapsed"]


@cache
def _hash() -> str:
    """One hash for everybody: hashing is slow on purpose."""
    return make_password("perennial")


def make_users() -> dict[str, User]:
    """One person per role, password "perennial"; and a superuser, root."""
    users = {}
    for role in ("viewer", "author", "approver", "sender", "admin"):
        user, _made = User.objects.get_or_create(username=role, defaults={"is_staff": True})
        user.groups.set([Group.objects.get(name=role)])
        users[role] = user
    users["root"], _made = User.objects.get_or_create(
        username="root", defaults={"is_staff": True, "is_superuser": True}
    )
    users["nobody"], _made = User.objects.get_or_create(username="nobody", defaults={"is_staff": True})
    User.objects.filter(username__in=users).update(password=_hash())
    return users


def make_shop(now: datetime, *, people: int = 48) -> None:
    """People, facts, orders, journeys with walkers, messages in every state, credit, growth, troubles."""
    rng = random.Random(7)
    users = make_users()
    source = make_source(last_seen_at=now - timedelta(minutes=3))
    Account.objects.get_or_create(
        key="smtp",
        defaults={
            "name": "Local mail server",
            "name_zh": "本地邮件服务器",
            "channel": "email",
            "transport": "smtp",
            "sender": "hello@shop.example.com",
            "is_default": True,
            "settings": {"host": "127.0.0.1", "port": 2525},
        },
    )
    for key in ("new-user-gift", "churn-winback", "vip-perks", "growth-tasks"):
        install_recipe(key, now=now - timedelta(days=20), by=users["author"])
    folks = [_person(n, now, rng, source) for n in range(people)]
    with transaction.atomic():
        for n, profile in enumerate(folks):
            _life(n, profile, now, rng)
    _walks(folks, now, rng)
    _operations(folks, now, users, source)


def _person(n: int, now: datetime, rng: random.Random, source: Any) -> Profile:
    first, last, locale, country, city = NAMES[n % len(NAMES)]
    born = now - timedelta(days=rng.randrange(2, 320))
    profile = make_profile(
        email=f"{first.lower()}.{last.lower()}{n}@example.com",
        user_id=f"u-{1000 + n}",
        now=born,
        first_name=first,
        last_name=last,
        locale=locale,
        country=country,
        city=city,
        timezone="Asia/Shanghai" if country == "CN" else "UTC",
        traits={"plan": rng.choice(["free", "plus"]), "newsletter": True, "pets": ["cat"]},
    )
    Profile.objects.filter(pk=profile.pk).update(last_seen_at=now - timedelta(days=n % 30))
    Identity.objects.create(kind="anonymous_id", value=f"anon-{n}", profile=profile, created_at=born)
    make_fact(profile, "Signed Up", at=born, plan="free")
    for _ in range(rng.randrange(1, 5)):
        make_fact(profile, "page", at=now - timedelta(hours=rng.randrange(1, 300)), url="https://shop.example.com/")
    for k in range(n % 4):
        at = now - timedelta(days=rng.randrange(1, 200))
        make_order(profile, f"o-{n}-{k}", total=rng.randrange(900, 24000), at=at, source=source)
    return profile


def _life(n: int, profile: Profile, now: datetime, rng: random.Random) -> None:
    stage = STAGES[(n * 7) % 6]
    r, f, m = 1 + n % 5, 1 + (n + n // 5) % 5, 1 + n * 2 % 5
    Scores.objects.update_or_create(
        profile=profile,
        defaults={
            "stage": stage,
            "stage_since": now - timedelta(days=9),
            "cell": CELL_OF[f"{r}{f}"],
            "r": r,
            "f": f,
            "m": m,
            "octant": octant_of(5 - r, f, m, (2.0, 2.0, 3.0)),
            "orders": f,
            "spent": m * 12900,
            "orders_ever": f,
            "spent_ever": m * 12900,
            "last_order_at": now - timedelta(days=12),
            "computed_at": now,
        },
    )
    StageChange.objects.create(
        profile=profile,
        at=now - timedelta(days=9),
        before=STAGES[(n * 7 - 1) % 6],
        after=stage,
        reason="silent_own:orders=5,silent=64,limit=31.5",
    )
    address = address_for(profile, "email", now)
    assert address
    if n % 5:
        give_consent(address, "offers", now=now - timedelta(days=8), source="checkout", evidence={"ip": "192.0.2.7"})
    else:
        withdraw(address, "*", now=now - timedelta(days=2), source="one-click")
    earn(profile.pk, 50 + n, key=f"welcome:{n}", reason="mission first-order", now=now - timedelta(days=5))


def _walks(folks: list[Profile], now: datetime, rng: random.Random) -> None:
    """Walkers at several nodes of two journeys, with messages in many states."""
    states = ["accepted"] * 9 + ["skipped", "held", "in_doubt", "rejected", "planned", "expired"]
    reasons = {"skipped": "consent", "held": "quiet_hours", "rejected": "550 5.1.1", "expired": "expired"}
    for journey in Journey.objects.filter(key__in=["new-user-gift", "churn-winback"]):
        version = journey.live_version
        assert version
        nodes = list(version.graph["nodes"])
        sends = [key for key, node in version.graph["nodes"].items() if node["type"] == "send"]
        sent = TemplateVersion.objects.filter(channel="email").order_by("pk").first()
        assert sent
        for n, profile in enumerate(folks):
            entered = now - timedelta(days=rng.randrange(0, 13), hours=n % 20)
            ended = n % 3 == 0
            parked = n == 7
            walk = Enrolment.objects.create(
                journey=journey,
                version=version,
                profile=profile,
                entry_key=f"seed:{n}",
                state="completed" if ended else "parked" if parked else "active",
                reason="fact:Signed Up" if not parked else "template welcome has no version",
                ghost=n % 10 == 9,
                arm="control" if n % 10 == 9 else "treated",
                node=nodes[n % len(nodes)],
                visit=2,
                due_at=None if ended else now + timedelta(hours=n + 1),
                entered_at=entered,
                moved_at=entered,
                ended_at=now if ended else None,
                converted_at=now if n % 6 == 0 else None,
                context={"coupon": {"code": f"HELLO{n}"}},
            )
            for k, node in enumerate(nodes[: 1 + n % 3]):
                Visit.objects.create(
                    enrolment=walk, journey=journey, node=node, n=k + 1, entered_at=entered, left_at=now, port="next"
                )
            state = states[n % len(states)]
            message = Delivery.objects.create(
                dedupe_key=f"seed:{journey.pk}:{n}",
                public_id=uuid.uuid4(),
                klass="marketing",
                channel="email",
                topic="offers",
                profile=profile,
                address=profile.addresses.first(),
                version=sent,
                account=Account.objects.get(key="smtp"),
                campaign=journey.campaign.key,
                journey=journey.key,
                enrolment=walk.pk,
                node=sends[0],
                state=state,
                ghost=walk.ghost,
                reason=reasons.get(state, ""),
                planned_at=entered,
                not_before=entered,
                sent_at=entered if state == "accepted" else None,
                settled_at=entered,
                attempts=1,
                opened_at=entered if n % 2 and state == "accepted" else None,
                clicked_at=entered if n % 4 == 1 and state == "accepted" else None,
                reached=0 if state != "accepted" else 4 if n % 4 == 1 else 1,
                utm={"utm_source": "shop", "utm_medium": "email", "utm_campaign": journey.campaign.utm_campaign},
            )
            if state == "accepted":
                _answers(message, entered, n)
            if n % 6 == 0:
                _credit(message, entered, n)


def _answers(message: Delivery, at: datetime, n: int) -> None:
    assert message.account
    Attempt.objects.create(
        delivery=message, n=1, account=message.account, lease_token=uuid.uuid4(), started_at=at, answered_at=at,
        outcome="sent", code="250", provider_ref=f"queued as {n}",
    )  # fmt: skip
    Receipt.objects.create(
        delivery=message, provider="smtp", natural_key=f"r{message.pk}", kind="delivered", at=at, received_at=at
    )
    Click.objects.create(
        delivery=message, kind="open", at=at, machine=n % 2 == 0, why="prefetch", user_agent="Mozilla/5.0"
    )


def _credit(message: Delivery, at: datetime, n: int) -> None:
    touch = Touch.objects.create(
        key=f"seed:{message.pk}", profile=message.profile, at=at, kind="click", channel="email", source="shop",
        medium="email", campaign=message.campaign, content="welcome", delivery=message.pk,
    )  # fmt: skip
    won = Conversion.objects.create(
        key=f"seed:{message.pk}", profile=message.profile, fact=message.pk + 10_000_000, name="Order Completed",
        at=at + timedelta(hours=2), value=4200 + n, currency="USD", order_ref=f"o-{n}", path=[touch.pk], credited_at=at,
    )  # fmt: skip
    for model in ("last", "linear"):
        Credit.objects.create(conversion=won, touch=touch, model=model, weight=1.0, amount=won.value)


def _operations(folks: list[Profile], now: datetime, users: dict[str, User], source: Any) -> None:
    for segment in Segment.objects.all():
        for day in range(14, -1, -1):
            at = now - timedelta(days=day)
            SegmentRun.objects.create(
                segment=segment, mode="changed", state="done", as_of=at, started_at=at,
                finished_at=at + timedelta(milliseconds=140), candidates=30 + day, entered=3, left=1, size=30 - day,
            )  # fmt: skip
        inside = [profile for n, profile in enumerate(folks) if (n + segment.pk) % 3 == 0]
        Membership.objects.bulk_create(
            [Membership(segment=segment, profile=profile, entered_at=now) for profile in inside], ignore_conflicts=True
        )
        Segment.objects.filter(pk=segment.pk).update(
            size=len(inside), evaluated_at=now - timedelta(minutes=1), refreshed_at=now, built_number=1
        )
    regulars, _ = StaticList.objects.get_or_create(key="regulars", defaults={"name": "Regulars", "name_zh": "常客"})
    add_people(regulars, [profile.pk for profile in folks[:5]], now=now)
    pool = CouponPool.objects.filter(endless=False).first() or CouponPool.objects.first()
    assert pool
    Coupon.objects.bulk_create([Coupon(pool=pool, code=f"SEED-{n:04}") for n in range(40)], ignore_conflicts=True)
    Heartbeat.objects.update_or_create(process="worker@shop:1", defaults={"role": "worker", "at": now})
    Tick.objects.get_or_create(
        schedule="send", slot=now, defaults={"started_at": now, "finished_at": now, "result": {"sent": 12}}
    )
    Parked.objects.get_or_create(
        reader="touches", subject="event:42", defaults={"at": now, "reason": "ValueError: no such link", "tries": 3}
    )
    device = register(folks[0], "push", "token-of-mei", keys={}, label="Pixel 9", now=now)
    assert device.pk
    flood = Quarantine.objects.create(provider="mail", kind="hard", words=212, messages=480, opened_at=now)
    row = Delivery.objects.filter(state="accepted", ghost=False)[0]
    Receipt.objects.create(
        provider="mail", natural_key="flood-1", kind="hard", at=now, received_at=now, delivery=row, held=True,
        quarantine=flood, raw={"ref": str(row.public_id), "said": {}},
    )  # fmt: skip
    Trait.objects.get_or_create(
        key="plan",
        defaults={"type": "string", "first_seen_at": now, "last_seen_at": now, "examples": ["free", "plus"]},
    )
    words = {"en": {"html": "<p>{{ brand.address }}</p>"}, "zh-Hans": {"html": "<p>{{ brand.address }}</p>"}}
    Block.objects.get_or_create(key="house_footer", defaults={"name": "Footer", "name_zh": "页脚", "content": words})
    BannedWord.objects.get_or_create(word="guaranteed", locale="en", defaults={"instead": "likely"})
    job = ImportJob.objects.create(
        source=source, kind="orders", file="orders-2025.parquet", fingerprint="f" * 64, state="done", rows_total=155848,
        rows_done=155848, rows_stored=155801, rows_known=40, rows_rejected=7, started_at=now, finished_at=now,
    )  # fmt: skip
    RejectedRow.objects.create(
        source=source, job=job, received_at=now, line=17, code="bad_time", path="timestamp",
        reason="'31/31/2025' is not a time", payload=json.dumps({"order_id": "x"}),
    )  # fmt: skip
    gone = make_profile(anonymous_id="anon-merged", now=now)
    merge(gone, folks[0], now=now, actor="root", reason="the same person")
    EventProperty.objects.create(event="Signed Up", key="plan", type="string", first_seen_at=now, last_seen_at=now)
    ApiKey.issue("Web shop", ["ingest"], now=now, subject="source:web")
    _content(now, users)
    pause("channel", "sms", reason="provider maintenance", by="sender", now=now)
    audit.record("pause.start", "pause:channel:sms", now=now, actor=users["sender"], reason="provider maintenance")


def _content(now: datetime, users: dict[str, User]) -> None:
    """A feed that has answered, the brand's voice, and words of a model that wait for a person."""
    Feed.objects.create(
        key="stories", name="Stories", name_zh="故事", url="https://api.shop.example/stories?l={locale}&c={profile.city}",
        fallback=[], sample=[{"title": "Ferns"}], asked_at=now, answered_at=now,
    )  # fmt: skip
    Voice.objects.create(locale="zh-Hans", text="亲切、具体，不夸张。")
    asked = CopyRequest.objects.create(
        template=Template.objects.get(key="vip-perk"), locale="zh-Hans", segment="vip", brief="感谢老顾客", wanted=1,
        state="answered", asked_at=now, asked_by=users["author"], not_before=now, ended_at=now, model="writer-1",
        prompt=[{"role": "system", "content": "…"}, {"role": "user", "content": "{}"}], digest="a" * 64, tokens=812,
    )  # fmt: skip
    CopyDraft.objects.create(
        request=asked,
        number=1,
        parts={
            "subject": "谢谢您一直在", "preheader": "一份只给老朋友的心意。", "heading": "谢谢您一直在",
            "paragraphs": ["这些年，谢谢您常来。"], "button": "看看这份心意",
        },
    )  # fmt: skip
