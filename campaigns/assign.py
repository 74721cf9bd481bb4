"""Drawing arms: a stable hash decides, the draw is stored, and nobody is ever drawn twice.

u = the first 8 bytes of SHA-256("salt:public id") over 2**64; the control is the first arm, so that a larger
holdout under the same salt keeps everybody who was in the smaller one (docs/journeys.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from campaigns.models import Arm, Assignment, Experiment, Journey
from campaigns.rows import insert_rows
from common.buckets import pick

CONTROL, TREATED = "control", "treated"
ASSIGNMENT = {"experiment_id": "bigint", "profile_id": "bigint", "arm_id": "bigint", "at": "timestamptz"}


def arm_of(salt: str, arms: list[Arm], public_id: UUID) -> Arm:
    """The arm that the hash draws; `arms` in the order of their positions."""
    return arms[pick(salt, public_id, [arm.weight for arm in arms])]


def assign(experiment: int, people: Mapping[int, UUID], *, now: datetime) -> dict[int, Arm]:
    """Each person's arm (profile id → Arm), drawn now if it never was; statements constant in their number.

    A stored draw stands for ever, whatever the weights are now. An experiment that has ended draws nobody new.
    """
    arms = {arm.pk: arm for arm in Arm.objects.filter(experiment=experiment).order_by("position")}
    stored = Assignment.objects.filter(experiment=experiment, profile__in=list(people))
    drawn = {profile: arms[arm] for profile, arm in stored.values_list("profile_id", "arm_id")}
    new = [profile for profile in people if profile not in drawn]
    if not new or not arms:
        return drawn
    salt, ended = Experiment.objects.values_list("salt", "ended_at").get(pk=experiment)
    if ended is not None and ended <= now:
        return drawn
    fresh = {profile: arm_of(salt, list(arms.values()), people[profile]) for profile in new}
    insert_rows(Assignment, ASSIGNMENT, [(experiment, profile, arm.pk, now) for profile, arm in fresh.items()])
    return drawn | fresh


def universal() -> int | None:
    """The id of the running universal holdout, if there is one."""
    rows = Experiment.objects.filter(kind=Experiment.Kind.UNIVERSAL, ended_at__isnull=True)
    return rows.order_by("pk").values_list("pk", flat=True).first()


def ensure_holdout(journey: Journey, *, now: datetime) -> Experiment | None:
    """The journey's running holdout experiment, with the share that journey or campaign asks for; None if none.

    Salt and weights are frozen once somebody was drawn: another share then ends the experiment and starts the
    next one under the same salt.
    """
    share = journey.campaign.holdout if journey.holdout is None else journey.holdout
    current = journey.experiment
    if current is not None and current.ended_at is None and _share(current) == share:
        return current
    if current is not None:
        current.ended_at = current.ended_at or now
        current.save(update_fields=["ended_at"])
    journey.experiment = _start(journey, share, now=now) if share else None
    journey.save(update_fields=["experiment"])
    return journey.experiment


def _share(experiment: Experiment) -> float | None:
    return experiment.arms.filter(control=True).values_list("weight", flat=True).first()


def _start(journey: Journey, share: float, *, now: datetime) -> Experiment:
    base = f"holdout-{journey.key}"[:70]
    count = Experiment.objects.filter(journey=journey.key, kind=Experiment.Kind.HOLDOUT).count()
    experiment = Experiment.objects.create(
        key=base if not count else f"{base}-{count + 1}",
        name=f"Holdout: {journey.name}"[:200],
        name_zh=f"对照：{journey.name_zh or journey.name}"[:200],
        kind=Experiment.Kind.HOLDOUT,
        salt=base,
        journey=journey.key,
        started_at=now,
    )
    Arm.objects.create(experiment=experiment, key=CONTROL, position=0, weight=share, control=True)
    Arm.objects.create(experiment=experiment, key=TREATED, position=1, weight=1 - share, control=False)
    return experiment
