"""The one compiler: a rule becomes one SQL condition, for everyone, for a batch and for one person alike."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import reduce
from operator import and_, or_

from django.db.models import Q, QuerySet

from common.semijoin import among, everybody, nobody
from segments.models import Profile
from segments.rules.operators import At, Reads
from segments.rules.refusal import heeds
from segments.rules.tree import AnyOf, Leaf, Not, Rule, leaves


def condition(rule: Rule, at: At) -> Q:
    """The rule as a condition over Profile. Every leaf answers yes or no, never NULL, so that not is not."""
    if isinstance(rule, Leaf):
        return rule.operator.q(rule.params, at)
    if isinstance(rule, Not):
        return ~condition(rule.part, at)
    parts = [condition(part, at) for part in rule.parts]
    if isinstance(rule, AnyOf):
        return reduce(or_, parts) if parts else nobody()
    return reduce(and_, parts) if parts else everybody()


def living() -> QuerySet[Profile]:
    """Everyone a rule may speak of: neither merged into another profile nor erased."""
    return Profile.objects.filter(merged_into__isnull=True, erased_at__isnull=True)


def people(rule: Rule, at: At) -> QuerySet[Profile]:
    """All whom the rule holds for at that moment, as one query, unordered; who refuses profiling is asked nothing that
    profiles (segments.rules.refusal)."""
    return living().filter(condition(rule, at), heeds(rule, at))


def matching(rule: Rule, profile_ids: Collection[int], at: At) -> set[int]:
    """Those of the given ids whom the rule holds for: the same query, asked about them only."""
    ids = tuple(profile_ids)
    if not ids:
        return set()
    rows = people(rule, replace(at, among=ids)).filter(among("pk", ids))
    return set(rows.values_list("pk", flat=True))


def blank(rule: Rule) -> bool | None:
    """Whether the rule holds for a person of whom there is nothing but the profile; None if that cannot be told."""
    if isinstance(rule, Leaf):
        return rule.operator.blank(rule.params)
    if isinstance(rule, Not):
        inner = blank(rule.part)
        return None if inner is None else not inner
    parts = [blank(part) for part in rule.parts]
    decides = isinstance(rule, AnyOf)
    if decides in parts:
        return decides
    return None if None in parts else not decides


def reads_of(rule: Rule) -> Reads:
    """What the answer depends on: the union over all leaves."""
    return reduce(or_, (leaf.operator.reads(leaf.params) for leaf in leaves(rule)), Reads())
