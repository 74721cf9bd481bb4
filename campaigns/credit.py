"""Credit: which touches a conversion's path holds, and each model's share of its value, to the cent.

A path and its credit are a function of touches, conversions and goals alone, so they can be worked out again at
any time: `recredit` writes only what differs. See docs/attribution.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from campaigns.attribution import Step, models
from campaigns.models import Conversion, Credit, Goal, Touch
from common.money import share_out
from messaging.models import Delivery
from segments.facts.filter import passes
from segments.facts.names import ORDER_CANCELLED, ORDER_REFUNDED
from segments.models import Event

BATCH = 500
REVERSALS = (ORDER_REFUNDED, ORDER_CANCELLED)
CLICK_WINDOW = timedelta(days=5)
VISIT_WINDOW = timedelta(days=30)
LONGEST = timedelta(days=90)
RANK = {"open": 0, "click": 1, "utm_visit": 2, "import": 3}
Share = dict[int, tuple[float, int]]  # touch → (weight, amount)


@dataclass(frozen=True)
class GoalRule:
    """A goal as credit needs it: `click` is its window after a click, `visit` after a visit with UTM."""

    fact: str
    filter: Mapping[str, Any]
    click: timedelta = CLICK_WINDOW
    visit: timedelta = VISIT_WINDOW
    from_send: bool = False

    def matches(self, name: str, properties: Mapping[str, Any]) -> bool:
        """Whether a fact is this goal: its name, and what its filter asks of the properties."""
        return name == self.fact and passes(properties, self.filter)


def read_goals() -> list[GoalRule]:
    """The goals of all campaigns; a conversion is credited once, whoever hoped for it."""
    rules = {}
    for goal in Goal.objects.order_by("pk"):
        click = min(timedelta(days=goal.window_days), LONGEST)
        sent = goal.anchor == Goal.Anchor.SEND
        rule = GoalRule(goal.fact, goal.filter, click, max(click, VISIT_WINDOW), from_send=sent)
        rules[goal.fact, repr(goal.filter), click, sent] = rule
    return list(rules.values())


def eligible(touch: Touch, at: datetime, rules: Sequence[GoalRule], sent_at: Mapping[int, datetime]) -> bool:
    """Whether the touch may earn: 0 ≤ conversion − touch, and conversion − anchor ≤ window, both ends counting.

    `rules` are the goals that the conversion meets; with several the widest counts. Opens never earn.
    """
    if touch.at > at or touch.kind == Touch.Kind.OPEN:
        return False
    for rule in rules:
        if touch.kind != Touch.Kind.CLICK:
            window, anchor = rule.visit, touch.at
        else:
            window, anchor = rule.click, sent_at.get(touch.delivery or 0, touch.at) if rule.from_send else touch.at
        if at - anchor <= window:
            return True
    return False


def in_order(touches: Iterable[Touch]) -> list[Touch]:
    """A path's order: time, then open < click < visit, then message, then touch."""
    return sorted(touches, key=lambda touch: (touch.at, RANK[touch.kind], touch.delivery or 0, touch.pk))


def exposure(path: Sequence[Touch]) -> list[Touch]:
    """Collapse consecutive repeats of one channel and UTM set into their last touch."""

    def place(touch: Touch) -> tuple[str, ...]:
        return (touch.channel, touch.source, touch.medium, touch.campaign, touch.content)

    following = zip(path, [*path[1:], None], strict=True)
    return [touch for touch, later in following if later is None or place(touch) != place(later)]


def shares(path: Sequence[Touch], at: datetime, value: int) -> dict[str, Share]:
    """Per model the weight and the amount of each touch that earns; amounts sum to `value` exactly."""
    kept = exposure(path) if settings.ATTRIBUTION_PATH == "exposure" else path
    if not kept:
        return {key: {} for key, _ in models.items()}
    steps = [Step(touch.pk, touch.at, touch.channel) for touch in kept]
    found = {}
    for key, model in models.items():
        weights = model.weights(steps, at)
        amounts = share_out(value, weights)
        earned = zip(steps, weights, amounts, strict=True)
        found[key] = {step.touch: (weight, amount) for step, weight, amount in earned if weight > 0}
    return found


def recredit(conversions: Iterable[int], *, now: datetime) -> int:
    """Work out paths and credit of these conversions (ids) and of their refunds again; returns how many changed."""
    wanted = sorted(set(conversions))
    changed = 0
    for start in range(0, len(wanted), BATCH):
        with transaction.atomic():
            changed += _recredit(wanted[start : start + BATCH], now=now)
    return changed


def _recredit(ids: Sequence[int], *, now: datetime) -> int:
    rows = list(_with_reversals(ids))
    originals = [row for row in rows if row.name not in REVERSALS]
    paths = _paths(originals)
    wanted = {row.pk: shares(paths[row.pk], row.at, row.value) for row in originals}
    owner = {(row.profile_id, row.order_ref): row for row in sorted(originals, key=_goodness) if row.order_ref}
    for row in rows:
        if row.name in REVERSALS:
            sale = owner.get((row.profile_id, row.order_ref))
            paths[row.pk] = paths[sale.pk] if sale else []
            wanted[row.pk] = mirror(wanted[sale.pk], row.value) if sale else shares([], row.at, 0)
    return _write(rows, paths, wanted, now=now)


def mirror(sale: Mapping[str, Share], value: int) -> dict[str, Share]:
    """The sale's own weights over another value: how a refund takes back what the sale gave."""
    found = {}
    for key, share in sale.items():
        amounts = share_out(value, [weight for weight, _ in share.values()])
        found[key] = {touch: (share[touch][0], amount) for touch, amount in zip(share, amounts, strict=True)}
    return found


def best_sale(rows: Iterable[Conversion]) -> Conversion | None:
    """Of an order's conversions the one that a refund mirrors: the highest value, then the earliest."""
    return max(rows, key=_goodness, default=None)


def _goodness(row: Conversion) -> tuple[int, int]:
    return row.value, -row.pk


def _with_reversals(ids: Sequence[int]) -> Iterable[Conversion]:
    """The conversions, all others of their orders (sales and refunds), locked in order of id."""
    orders = Conversion.objects.filter(pk__in=ids).exclude(order_ref="").values_list("profile_id", "order_ref")
    people, refs = zip(*orders, strict=True) if orders else ((), ())
    linked = Conversion.objects.filter(profile__in=set(people), order_ref__in=set(refs)).values_list("pk", flat=True)
    return Conversion.objects.filter(pk__in={*ids, *linked}).order_by("pk").select_for_update(no_key=True)


def _paths(rows: Sequence[Conversion]) -> dict[int, list[Touch]]:
    """Eligible touches before each conversion, in order."""
    if not rows:
        return {}
    goals = read_goals()
    said = dict(Event.objects.filter(pk__in=[row.fact for row in rows]).values_list("pk", "properties"))
    first, last = min(row.at for row in rows) - LONGEST, max(row.at for row in rows)
    by_person: dict[int, list[Touch]] = defaultdict(list)
    for touch in Touch.objects.filter(profile__in={row.profile_id for row in rows}, at__gte=first, at__lte=last):
        by_person[touch.profile_id].append(touch)
    sent = _sent_at(by_person.values()) if any(rule.from_send for rule in goals) else {}
    found = {}
    for row in rows:
        rules = [rule for rule in goals if rule.matches(row.name, said.get(row.fact, {}))]
        met = rules or [GoalRule(row.name, {})]
        found[row.pk] = in_order(touch for touch in by_person[row.profile_id] if eligible(touch, row.at, met, sent))
    return found


def _sent_at(paths: Iterable[Sequence[Touch]]) -> dict[int, datetime]:
    ids = {touch.delivery for path in paths for touch in path if touch.delivery}
    rows = Delivery.objects.filter(pk__in=ids).values_list("pk", "sent_at")
    return {pk: sent_at for pk, sent_at in rows if sent_at is not None}


def _write(
    rows: Sequence[Conversion],
    paths: Mapping[int, Sequence[Touch]],
    wanted: Mapping[int, Mapping[str, Share]],
    *,
    now: datetime,
) -> int:
    """Store paths and credits that differ from what stands; returns how many conversions did."""
    standing: dict[tuple[int, str], Share] = defaultdict(dict)
    for credit in Credit.objects.filter(conversion__in=[row.pk for row in rows], model__in=models.keys()):
        standing[credit.conversion_id, credit.model][credit.touch_id] = (credit.weight, credit.amount)
    stale, fresh, changed = [], [], []
    for row in rows:
        path = [touch.pk for touch in paths[row.pk]]
        moved = {key: share for key, share in wanted[row.pk].items() if standing[row.pk, key] != share}
        if not moved and row.path == path and row.credited_at:
            continue
        row.path, row.credited_at = path, now
        changed.append(row)
        for key, share in moved.items():
            stale.append((row.pk, key))
            fresh += [
                Credit(conversion=row, touch_id=touch, model=key, weight=weight, amount=amount)
                for touch, (weight, amount) in share.items()
            ]
    for key in {key for _, key in stale}:
        Credit.objects.filter(model=key, conversion__in=[pk for pk, model in stale if model == key]).delete()
    Credit.objects.bulk_create(fresh, batch_size=BATCH)
    Conversion.objects.bulk_update(changed, ["path", "credited_at"], batch_size=BATCH)
    return len(changed)
