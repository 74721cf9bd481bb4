"""A whole life: rows in every table that can hold something of a person, each text of them bearing a mark."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from campaigns.models import Arm, Assignment, Conversion, Credit, Enrolment, Experiment, Touch, Visit
from common.models import AuditEntry, Parked
from messaging.models import (
    Account,
    Address,
    Attempt,
    BestHour,
    Click,
    Consent,
    Delivery,
    Device,
    Fallback,
    Preference,
    Receipt,
)
from segments.growth.ledger import earn, spend
from segments.models import (
    Award,
    Badge,
    Benefit,
    Coupon,
    CouponPool,
    Event,
    Grant,
    Health,
    HealthChange,
    Identity,
    ImportJob,
    Membership,
    Mission,
    MissionProgress,
    Order,
    Profile,
    RejectedRow,
    Scores,
    Segment,
    StageChange,
    Trait,
)
from segments.models.groups import ListMember, StaticList
from tests.campaigns.flows import DONE, flow, live, node
from tests.messages import make_version
from tests.people import NOW, make_fact, make_profile, make_source


def make_ground() -> dict[str, Any]:
    """What lives point at and nobody owns."""
    benefit = Benefit.objects.create(key="gift", name="Gift", kind="gift")
    experiment = Experiment.objects.create(key="hold", name="Hold", kind="holdout", salt="s", started_at=NOW)
    content = {"en": {"subject": "For {{ profile.first_name }}", "html": "<p>{{ event.note }}</p>", "text": "Hi"}}
    version = make_version("hello", now=NOW)
    type(version).objects.filter(pk=version.pk).update(content=content)
    return {
        "benefit": benefit,
        "pool": CouponPool.objects.create(key="pool", name="Pool", benefit=benefit),
        "badge": Badge.objects.create(key="star", name="Star"),
        "mission": Mission.objects.create(key="view", name="View", fact="Viewed", target=9),
        "list": StaticList.objects.create(key="list", name="List"),
        "segment": Segment.objects.create(key="all", name="All", rule={"all": []}),
        "experiment": experiment,
        "arms": [Arm.objects.create(experiment=experiment, key=k, position=n, weight=1) for n, k in enumerate("ab")],
        "journey": live(flow({"w": node("wait", for_="10d"), "done": DONE})),
        "version": version,
        "account": Account.objects.create(key="mail", name="mail", channel="email", sender="a@shop.example"),
    }


def live_a_life(mark: str, ground: dict[str, Any], *, at: datetime = NOW, known: bool = True) -> Profile:
    """One person with something in every table; `mark` is a word that nobody else has."""
    email = f"{mark}@example.com"
    names: dict[str, Any] = {"user_id": f"user-{mark}"} if known else {}
    profile = make_profile(
        **names, anonymous_id=f"anon-{mark}", email=email, now=at, first_name=mark, last_name=mark, city=mark,
        gender=mark[:20], traits={f"nick-{mark}": mark, "nick": mark},
    )  # fmt: skip
    make_fact(profile, "Viewed", at=at, key=f"k-{mark}", page=f"/{mark}")
    make_fact(profile, "Viewed", at=at + timedelta(hours=1), page=f"/{mark}/2")
    _own(profile, mark, ground, at)
    _earn(profile, mark, ground, at)
    _write(profile, mark, ground, at, email)
    _walk(profile, mark, ground, at)
    _leave_traces(profile, mark, at, email)
    return profile


def _own(profile: Profile, mark: str, ground: dict[str, Any], at: datetime) -> None:
    Order.objects.create(
        source=make_source(), order_id=f"o-{mark}", profile=profile, placed_at=at, currency="USD", total=500,
        coupon_code=mark, items=[{"product_id": mark}],
    )  # fmt: skip
    Scores.objects.create(profile=profile, stage="growing", computed_at=at, octant=mark[:20])
    StageChange.objects.create(profile=profile, at=at, before="", after="growing", reason=mark)
    Membership.objects.create(segment=ground["segment"], profile=profile, entered_at=at)
    ListMember.objects.create(list=ground["list"], profile=profile, added_at=at)
    for row in (ground["segment"], ground["list"]):
        type(row).objects.filter(pk=row.pk).update(size=F("size") + 1)
    Health.objects.create(profile=profile, score=50, band="watch", parts={"why": mark}, computed_at=at)
    HealthChange.objects.create(profile=profile, at=at, after="watch", reason=mark[:20])


def _earn(profile: Profile, mark: str, ground: dict[str, Any], at: datetime) -> None:
    earn(profile.pk, 50, key=f"e-{mark}", reason=mark, now=at)
    spend(profile.pk, 20, key=f"s-{mark}", reason=mark, now=at)
    coupon = Coupon.objects.create(
        pool=ground["pool"], code=f"C{ground['pool'].coupons.count()}", state="assigned", profile=profile,
        claim_key=f"c-{mark}", order_ref=mark, assigned_at=at,
    )  # fmt: skip
    Grant.objects.create(benefit=ground["benefit"], profile=profile, coupon=coupon, key=f"g-{mark}", at=at, reason=mark)
    Award.objects.create(badge=ground["badge"], profile=profile, key=f"a-{mark}", at=at, reason=mark)
    MissionProgress.objects.create(mission=ground["mission"], profile=profile, version=1, period="", count=2)


def _write(profile: Profile, mark: str, ground: dict[str, Any], at: datetime, email: str) -> None:
    address = Address.objects.create(channel="email", value=email, profile=profile, consents=["offers"], created_at=at)
    Preference.objects.create(profile=profile, at_most=1, updated_at=at, source=mark)
    BestHour.objects.create(profile=profile, channel="email", hour=9, computed_at=at)
    Device.objects.create(
        address=address, channel="push", digest=f"{mark}-{profile.pk}", token=mark, registered_at=at, seen_at=at,
    )  # fmt: skip
    Consent.objects.create(
        address=address, profile=profile, topic="offers", action="given", source=mark, at=at, evidence={"ip": mark}
    )
    for state in ("accepted", "planned"):
        message = Delivery.objects.create(
            dedupe_key=f"{state}:{mark}", public_id=uuid.uuid4(), klass="transactional", channel="email",
            profile=profile, address=address, version=ground["version"], account=ground["account"], planned_at=at,
            not_before=at, state=state, context={"event": {"note": f"note-{mark}"}}, sent_at=at,
        )  # fmt: skip
        if state == "accepted":
            Attempt.objects.create(
                delivery=message, n=1, account=ground["account"], lease_token=uuid.uuid4(), started_at=at,
                code="250", provider_ref=mark,
            )  # fmt: skip
            Fallback.objects.create(delivery=message, key=message.dedupe_key, planned_at=at)
            Click.objects.create(delivery=message, kind="open", at=at, user_agent=mark, ip="192.0.2.7")
            Receipt.objects.create(
                delivery=message, provider="smtp", natural_key=f"r-{mark}", kind="delivered", at=at, received_at=at,
                raw={"to": email},
            )  # fmt: skip
    Receipt.objects.create(
        provider="smtp", natural_key=f"u-{mark}", kind="other", at=at, received_at=at, raw={"to": email}
    )


def _walk(profile: Profile, mark: str, ground: dict[str, Any], at: datetime) -> None:
    journey = ground["journey"]
    walk = Enrolment.objects.create(
        journey=journey, version=journey.live_version, profile=profile, entry_key=f"n-{mark}", state="active",
        reason=mark, node="w", due_at=at + timedelta(days=10), context={"event": {"note": mark}}, entered_at=at,
        moved_at=at,
    )  # fmt: skip
    Visit.objects.create(enrolment=walk, journey=journey, node="w", n=1, entered_at=at, reason="")
    arm = ground["arms"][profile.pk % 2]
    Assignment.objects.create(experiment=ground["experiment"], profile=profile, arm=arm, at=at)
    touch = Touch.objects.create(
        key=f"t-{mark}", profile=profile, at=at, kind="utm_visit", channel="web", source="s", campaign=mark
    )
    won = Conversion.objects.create(
        key=f"w-{mark}", profile=profile, fact=profile.pk + 10**9, name="Viewed", at=at, value=5, order_ref=mark,
        path=[touch.pk],
    )  # fmt: skip
    Credit.objects.create(conversion=won, touch=touch, model="last", weight=1.0, amount=5)
    Parked.objects.create(at=at, reader="engine", subject=f"enrolment:{walk.pk}", reason=f"no value in {mark}")


def _leave_traces(profile: Profile, mark: str, at: datetime, email: str) -> None:
    source = make_source()
    RejectedRow.objects.create(
        source=source, received_at=at, code="bad_time", reason=f"'{mark}' is no time",
        payload=json.dumps({"userId": f"user-{mark}", "anonymousId": f"anon-{mark}", "at": mark}),
    )  # fmt: skip
    ImportJob.objects.create(
        source=source, kind="orders", file="a.csv", fingerprint=f"{profile.pk:064}",
        report={"codes": {"bad_email": 1}, "first": [{"line": 2, "message": f"{email} is none"}]},
    )  # fmt: skip
    trait, _ = Trait.objects.get_or_create(
        key="nick", defaults={"type": "string", "first_seen_at": at, "last_seen_at": at}
    )
    Trait.objects.filter(pk=trait.pk).update(examples=[*trait.examples, mark])
    fact = Event.objects.filter(profile=profile).values_list("pk", flat=True)[0]
    Parked.objects.create(at=at, reader="touches", subject=f"fact:{fact}", reason=mark)
    AuditEntry.objects.create(
        at=at, actor_name="root", action="person.merge", subject=f"person:{profile.public_id}", reason=f"for {mark}"
    )
    AuditEntry.objects.create(
        at=at, actor_name="root", action="key.issue", subject="key:x", reason="", detail={"asked": email}
    )
    assert Identity.objects.filter(profile=profile).exists()
