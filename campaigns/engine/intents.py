"""Doing what steps intend, inside the engine's transaction: plan messages, book points, give badges and coupons, and
what campaigns.engine.people does.

For held-out people messages are planned as ghosts, which pass every gate and are never sent; points, badges and
coupons are only noted. Transactional messages know no holdout and go out to everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from campaigns.engine import people
from campaigns.engine.effects import HELD_OUT, CannotDo, Effect, Wanted, by_depth, real_ones, why
from campaigns.engine.walk import Walk
from campaigns.graph import Node
from campaigns.plans import Plan
from campaigns.steps import Intent
from common.text import utm_value
from messaging.channels import channels
from messaging.fallback import Message, queue_with_fallback
from messaging.models import TemplateVersion
from messaging.outbox.queue import NewDelivery, queue_deliveries
from segments.growth.badges import BadgeFor, award_many
from segments.growth.coupons import Claim, claim, order_of
from segments.growth.ledger import Earn, earn_many
from segments.models import Coupon

MOST_PRIORITY = 9
NO_CODE = "-"  # what a held-out person's message, which is never sent, shows as its coupon


def execute(wanted: Wanted, plan: Plan, node: Node, *, now: datetime) -> dict[str, Effect]:
    """Do all intents of a group; effects by intent key. Each happens once for its key, however often it is tried."""
    by_kind: dict[str, list[tuple[Walk, Intent]]] = {}
    for walk, intent in wanted:
        by_kind.setdefault(intent.kind, []).append((walk, intent))
    effects: dict[str, Effect] = {}
    for kind, some in by_kind.items():
        if kind not in DOERS:
            raise CannotDo(f"nobody knows how to do '{kind}'")
        effects |= DOERS[kind](some, plan, node, now)
    return effects


def deliver(wanted: Wanted, plan: Plan, node: Node, now: datetime) -> dict[str, Effect]:
    """Plan one message each."""
    versions = _versions(wanted)
    messages, effects = [], {}
    for walk, intent in wanted:
        first, *others = [_version(versions, *way) for way in intent.detail["ways"]]
        item = _message(walk, intent, first, plan, node, now)
        messages.append(Message(item, tuple(other.pk for other in others)))
        if item.ghost:
            effects[intent.key] = Effect(reason="held out: ghost message")
    if any(message.others for message in messages):
        queue_with_fallback(messages, now=now)
    else:
        queue_deliveries([message.item for message in messages], now=now)
    return effects


def points(wanted: Wanted, plan: Plan, node: Node, now: datetime) -> dict[str, Effect]:
    """Book points."""
    real, effects = real_ones(wanted)
    for depth, some in by_depth(real):
        earns = [_earn(walk, intent, plan, node) for walk, intent in some]
        earn_many(earns, now=now, depth=depth)
    return effects


def badge(wanted: Wanted, plan: Plan, node: Node, now: datetime) -> dict[str, Effect]:
    """Give the node's badge."""
    real, effects = real_ones(wanted)
    for depth, some in by_depth(real):
        items = [BadgeFor(w.profile, intent.key, why(plan, node)) for w, intent in some]
        award_many(some[0][1].detail["badge"], items, now=now, depth=depth)
    return effects


def grant(wanted: Wanted, plan: Plan, node: Node, now: datetime) -> dict[str, Effect]:
    """Claim coupons from the node's pool; where it is empty, the way out is the port "empty"."""
    real, notes = real_ones(wanted)
    effects = {key: Effect(reason=HELD_OUT, context={"coupon": {"code": NO_CODE, "expires_at": ""}}) for key in notes}
    for depth, some in by_depth(real):
        pool = some[0][1].detail["pool"]
        claims = [Claim(walk.profile, intent.key, _ref(walk)) for walk, intent in some]
        found = claim(pool, claims, now=now, reason=why(plan, node), depth=depth)
        effects |= {key: _granted(pool, coupon) for key, coupon in found.items()}
    return effects


def _earn(walk: Walk, intent: Intent, plan: Plan, node: Node) -> Earn:
    return Earn(walk.profile, intent.detail["points"], intent.key, why(plan, node), ref=_ref(walk))


def _ref(walk: Walk) -> str:
    """The order that began the walk: a refund of it takes back what the walk gave."""
    event = walk.context.get("event") or {}
    order_id = (event.get("properties") or {}).get("order_id") if isinstance(event, Mapping) else None
    return order_of(str(order_id)) if order_id not in (None, "") else ""


def _granted(pool: str, coupon: Coupon | None) -> Effect:
    if coupon is None:
        return Effect(port="empty", reason=f"no coupon left in '{pool}'")
    expires = coupon.expires_at.isoformat() if coupon.expires_at else ""
    return Effect(context={"coupon": {"code": coupon.code, "pool": pool, "expires_at": expires}})


DOERS: dict[str, Callable[[Wanted, Plan, Node, datetime], dict[str, Effect]]] = {
    "deliver": deliver,
    "points": points,
    "badge": badge,
    "grant": grant,
    "traits": people.traits,
    "list_add": people.list_add,
    "list_remove": people.list_remove,
    "enter": people.enter,
}


def _versions(wanted: Wanted) -> dict[tuple[str, int], TemplateVersion]:
    """The template versions by (template key, number), in one query."""
    ways = {way for _, intent in wanted for way in intent.detail["ways"]}
    keys, numbers = {key for key, _ in ways}, {number for _, number in ways}
    rows = TemplateVersion.objects.filter(template__key__in=keys, number__in=numbers).select_related("template")
    return {(row.template.key, row.number): row for row in rows.defer("content")}


def _version(versions: Mapping[tuple[str, int], TemplateVersion], key: str, number: int) -> TemplateVersion:
    if (key, number) not in versions:
        raise CannotDo(f"template '{key}' has no version {number}")
    return versions[key, number]


def _message(
    walk: Walk, intent: Intent, version: TemplateVersion, plan: Plan, node: Node, now: datetime
) -> NewDelivery:
    said = {name: value for name, value in walk.context.items() if not name.startswith("_")}
    return NewDelivery(
        dedupe_key=intent.key,
        profile=walk.profile,
        version=version.pk,
        not_before=now,
        expires_at=intent.detail["expires_at"],
        campaign=plan.campaign_key,
        journey=plan.journey_key,
        enrolment=walk.id,
        node=node.key,
        variant=str(walk.context.get("variant", ""))[:40],
        context=said | {"journey": {"key": plan.journey_key, "node": node.key}},
        utm=_utm(walk, version, plan, node),
        ghost=walk.ghost and version.klass != "transactional",
        priority=_priority(intent.detail["priority"], plan),
    )


def _priority(own: int, plan: Plan) -> int:
    """The step's priority on top of its journey's."""
    return max(-MOST_PRIORITY, min(MOST_PRIORITY, own + ((plan.graph.entry.priority if plan.graph else None) or 0)))


def _utm(walk: Walk, version: TemplateVersion, plan: Plan, node: Node) -> dict[str, str]:
    """The UTM parameters of the message's links, in their usual order; none for a channel without a medium."""
    medium = channels.get(version.channel).medium if version.channel in channels else ""
    names = plan.graph.utm if plan.graph else {}
    if not medium or not names:
        return {}
    content = f"{node.key}-{walk.locale}" if walk.locale else node.key
    return {
        "utm_source": names["source"],
        "utm_medium": medium,
        "utm_campaign": names["campaign"],
        "utm_id": names["id"],
        "utm_content": utm_value(content),
    }
