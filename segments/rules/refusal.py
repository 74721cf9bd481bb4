"""Who refuses profiling (PIPL 24, GDPR 21) is found by what they told us and by what they hold, never by conclusions
from what they did: a question that profiles has no answer for them, neither yes nor no.

A rule then holds for such a person only where the other questions decide it alone (Kleene's logic of three values):
"VIP or bought twice" holds for a VIP; "no order in 60 days" holds for nobody who refuses, "not (an order)" as little.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce
from operator import and_, or_

from django.db.models import Q

from common.params import Invalid
from segments.models import Segment
from segments.rules.operators import At
from segments.rules.parse import parse_rule
from segments.rules.tree import AnyOf, Leaf, Not, Rule, leaves

ANYBODY = Q()


def heeds(rule: Rule, at: At) -> Q:
    """The condition to put beside the rule's own, so that it holds for nobody who refuses unless without profiling.

    Of a rule that does not profile it is empty, of most others one flag of the person's row.
    """
    asked = frozenset(id(leaf) for leaf in leaves(rule) if profiles(leaf))
    if not asked:
        return ANYBODY
    sure = _sure(rule, asked, at, yes=True)
    return Q(no_profiling=False) if sure is None else Q(no_profiling=False) | sure


def profiles(leaf: Leaf) -> bool:
    """Whether the question draws on what a person did: by itself, or by the rules of the segments it asks about."""
    return leaf.operator.profiling or _any_profiles(leaf.operator.reads(leaf.params).segments, set())


def _any_profiles(keys: Collection[str], seen: set[str]) -> bool:
    fresh = set(keys) - seen
    if not fresh:
        return False
    seen |= fresh
    inner: set[str] = set()
    for raw in Segment.objects.filter(key__in=fresh).values_list("rule", flat=True):
        try:
            asked = list(leaves(parse_rule(raw)))
        except Invalid:
            return True
        if any(leaf.operator.profiling for leaf in asked):
            return True
        inner = inner.union(*(leaf.operator.reads(leaf.params).segments for leaf in asked))
    return _any_profiles(inner, seen)


def _sure(rule: Rule, asked: frozenset[int], at: At, *, yes: bool) -> Q | None:
    """For whom the rule surely holds (`yes`) or surely does not, whatever the questions in `asked`; None for nobody."""
    if isinstance(rule, Leaf):
        if id(rule) in asked:
            return None
        found = rule.operator.q(rule.params, at)
        return found if yes else ~found
    if isinstance(rule, Not):
        return _sure(rule.part, asked, at, yes=not yes)
    parts = [_sure(part, asked, at, yes=yes) for part in rule.parts]
    known = [part for part in parts if part is not None]
    if isinstance(rule, AnyOf) == yes:
        return reduce(or_, known) if known else None
    return reduce(and_, known, Q(pk__isnull=False)) if len(known) == len(parts) else None
