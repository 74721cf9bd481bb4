"""The engine's looks at people: thin tasks that hand `now` to a verb. Each may run at any time, and twice."""

from __future__ import annotations

from celery import shared_task

from common.buckets import SHARDS
from common.clock import now
from segments import erase, event_schema, health_scores, scores, unfinished
from segments import refresh as members
from segments.growth import (
    clawback,
    coupons,
    earning,
    level_notices,
    levels,
    missions,
    points_due,
    pools,
    redemptions,
)


@shared_task(name="segments.tasks.refresh")
def refresh() -> dict[str, int]:
    """Bring the members of every segment up to date."""
    done = members.refresh_due(now())
    return {
        "segments": len(done),
        "entered": sum(report.entered for report in done),
        "left": sum(report.left for report in done),
        "failed": sum(report.mode == "failed" for report in done),
    }


@shared_task(name="segments.tasks.score")
def score() -> dict[str, int]:
    """Score the people who changed or fell silent."""
    return scores.score_changed(now())


@shared_task(name="segments.tasks.judge")
def judge() -> dict[str, int]:
    """Judge how the people do who changed or whose windows moved."""
    return health_scores.judge_changed(now())


@shared_task(name="segments.tasks.count_missions")
def count_missions() -> dict[str, int]:
    """Count new facts for missions and earning rules, mark the coupons that orders name as used, and take back what
    was given for orders that are undone."""
    at = now()
    return {
        "facts": sum(missions.count_shard(shard, at) for shard in range(SHARDS)),
        "earned": sum(earning.earn_shard(shard, at) for shard in range(SHARDS)),
        "orders": sum(redemptions.redeem_shard(shard, at) for shard in range(SHARDS)),
        "undone": sum(clawback.claw_back_shard(shard, at) for shard in range(SHARDS)),
    }


@shared_task(name="segments.tasks.watch_coupons")
def watch_coupons() -> dict[str, int]:
    """Note the coupon pools that have run low."""
    return {"low": len(pools.watch_stock(now()))}


@shared_task(name="segments.tasks.learn")
def learn() -> dict[str, int]:
    """Learn which properties the events have."""
    at = now()
    return {"facts": sum(event_schema.learn_shard(shard, at) for shard in range(SHARDS))}


@shared_task(name="segments.tasks.finish_merges")
def finish_merges() -> dict[str, int]:
    """Finish merges of large profiles that were left half-way, or take them back."""
    return unfinished.finish_merges(now())


@shared_task(name="segments.tasks.finish_erasures")
def finish_erasures() -> dict[str, int]:
    """Erase what has come of erased people since, or had to wait."""
    people, waiting = erase.finish(now(), actor="timetable")
    return {"people": people, "waiting": waiting}


@shared_task(name="segments.tasks.expire_points")
def expire_points() -> dict[str, int]:
    """Let points that have come count, and points, coupons, levels and streaks whose time is over expire."""
    at = now()
    return {
        "released": points_due.release_due(at),
        "points": points_due.expire_due(at),
        "coupons": coupons.expire_coupons(at),
        "levels": levels.renew_due(at),
        "noticed": level_notices.notice_due(at),
        "streaks": missions.lapse_streaks(at),
    }
